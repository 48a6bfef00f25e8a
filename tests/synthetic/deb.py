"""What a .deb says about itself, and the place where it was unpacked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.errors import AsrboxError
from builder.run import run


@dataclass(frozen=True)
class Deb:
    """One unpacked package. `depends` is a list of alternatives (names); `provides` holds (name, version or "")."""

    name: str
    version: str
    architecture: str
    summary: str
    depends: tuple[tuple[str, ...], ...]
    provides: tuple[tuple[str, str], ...]
    conffiles: frozenset[str]
    essential: bool
    root: Path


def unpack(file: Path, folder: Path) -> Deb:
    """Unpack a .deb with owners and modes below `folder` (absent). Raises AsrboxError when it is none."""
    run(["dpkg-deb", "--raw-extract", file, folder], hint="the file in the pool is no .deb: remove it, build again")
    control = folder / "DEBIAN"
    fields = parse_control((control / "control").read_text())
    conffiles = control / "conffiles"
    listed = conffiles.read_text().split("\n") if conffiles.is_file() else []
    return Deb(
        fields["Package"],
        fields["Version"],
        fields["Architecture"],
        fields.get("Description", fields["Package"]).partition("\n")[0],
        (*relations(fields.get("Pre-Depends", "")), *relations(fields.get("Depends", ""))),
        _provides(fields.get("Provides", "")),
        frozenset(line for line in listed if line.startswith("/")),
        fields.get("Essential") == "yes",
        folder,
    )


def parse_control(text: str) -> dict[str, str]:
    """The fields of one control paragraph; further lines of a field follow after a newline."""
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line[:1] in (" ", "\t"):
            fields[name] += "\n" + line.strip()
        elif line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    return fields


def relations(text: str) -> tuple[tuple[str, ...], ...]:
    """ "a (>= 1) | b, c:any" → (("a", "b"), ("c",)): versions are left out, the set has one of each."""
    groups = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(tuple(_name(choice) for choice in group.split("|")) for group in groups)


def _name(relation: str) -> str:
    return relation.strip().split(" ")[0].split("(")[0].split(":")[0]


def _provides(text: str) -> tuple[tuple[str, str], ...]:
    found = []
    for part in (part.strip() for part in text.split(",")):
        if part:
            version = re.search(r"\(=\s*([^)]+)\)", part)
            found.append((_name(part), version[1] if version else ""))
    return tuple(found)


def evr(version: str) -> tuple[str, str, str]:
    """Debian's version → RPM's (epoch, version, release): "1:2.3-rc-4+b1" → ("1", "2.3.rc", "4+b1")."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, "0"
    return epoch, upstream.replace("-", "."), revision


def requirements(deb: Deb, debs: Mapping[str, Deb], left_out: Mapping[str, str]) -> list[str]:
    """Names of packages of the set that `deb` needs, sorted; a dependency on what is left out is dropped.

    The first alternative that the set has is taken, else the first package that provides one. Raises AsrboxError when
    neither the set nor what is left out has any.
    """
    found = set()
    for group in deb.depends:
        real = [name for name in group if name in debs]
        virtual = [name for name in sorted(debs) if {given for given, _ in debs[name].provides} & set(group)]
        if real or virtual:
            found.add((real or virtual)[0])
        elif not left_out.keys() & set(group):
            raise AsrboxError(
                f"{deb.name} depends on {' | '.join(group)}, and no package of the lock is or provides it",
                hint="the lock is not closed: run: asrbox lock",
            )
    return sorted(found - {deb.name})
