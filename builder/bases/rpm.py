"""The EL family: dnf resolves, curl downloads, rpmkeys verifies, rpm installs, the lock decides what."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from builder import log as console
from builder.bases import (
    Base,
    LockedPackage,
    Sources,
    debian_tree,
    neutral,
    package_url,
    rpm_curl,
    rpm_database,
    rpm_keys,
    rpm_tree,
)
from builder.bases.pool import Pool, batches, sha256
from builder.bases.rpm_curl import Download, is_local, local_path
from builder.bases.rpm_dnf import Solver, Wanted, path_of, repository_of
from builder.bases.rpm_keys import Key, Trust
from builder.bases.rpm_repositories import Repository, as_url, find, rows_named
from builder.errors import AsrboxError, ErrorList
from builder.licences import Licence, of_rpm

FOUNDATION = "container"
STATE = ".dnf"


class RpmBase(Base, family="el"):
    """Packages of RPM repositories. The pool holds <sha256>.rpm, and the state of dnf, curl and rpm below .dnf/."""

    def __init__(self, manifest: Mapping[str, object], sources: Sources) -> None:
        super().__init__(manifest, sources)
        self._rows: Mapping[str, Any] = manifest
        mirror = sources.mirror
        self._forbidden = sources.offline and (mirror is None or ("://" in mirror and not is_local(mirror)))
        self.pool = Pool(sources.pool.absolute(), ".rpm", repair=not self._forbidden)
        self._state = self.pool.folder / STATE
        self._found: dict[str, Repository] = {}
        self._trust: dict[str, Trust] = {}

    @property
    def code(self) -> tuple[ModuleType, ...]:
        return (rpm_tree, neutral, rpm_database, debian_tree)  # the last for the namespaces

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(rpm_tree.FILES / name for name in ("install-rpms.sh", "skip-kernel-install"))

    @property
    def options(self) -> dict[str, str]:
        return {"rpmdb": self._database}

    def resolve(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, list[LockedPackage]]:
        with self.pool.locked(STATE):
            solver = self._solver(self.repositories)
            order = sorted(wanted, key=lambda name: name != FOUNDATION)
            base = FOUNDATION if FOUNDATION in wanted else None
            asked = [Wanted(tree, wanted[tree], None if tree in ("host", FOUNDATION) else base) for tree in order]
            with console.step(f"resolve the packages of {len(asked)} trees"):
                trees = solver.resolve(asked)
            chosen = list(dict.fromkeys(package for tree in trees.values() for package in tree))
            # Who has signed a package stands in its file alone, so a lock is only made of files that are here.
            self._download([package for package in chosen if not self.pool.verified(package)])
            keys, errors = self._signers({package: self.pool.file(package) for package in chosen})
            _raise(errors)
        return {tree: sorted(replace(package, key=keys[package]) for package in trees[tree]) for tree in wanted}

    def missing(self, packages: Sequence[LockedPackage]) -> list[LockedPackage]:
        absent = [package for package in dict.fromkeys(packages) if not self.pool.has_size(package)]
        if not absent or self._forbidden:
            return absent
        with self.pool.locked(STATE):
            offers = self._offers(absent)
        return [package for package, offer in offers.items() if offer is None or offer.sha256 != package.sha256]

    def fetch(self, packages: Sequence[LockedPackage]) -> list[Path]:
        distinct = list(dict.fromkeys(packages))
        self._assert_keys(distinct)
        absent = [package for package in distinct if not self.pool.verified(package)]
        if absent and self._forbidden:
            names = ", ".join(f"{package.name} {package.version}" for package in absent)
            raise AsrboxError(
                f"offline, and the pool {self.pool.folder} lacks: {names}",
                hint="build once with a network, or give --mirror with a folder that `asrbox mirror` has made",
            )
        if absent:
            with self.pool.locked(STATE):
                self._download([package for package in absent if not self.pool.verified(package)])
        return [self.pool.file(package) for package in packages]

    def verify(self, files: Mapping[LockedPackage, Path]) -> None:
        """Check files that are not in the pool: checksum, and signature by the locked key. Raises AsrboxError."""
        for package, path in files.items():
            if sha256(path) != package.sha256:
                raise AsrboxError(
                    f"{path} is not {package.name} {package.version} of the lock: checksum mismatch",
                    hint="remove it and run the same command again",
                )
        with self.pool.locked(STATE):
            _raise(self._signers(files)[1])

    @property
    def repositories(self) -> list[str]:
        """Names of the repositories of the manifest."""
        return [str(row["name"]) for row in self._rows["repositories"]]

    def keys_of(self, repository: str) -> tuple[Key, ...]:
        """The public keys that may sign packages of a repository of the manifest."""
        (row,) = rows_named(self._rows, [repository])
        mirror = as_url(self.sources.mirror) if self.sources.mirror is not None and not self._forbidden else None
        root, cache, offline = self.sources.root, self._state / "keys", self.sources.offline
        pinned = [rpm_keys.pinned(key, root=root, cache=cache, mirror=mirror, offline=offline) for key in row["keys"]]
        return (*pinned, *self._given_keys)

    def bootstrap(self, tree: Path, packages: Sequence[LockedPackage], *, epoch: int, log: Path) -> None:
        rpm_tree.bootstrap(tree, self._files(packages), self._database, epoch=epoch, log=log)

    def add(self, tree: Path, packages: Sequence[LockedPackage], *, epoch: int, log: Path) -> None:
        rpm_tree.add(tree, self._files(packages), self._database, epoch=epoch, log=log)

    def licences(self, tree: Path, packages: Sequence[LockedPackage]) -> dict[str, Licence]:
        return {name: of_rpm(tag, name) for name, tag in rpm_tree.licence_tags(list(self._files(packages).values()))}

    def locator(self, package: LockedPackage) -> str:
        return package_url("rpm", "centos", package, str(self.manifest["base"]))

    def label(self, tree: Path, *, log: Path) -> None:
        rpm_tree.label(tree, log=log)

    @property
    def _database(self) -> str:
        return str(self._rows["rpmdb"])

    @cached_property
    def _given_keys(self) -> tuple[Key, ...]:
        keys = tuple(key for path in self.sources.keyrings for key in rpm_keys.read(path))
        for key in keys:
            console.warn(f"the key {key.fingerprint} of --keyring is trusted for every repository")
        return keys

    def _files(self, packages: Sequence[LockedPackage]) -> dict[LockedPackage, Path]:
        for package in packages:
            if not self.pool.verified(package):
                raise AsrboxError(f"{package.name} {package.version} is not in the pool: fetch it first")
        return {package: self.pool.file(package) for package in packages}

    def _assert_keys(self, packages: Sequence[LockedPackage]) -> None:
        """A lock cannot name a key that the manifest does not pin for that repository."""
        given = {key.fingerprint for key in self._given_keys}
        for package in packages:
            (row,) = rows_named(self._rows, [repository_of(package)])
            if package.key not in {str(key["fingerprint"]) for key in row["keys"]} | given:
                raise AsrboxError(
                    f"{package.name} {package.version} is locked as signed with the key {package.key or '(none)'}, "
                    f"which is not trusted for the repository {row['name']}",
                    hint="run: asrbox lock, or give the key of a repository of your own with --keyring",
                )

    def _repository(self, row: Mapping[str, Any]) -> Repository:
        name = str(row["name"])
        if name not in self._found:
            if self._forbidden:
                raise AsrboxError("offline: there is no mirror to take packages from", hint=rpm_curl.WAYS_ON)
            self._found[name] = find(row, self.sources.mirror)
        return self._found[name]

    def _solver(self, names: Sequence[str]) -> Solver:
        found = tuple(self._repository(row) for row in rows_named(self._rows, names))
        platform = self._rows.get("module_platform")
        state = self._state / f"dnf-{hashlib.sha256(repr((found, platform)).encode()).hexdigest()[:16]}"
        return Solver(state, str(self._rows["architecture"]), str(self._rows["release"]), platform, found)

    def _offers(self, packages: Sequence[LockedPackage]) -> dict[LockedPackage, LockedPackage | None]:
        solver = self._solver(sorted({repository_of(package) for package in packages}))
        return dict(zip(packages, solver.find(packages), strict=True))

    def _signers(self, files: Mapping[LockedPackage, Path]) -> tuple[dict[LockedPackage, str], list[AsrboxError]]:
        """Who signed each file, and what is wrong with the others; a package of a lock wants the locked key."""
        found: dict[LockedPackage, str] = {}
        errors = []
        for name in sorted({repository_of(package) for package in files}):
            if name not in self._trust:
                self._trust[name] = Trust(self._state / f"trust-{name}", self.keys_of(name))
                self._trust[name].prepare()
            here = {package: path for package, path in files.items() if repository_of(package) == name}
            said = self._trust[name].signers({path: f"{p.name} {p.version}" for p, path in here.items()})
            for package, path in here.items():
                signer = said[path]
                if isinstance(signer, AsrboxError):
                    errors.append(signer)
                elif package.key not in ("", signer):
                    what = f"{package.name} {package.version}"
                    errors.append(AsrboxError(f"{what} is signed with the key {signer}, not with {package.key}"))
                else:
                    found[package] = signer
        return found, errors

    def _download(self, packages: Sequence[LockedPackage]) -> None:
        if not packages:
            return
        offers = self._offers(packages)
        _raise([error for package, offer in offers.items() if (error := _refusal(package, offer))])
        total = sum(package.size for package in packages)
        done = count = 0
        with console.step(f"fetch {len(packages)} packages, {total / 1e6:.0f} MB"):
            for batch in batches(packages):
                self._download_batch({package: path_of(offers[package] or package) for package in batch})
                count += len(batch)
                done += sum(package.size for package in batch)
                console.info(f"{count} of {len(packages)} packages, {done / 1e6:.0f} of {total / 1e6:.0f} MB")

    def _download_batch(self, paths: Mapping[LockedPackage, str]) -> None:
        folder = self._state / "partial"
        folder.mkdir(exist_ok=True)
        files = {
            package: Download(
                f"{self._found[repository_of(package)].url}/{path}", folder / self.pool.file(package).name, package.size
            )
            for package, path in paths.items()
        }
        errors: list[AsrboxError] = []
        for package, file in files.items():
            if is_local(file.url):
                _copy(package, file, errors)
        failed = rpm_curl.fetch([file for file in files.values() if not is_local(file.url)], folder)
        errors += [
            _not_fetched(package, failed[file.target]) for package, file in files.items() if file.target in failed
        ]
        # what failed may be the beginning of a file, and the next build goes on with it
        came = {p: file.target for p, file in files.items() if file.target not in failed and file.target.exists()}
        for package in [package for package, path in came.items() if sha256(path) != package.sha256]:
            came.pop(package).unlink()
            errors.append(_mismatch(package))
        proven, refused = self._signers(came)
        for package, path in came.items():
            if package in proven:
                path.rename(self.pool.file(package))
            else:
                path.unlink()
        _raise([*errors, *refused])


def _copy(package: LockedPackage, file: Download, errors: list[AsrboxError]) -> None:
    try:
        shutil.copyfile(local_path(file.url), file.target)
    except FileNotFoundError:
        errors.append(_not_fetched(package, "404"))


def _refusal(package: LockedPackage, offer: LockedPackage | None) -> AsrboxError | None:
    if offer is None:
        return AsrboxError(
            f"the mirror has no {package.name} {package.version} any more (in {repository_of(package)})",
            hint="run: asrbox lock",
        )
    if offer.sha256 != package.sha256:
        return AsrboxError(
            f"{package.name} {package.version}: checksum mismatch: the lock says {package.sha256}, "
            f"the mirror's index says {offer.sha256}",
            hint="the same version was built twice, or someone changed the mirror: compare with another mirror",
        )
    return None


def _mismatch(package: LockedPackage) -> AsrboxError:
    return AsrboxError(
        f"{package.name} {package.version}: checksum mismatch: the file on the mirror is not the one that was locked",
        hint="the mirror is damaged or was tampered with: use another one with --mirror",
    )


def _not_fetched(package: LockedPackage, why: str) -> AsrboxError:
    what = f"{package.name} {package.version}"
    if "404" in why:
        return AsrboxError(f"{what}: the mirror lists it but does not have the file", hint="try another --mirror")
    return AsrboxError(f"{what} could not be fetched: {why}", hint="run the same command again: it goes on from here")


def _raise(errors: Sequence[AsrboxError]) -> None:
    if errors:
        raise errors[0] if len(errors) == 1 else ErrorList(list(errors))
