"""What a mirror offers: the Packages files that apt has fetched and checked, read as exact packages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from builder.bases import LockedPackage
from builder.errors import AsrboxError

_FIELD = re.compile(r"^(Package|Version|Architecture|Filename|Size|SHA256|Essential|Priority): *(.*)$", re.MULTILINE)


@dataclass
class Index:
    """All packages of all suites, by (name, version, architecture); `seed` names what every tree must have."""

    packages: dict[tuple[str, str, str], LockedPackage] = field(default_factory=dict)
    seed: set[str] = field(default_factory=set)

    def read(self, text: str, place: str) -> None:
        """Add one Packages file; `place` is its "suite/component". What an earlier file said is kept."""
        for stanza in text.split("\n\n"):
            fields = dict(_FIELD.findall(stanza))
            if not fields:
                continue
            try:
                package = LockedPackage(
                    name=fields["Package"],
                    version=fields["Version"],
                    architecture=fields["Architecture"],
                    sha256=fields["SHA256"],
                    size=int(fields["Size"]),
                    origin=f"{place} {fields['Filename']}",
                )
            except KeyError as error:
                name = fields.get("Package", "a package")
                raise AsrboxError(f"{place}: {name} has no field {error} in the mirror's Packages") from error
            self.packages.setdefault((package.name, package.version, package.architecture), package)
            if fields.get("Essential") == "yes" or fields.get("Priority") == "required":
                self.seed.add(package.name)

    def exact(self, name: str, version: str, architecture: str) -> LockedPackage:
        """The package that apt has chosen. Raises AsrboxError when no Packages file lists it."""
        try:
            return self.packages[name, version, architecture]
        except KeyError as error:
            raise AsrboxError(f"apt chose {name} {version} [{architecture}], which no Packages file lists") from error

    def offers(self, package: LockedPackage) -> bool:
        """Whether the mirror has exactly this package: same name, version and contents."""
        known = self.packages.get((package.name, package.version, package.architecture))
        return known is not None and known.sha256 == package.sha256


def read_index(files: Iterable[tuple[str, str]]) -> Index:
    """Make an index of (place, text) rows: one per Packages file, in the order of the manifest's suites."""
    index = Index()
    for place, text in files:
        index.read(text, place)
    return index
