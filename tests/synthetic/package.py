"""One RPM to be: its names, what it needs, its files, its scripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["file", "folder", "link"]


@dataclass
class Entry:
    """One path of a package: `mode` as octal text, owner and group by name; `scripted`: changed by a scriptlet.

    A `ghost` belongs to the package and is not in it: somebody else makes it.
    """

    kind: Kind
    mode: str = "0755"
    owner: str = "root"
    group: str = "root"
    config: bool = False
    scripted: bool = False
    ghost: bool = False


@dataclass
class Script:
    """A shell script that runs after a transaction which brought files into `folder`; higher priority runs earlier."""

    folder: str
    priority: int
    text: str


@dataclass
class Package:
    """`requires` are needed; `first` must be installed before (its accounts own files); `files` maps path → Entry."""

    name: str
    version: str
    summary: str
    description: str
    epoch: str = "0"
    release: str = "1"
    noarch: bool = True
    requires: set[str] = field(default_factory=set)
    first: set[str] = field(default_factory=set)
    provides: list[str] = field(default_factory=list)
    files: dict[str, Entry] = field(default_factory=dict)
    posttrans: str = ""
    pretrans: str = ""  # Lua: there is no shell yet
    triggers: list[Script] = field(default_factory=list)
