"""The Debian family: apt resolves and downloads, mmdebstrap and dpkg install, the lock decides what."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from builder import log
from builder.bases import Base, LockedPackage, Sources, debian_tree, neutral, package_url
from builder.bases.apt import Apt, Download, is_unreachable, unreachable
from builder.bases.debian_index import Index, read_index
from builder.bases.mirrors import Suite, is_local, suites_of
from builder.bases.pool import Pool, batches, sha256
from builder.errors import AsrboxError, ErrorList
from builder.licences import Licence, of_debian_package

FOUNDATION = "container"
STATE = ".apt"


class DebianBase(Base, family="debian"):
    """Packages of a Debian-like archive. The pool holds <sha256>.deb, and apt's own state below .apt/."""

    def __init__(self, manifest: Mapping[str, object], sources: Sources) -> None:
        super().__init__(manifest, sources)
        self.architecture = str(manifest["architecture"])
        self._pool = Pool(sources.pool.absolute(), ".deb", repair=not self._forbidden())
        self.pool = self._pool.folder
        self._apt: Apt | None = None
        self._index: Index | None = None

    @property
    def code(self) -> tuple[ModuleType, ...]:
        return (debian_tree, neutral)  # how packages are found and fetched changes no tree: the lock names every byte

    @property
    def files(self) -> tuple[Path, ...]:
        return (debian_tree.FILES,)

    def resolve(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, list[LockedPackage]]:
        with self._pool.locked(STATE):
            index = self._updated()
            apt = self._apt_of_suites()
            seed = sorted(index.seed | {"apt"})
            trees: dict[str, list[LockedPackage]] = {}
            below: set[LockedPackage] = set()
            for tree in sorted(wanted, key=lambda name: name != FOUNDATION):
                on_top = tree not in ("host", FOUNDATION)
                names = [*seed, *wanted[tree], *(wanted.get(FOUNDATION, ()) if on_top else ())]
                try:
                    chosen = apt.simulate(sorted(set(names)))
                except AsrboxError as error:
                    raise AsrboxError(f"tree {tree}: {error.message}", hint=error.hint) from error
                found = {index.exact(package.name, package.version, package.architecture) for package in chosen}
                if tree == FOUNDATION:
                    below = found
                trees[tree] = sorted(found - below if on_top else found)
        _agree(trees)
        return {tree: trees[tree] for tree in wanted}

    def missing(self, packages: Sequence[LockedPackage]) -> list[LockedPackage]:
        absent = [package for package in dict.fromkeys(packages) if not self._pool.has_size(package)]
        if not absent or self._forbidden():
            return absent
        with self._pool.locked(STATE):
            index = self._updated()
        return [package for package in absent if not index.offers(package)]

    def fetch(self, packages: Sequence[LockedPackage]) -> list[Path]:
        distinct = list(dict.fromkeys(packages))
        absent = [package for package in distinct if not self._pool.verified(package)]
        if absent and self._forbidden():
            names = ", ".join(f"{package.name} {package.version}" for package in absent)
            raise AsrboxError(
                f"offline, and the pool {self.pool} lacks: {names}",
                hint="build once with a network, or give --mirror with a folder that has them",
            )
        if absent:
            with self._pool.locked(STATE):
                self._download([package for package in absent if not self._pool.verified(package)])
        return [self.pool_file(package) for package in packages]

    def bootstrap(self, tree: Path, packages: Sequence[LockedPackage], *, epoch: int, log: Path) -> None:
        debian_tree.bootstrap(tree, self._files(packages), self.architecture, epoch=epoch, log=log)

    def add(self, tree: Path, packages: Sequence[LockedPackage], *, epoch: int, log: Path) -> None:
        debian_tree.add(tree, self._files(packages), epoch=epoch, log=log)

    def licences(self, tree: Path, packages: Sequence[LockedPackage]) -> dict[str, Licence]:
        return {package.name: of_debian_package(tree, package.name) for package in packages}

    def locator(self, package: LockedPackage) -> str:
        return package_url("deb", "debian", package, package.origin.partition("/")[0])

    def pool_file(self, package: LockedPackage) -> Path:
        """Where the pool keeps this package, whether it is there or not."""
        return self._pool.file(package)

    def _files(self, packages: Sequence[LockedPackage]) -> dict[LockedPackage, Path]:
        for package in packages:
            if not self._pool.verified(package):
                raise AsrboxError(f"{package.name} {package.version} is not in the pool {self.pool}: fetch it first")
        return {package: self.pool_file(package) for package in packages}

    def _download(self, packages: Sequence[LockedPackage]) -> None:
        if not packages:
            return
        index = self._updated()
        for package in packages:
            _check_offer(index, package)
        apt = self._apt_of_suites()
        total = sum(package.size for package in packages)
        done = count = 0
        with log.step(f"fetch {len(packages)} packages, {total / 1e6:.0f} MB"):
            for batch in batches(packages):
                self._download_batch(apt, index, batch)
                count += len(batch)
                done += sum(package.size for package in batch)
                log.info(f"{count} of {len(packages)} packages, {done / 1e6:.0f} of {total / 1e6:.0f} MB")

    def _download_batch(self, apt: Apt, index: Index, batch: Sequence[LockedPackage]) -> None:
        files = {
            package: Download(
                apt.uri_of(index.exact(package.name, package.version, package.architecture).origin),
                apt.folder / "archives" / self.pool_file(package).name,
                package.sha256,
            )
            for package in batch
        }
        failed = apt.download(list(files.values()))
        errors = []
        for package, file in files.items():
            why = failed.get(file.target)
            if why is None and file.target.is_file() and sha256(file.target) == package.sha256:
                file.target.rename(self.pool_file(package))
                continue
            if why is None or _is_mismatch(why):
                file.target.unlink(
                    missing_ok=True
                )  # else it is the beginning of a file: the next build goes on with it
            errors.append(_download_error(package, why or "apt left no file with the locked checksum"))
        if errors:
            raise errors[0] if len(errors) == 1 else ErrorList(errors)

    def _forbidden(self) -> bool:
        """Offline, and the packages are not in a folder either."""
        mirror = self.sources.mirror
        return self.sources.offline and (mirror is None or ("://" in mirror and not is_local(mirror)))

    def _apt_of_suites(self) -> Apt:
        if self._apt is None:
            if self._forbidden():
                raise AsrboxError(
                    "offline: there is no mirror to resolve packages from",
                    hint="use the lock as it is, or give --mirror with a folder",
                )
            keyrings = (*(Path(str(name)) for name in _names(self.manifest["keyrings"])), *self.sources.keyrings)
            probe = Apt(self.pool / STATE / "probe", self.architecture, (), keyrings)
            probe.prepare()
            suites = tuple(suites_of(self.manifest, self.sources.mirror, probe.has_suite))
            self._apt = Apt(self.pool / STATE / _key(suites, keyrings), self.architecture, suites, keyrings)
            self._apt.prepare()
        return self._apt

    def _updated(self) -> Index:
        """The mirror's indices, fetched once in the life of this object."""
        if self._index is None:
            apt = self._apt_of_suites()
            with log.step(f"read the package indices of {', '.join(suite.suite for suite in apt.suites)}"):
                apt.update()
                self._index = read_index(apt.packages_files())
        return self._index


