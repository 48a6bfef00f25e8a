"""The pool: verified package files, each named by its sha256, shared by all builds."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import log
from builder.bases import LockedPackage
from builder.errors import AsrboxError

BATCH = 32 * 1024 * 1024  # bytes per download: small enough to show progress and to lose little when interrupted


@dataclass(frozen=True)
class Pool:
    """Files <sha256><suffix> in `folder`. With `repair`, a damaged one is removed so that it is fetched again."""

    folder: Path
    suffix: str
    repair: bool

    def file(self, package: LockedPackage) -> Path:
        """Where this package is kept, whether it is there or not."""
        return self.folder / f"{package.sha256}{self.suffix}"

    def has_size(self, package: LockedPackage) -> bool:
        """Whether a file of the right size is there; its contents are not read."""
        try:
            return self.file(package).stat().st_size == package.size
        except FileNotFoundError:
            return False

    def verified(self, package: LockedPackage) -> bool:
        """Whether the right bytes are there. Raises AsrboxError for wrong ones that may not be repaired."""
        path = self.file(package)
        if self.has_size(package) and sha256(path) == package.sha256:
            return True
        if path.exists():
            if not self.repair:
                raise AsrboxError(
                    f"the pool's file of {package.name} {package.version} is damaged: {path}",
                    hint="remove that file and build once without --offline",
                )
            log.warn(f"the pool's file of {package.name} {package.version} is damaged: fetching it again")
            path.unlink()
        return False

    @contextlib.contextmanager
    def locked(self, state: str) -> Iterator[None]:
        """One builder at a time uses the folder `state` in the pool; a second one says so and waits."""
        folder = self.folder / state
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder / "lock", f"another build that fetches into {self.folder}"):
            yield


@contextlib.contextmanager
def alone(lock: Path, other: str) -> Iterator[None]:
    """Hold the file `lock`; when somebody else does, say that `other` is waited for, and wait."""
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info(f"waiting for {other}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def batches(packages: Sequence[LockedPackage]) -> Iterator[list[LockedPackage]]:
    """Packages in the order given, in groups that are fetched at once."""
    batch: list[LockedPackage] = []
    size = 0
    for package in packages:
        batch.append(package)
        size += package.size
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def sha256(path: Path) -> str:
    """The checksum of a file, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
