"""Files that are either old or new, never half: written beside, flushed to the disk, then renamed."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any


def write(path: Path, content: str | bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> bool:
    """Make `path` hold `content` with this mode and owner; returns False when nothing had to change.

    A reader, or a machine that loses power, sees the old file or the new one. Owners are set only when the caller is
    root, so that tests can run as anybody.
    """
    data = content.encode() if isinstance(content, str) else content
    if _is_already(path, data, mode, uid, gid):
        return False
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if os.geteuid() == 0:
                os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return True


def write_json(path: Path, value: Any, **owner: int) -> bool:
    """`write()` of a value as indented JSON."""
    return write(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n", **owner)


def folder(path: Path, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Path:
    """Make a folder (and its parents) with this mode and owner; returns it."""
    path.mkdir(parents=True, exist_ok=True)
    status = path.stat()
    if status.st_mode & 0o7777 != mode:
        path.chmod(mode)
    if os.geteuid() == 0 and (status.st_uid, status.st_gid) != (uid, gid):
        os.chown(path, uid, gid)
    return path


def sync_folder(path: Path) -> None:
    """Flush the names in a folder to the disk, so that a rename survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_already(path: Path, data: bytes, mode: int, uid: int, gid: int) -> bool:
    try:
        status = path.lstat()
        same = status.st_mode & 0o7777 == mode and path.read_bytes() == data
    except OSError:
        return False
    return same and (os.geteuid() != 0 or (status.st_uid, status.st_gid) == (uid, gid))
