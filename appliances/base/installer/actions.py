"""What the installer does, as data: it is planned first, shown by --dry-run, compared in tests, and then done."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from appliances.base.installer.kickstart import Script


@dataclass(frozen=True)
class Command:
    """Run a program. `timeout` in seconds; `optional` ones may fail and are only noted; `stdin` may hold secrets."""

    argv: tuple[str, ...]
    stdin: str | None = None
    timeout: int = 120
    optional: bool = False

    def __str__(self) -> str:
        return shlex.join(self.argv) + (" || true" if self.optional else "")


@dataclass(frozen=True)
class WriteFile:
    """Write `text` to `path` (in the installer's own tree: /mnt/sysroot/etc/…), folders made as needed."""

    path: str
    text: str
    mode: int = 0o644

    def __str__(self) -> str:
        return f"write {self.path} (mode {self.mode:04o}, {len(self.text.encode())} bytes)"


@dataclass(frozen=True)
class Unpack:
    """Unpack the squashfs file `image` into the folder `target`."""

    image: str
    target: str

    def __str__(self) -> str:
        return f"unpack {self.image} into {self.target}"


@dataclass(frozen=True)
class RunScript:
    """Run a section of the kickstart, in `target` when the section says so."""

    script: Script
    target: str

    def __str__(self) -> str:
        return f"run {self.script} with {self.script.interpreter}"


Action = Command | WriteFile | Unpack | RunScript


@dataclass(frozen=True)
class Phase:
    """A named part of the installation; the name is shown on the console."""

    name: str
    actions: tuple[Action, ...]


def command(*argv: str, stdin: str | None = None, timeout: int = 120, optional: bool = False) -> Command:
    """A `Command` out of its arguments."""
    return Command(argv, stdin, timeout, optional)
