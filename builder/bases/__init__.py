"""Package bases: one back end per family behind one interface.

A back end turns names of packages into a lock (`resolve`), locked packages into verified files (`fetch`), and
verified files into a root tree (`bootstrap`, `add`). Nothing outside this package knows what a .deb or an .rpm is.
"""

from __future__ import annotations

import sys
import urllib.parse
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from builder.errors import AsrboxError
from builder.licences import Licence


@dataclass(frozen=True, order=True)
class LockedPackage:
    """One exact package: `size` in bytes, `sha256` of the file.

    `origin` is "suite/component pool-path" or "repository path", `key` the fingerprint of the key that signed the file
    itself (RPM; a Debian archive signs its index instead, so there is none).
    """

    name: str
    version: str
    architecture: str
    sha256: str
    size: int
    origin: str
    key: str = ""


@dataclass(frozen=True)
class Sources:
    """Where packages may come from.

    `mirror` is a URL or a folder that replaces the configured mirrors (None: the build host's own); `offline` forbids
    every socket; `pool` is the folder of verified package files, named by sha256, shared by all builds; `keyrings` are
    added to those of the base manifest; `root` is the checkout that paths in the manifest begin at.
    """

    pool: Path
    mirror: str | None = None
    offline: bool = False
    keyrings: tuple[Path, ...] = ()
    root: Path = Path(__file__).resolve().parents[2]


class Base(ABC):
    """The package back end of one family. `manifest` is the parsed distro/bases/<name>.yaml."""

    families: dict[str, type[Base]] = {}

    def __init_subclass__(cls, *, family: str) -> None:
        Base.families[family] = cls

    def __init__(self, manifest: Mapping[str, object], sources: Sources) -> None:
        self.manifest = manifest
        self.sources = sources

    @property
    def code(self) -> tuple[ModuleType, ...]:
        """The modules that decide what a tree looks like; a change in them means new trees."""
        return (sys.modules[type(self).__module__],)

    @property
    def files(self) -> tuple[Path, ...]:
        """Files beside the code that decide what a tree looks like."""
        return ()

    @property
    def options(self) -> dict[str, str]:
        """What of the manifest decides what a tree looks like, beside the packages."""
        return {}

    @abstractmethod
    def resolve(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, list[LockedPackage]]:
        """Names per tree → exact packages per tree, dependencies included, each list sorted.

        `wanted` maps a tree ("host", "container", or an appliance) to package names. An appliance's list is resolved
        on top of the packages of "container" and holds only what it adds. Raises AsrboxError naming a package that
        does not exist, or a mirror that does not answer or is not signed by a known key.
        """

    @abstractmethod
    def missing(self, packages: Sequence[LockedPackage]) -> list[LockedPackage]:
        """Those locked packages that neither the pool nor the mirror has any more."""

    @abstractmethod
    def fetch(self, packages: Sequence[LockedPackage]) -> list[Path]:
        """Verified files in the pool, in the order given: downloaded if absent, resumed if half there.

        Raises AsrboxError naming the package on a bad signature, a wrong checksum or (offline) an absent file.
        """

    @abstractmethod
    def bootstrap(self, tree: Path, packages: Sequence[LockedPackage], *, epoch: int, log: Path) -> None:
        """Make a new root tree at `tree` (absent or empty) of exactly these packages; opens no socket."""

    @abstractmethod
    def add(self, tree: Path, packages: Sequence[LockedPackage], *, epoch: int, log: Path) -> None:
        """Install more locked packages into an existing tree; no service is started, no mount is left."""

    def label(self, tree: Path, *, log: Path) -> None:  # noqa: B027  most families have nothing to do
        """Give the files of a whole tree the security labels of its policy, if it has one.

        `bootstrap` and `add` do so for what they install; a tree that was changed afterwards wants it again.
        """

    @abstractmethod
    def licences(self, tree: Path, packages: Sequence[LockedPackage]) -> dict[str, Licence]:
        """What the packages of a tree declare as their licences, by name of the package."""

    @abstractmethod
    def locator(self, package: LockedPackage) -> str:
        """The package URL (purl), such as pkg:deb/debian/less@668-1?arch=amd64&distro=trixie."""


def package_url(kind: str, vendor: str, package: LockedPackage, distro: str) -> str:
    """A purl: `kind` deb or rpm, `vendor` debian or centos."""
    query = urllib.parse.urlencode({"arch": package.architecture, "distro": distro})
    name, version = (urllib.parse.quote(text, safe="") for text in (package.name, package.version))
    return f"pkg:{kind}/{vendor}/{name}@{version}?{query}"


def back_end(manifest: Mapping[str, object], sources: Sources) -> Base:
    """The back end for a parsed base manifest. Raises AsrboxError for a family nobody implements."""
    from builder.bases import debian, rpm  # noqa: F401  register themselves

    family = str(manifest["family"])
    if family not in Base.families:
        known = ", ".join(sorted(Base.families))
        raise AsrboxError(f"no package back end for the family {family!r}", hint=f"known families: {known}")
    return Base.families[family](manifest, sources)
