"""A folder with exactly the locked packages, to be carried to a place without internet: `asrbox mirror`.

    <folder>/<repository>/Packages/*.rpm  <folder>/<repository>/repodata/
    <folder>/keys/<fingerprint>.asc       <folder>/lock.json

A build takes it with `--offline --mirror <folder>`. The same lock gives the same folder, byte by byte.
"""

from __future__ import annotations

import datetime
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from builder import lock, log
from builder.bases import Base, LockedPackage
from builder.bases.pool import sha256
from builder.bases.rpm import RpmBase
from builder.bases.rpm_dnf import path_of, repository_of
from builder.errors import AsrboxError
from builder.lock import Lock
from builder.run import run


@dataclass(frozen=True)
class Collected:
    """What one repository of the folder holds: packages, and their size in bytes."""

    repository: str
    packages: int
    size: int


def collect(base: Base, locked: Lock, target: Path) -> list[Collected]:
    """Make `target` a mirror of exactly the locked packages; an interrupted call is simply made again.

    Packages of an earlier lock leave the folder. Raises AsrboxError like `Base.fetch`, and when the base has no RPMs.
    """
    if not isinstance(base, RpmBase):
        raise AsrboxError(
            f"the base {locked.base} is made of Debian packages, which the pool keeps as they are",
            hint="carry the folder `pool` of the store along, and build there with --offline",
        )
    packages = locked.packages()
    base.fetch(packages)
    made = []
    with log.step(f"lay out {len(packages)} packages in {target}"):
        for name in base.repositories:
            here = [package for package in packages if repository_of(package) == name]
            made.append(_repository(base, target / name, here, _epoch(locked)))
            log.info(f"{name}: {made[-1].packages} packages, {made[-1].size / 1e6:.1f} MB")
        keys = target / "keys"
        keys.mkdir(exist_ok=True)
        for key in {key.fingerprint: key for name in base.repositories for key in base.keys_of(name)}.values():
            (keys / f"{key.fingerprint}.asc").write_text(key.text)
        lock.write(target / "lock.json", locked)
        for path in [*target.rglob("*"), target]:
            os.utime(path, (_epoch(locked), _epoch(locked)))
    log.info(f"{target}: {len(packages)} packages, {sum(part.size for part in made) / 1e6:.1f} MB, all verified")
    return made


def _epoch(locked: Lock) -> int:
    """The day of the lock, 00:00 UTC, in seconds since 1970: the time of everything in the folder."""
    return int(datetime.datetime.fromisoformat(locked.made).replace(tzinfo=datetime.UTC).timestamp())


def _repository(base: RpmBase, folder: Path, packages: list[LockedPackage], epoch: int) -> Collected:
    place = folder / "Packages"
    place.mkdir(parents=True, exist_ok=True)
    files = {package: place / Path(path_of(package)).name for package in packages}
    for stranger in set(place.iterdir()) - set(files.values()):
        stranger.unlink()
    for package, path in files.items():
        if not path.is_file() or sha256(path) != package.sha256:
            _put(base.pool.file(package), path)
        os.utime(path, (epoch, epoch))  # stands in the index
    base.verify(files)
    shutil.rmtree(folder / "repodata", ignore_errors=True)
    options = ["--quiet", "--no-database", "--checksum", "sha256", "--workers", "1"]
    run(["createrepo_c", *options, f"--revision={epoch}", "--set-timestamp-to-revision", folder])
    return Collected(folder.name, len(packages), sum(package.size for package in packages))


def _put(source: Path, target: Path) -> None:
    """A copy: the folder may lie on a stick, and what happens there must not reach the pool."""
    temporary = target.with_name(f".{target.name}")
    shutil.copyfile(source, temporary)
    temporary.rename(target)