def _agree(trees: Mapping[str, Sequence[LockedPackage]]) -> None:
    seen: dict[tuple[str, str], tuple[str, str]] = {}
    for tree, packages in trees.items():
        for package in packages:
            first_tree, version = seen.setdefault((package.name, package.architecture), (tree, package.version))
            if version != package.version:
                raise AsrboxError(
                    f"{package.name} would be {version} in {first_tree} and {package.version} in {tree}",
                    hint="one distribution has one version of a package: loosen what asks for the older one",
                )


def _check_offer(index: Index, package: LockedPackage) -> None:
    known = index.packages.get((package.name, package.version, package.architecture))
    if known is None:
        raise AsrboxError(f"the mirror has no {package.name} {package.version} any more", hint="run: asrbox lock")
    if known.sha256 != package.sha256:
        raise AsrboxError(
            f"{package.name} {package.version}: checksum mismatch: the lock says {package.sha256}, "
            f"the mirror's index says {known.sha256}",
            hint="the same version was built twice, or someone changed the mirror: compare with another mirror",
        )


def _download_error(package: LockedPackage, why: str) -> AsrboxError:
    what = f"{package.name} {package.version}"
    if is_unreachable(why):
        return unreachable(f"(while fetching {what})", why)
    if _is_mismatch(why):
        return AsrboxError(
            f"{what}: checksum mismatch: the file on the mirror is not the one that its signed index names",
            hint="the mirror is damaged or was tampered with: use another one with --mirror",
        )
    if "404" in why or "File not found" in why:
        return AsrboxError(f"{what}: the mirror lists it but does not have the file", hint="try another --mirror")
    return AsrboxError(f"{what} could not be fetched: {why}")


def _is_mismatch(why: str) -> bool:
    return "Hash Sum mismatch" in why or "unexpected size" in why


def _key(suites: Sequence[Suite], keyrings: Sequence[Path]) -> str:
    return hashlib.sha256(repr((suites, keyrings)).encode()).hexdigest()[:16]


def _names(value: object) -> list[object]:
    if not isinstance(value, list | tuple):
        raise AsrboxError(f"expected a list of names, not {value!r}")
    return list(value)
