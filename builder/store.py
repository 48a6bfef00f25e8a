"""The store: outputs of steps, each in a folder named by the step's id.

    objects/<id>/out/        what the step made
    objects/<id>/step.json   its ingredients, its size in bytes
    last/<step name>.json    ingredients of the last run of a step of that name, for `explain`
    tmp/                     what is being made; whatever is there when nobody builds is rubbish
    build.lock               held by the one process that may write

An output is either whole or not there: it is made in tmp/ and renamed. A process that is killed leaves rubbish in
tmp/, which the next holder of the lock removes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builder import log
from builder.errors import AsrboxError
from builder.step import Step


class Store:
    """A folder of step outputs. Reading needs no lock; `writing()` must be held to put or evict."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.objects = path / "objects"
        self.tmp = path / "tmp"
        self.last = path / "last"

    @property
    def pool(self) -> Path:
        """Folder of verified package files."""
        return self.path / "pool"

    @property
    def wheels(self) -> Path:
        """Folder of verified wheels."""
        return self.path / "wheels"

    @contextlib.contextmanager
    def writing(self, *, wait: bool = True) -> Iterator[None]:
        """Hold the build lock. Without `wait`, raises AsrboxError that names the process holding it."""
        for folder in (self.objects, self.tmp, self.last, self.pool, self.wheels):
            folder.mkdir(parents=True, exist_ok=True)
        with (self.path / "build.lock").open("a+") as file:
            self._acquire(file, wait)
            file.seek(0)
            file.truncate()
            file.write(f"process {os.getpid()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
            file.flush()
            for rubbish in self.tmp.iterdir():
                remove(rubbish)
            yield

    def _acquire(self, file: Any, wait: bool) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            file.seek(0)
            holder = file.read().strip() or "another process"
            if not wait:
                raise AsrboxError(
                    f"the store {self.path} is in use by {holder}", hint="wait for it, or give --store another folder"
                ) from error
            log.warn(f"waiting for {holder}, which builds in {self.path}")
            fcntl.flock(file, fcntl.LOCK_EX)

    def has(self, step: Step) -> bool:
        return (self.objects / step.id / "step.json").is_file()

    def out(self, step: Step) -> Path:
        """Folder with the output of a step that the store has."""
        return self.objects / step.id / "out"

    def touch(self, step: Step) -> None:
        """Remember that the output was used just now."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.objects / step.id / "step.json")

    def staging(self) -> Path:
        """A new folder of our own below tmp/, on the same file system as the objects."""
        return Path(tempfile.mkdtemp(dir=self.tmp))

    def commit(self, step: Step, staging: Path) -> None:
        """Make a staged folder (with out/ in it) the output of the step, all at once."""
        record = {"ingredients": step.ingredients, "size": size_of(staging / "out")}
        _write_json(staging / "step.json", record)
        staging.chmod(0o755)
        staging.rename(self.objects / step.id)
        self.remember(step)

    def remember(self, step: Step) -> None:
        """Note the ingredients as those of the last run, for `explain`."""
        path = self.last / f"{step.name.replace(':', '-')}.json"
        staged = self.staging() / "last.json"
        _write_json(staged, step.ingredients)
        staged.rename(path)
        staged.parent.rmdir()

    def last_ingredients(self, step: Step) -> dict[str, Any] | None:
        """The ingredients of the last run of a step of this name; None when there was none."""
        try:
            found: dict[str, Any] = json.loads((self.last / f"{step.name.replace(':', '-')}.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return found

    def discard(self, identity: str) -> None:
        """Remove an output, if it is there: out of sight at once, and then file by file."""
        doomed = self.staging() / identity
        with contextlib.suppress(FileNotFoundError):
            (self.objects / identity).rename(doomed)
        remove(doomed.parent)

    def evict(self, keep: set[str], limit: int) -> list[str]:
        """Remove outputs, the longest unused first, until at most `limit` bytes are left; never those in `keep`."""
        entries = []
        for record in self.objects.glob("*/step.json"):
            size = int(json.loads(record.read_text())["size"])
            entries.append((record.stat().st_mtime, record.parent.name, size))
        total = sum(size for _, _, size in entries)
        gone = []
        for _, identity, size in sorted(entries):
            if total <= limit:
                break
            if identity in keep:
                continue
            self.discard(identity)
            total -= size
            gone.append(identity)
        return gone


def size_of(path: Path) -> int:
    """Bytes of all regular files below `path`."""
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            facts = os.lstat(os.path.join(folder, name))  # noqa: PTH118  hot loop over 10^5 files
            if stat.S_ISREG(facts.st_mode):
                total += facts.st_size
    return total


def remove(path: Path) -> None:
    """Remove a file or a whole tree. Raises AsrboxError when something is still mounted below it."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    if below := [place for place in mounted if place == str(path) or place.startswith(f"{path}/")]:
        raise AsrboxError(f"{below[0]} is still mounted", hint=f"umount {below[0]}")
    shutil.rmtree(path)


def _write_json(path: Path, data: Any) -> None:
    with path.open("w") as file:
        json.dump(data, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
