"""An ISO 9660 file as data: its size by its own account, its files without a mount, its boot records."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from builder.errors import AsrboxError
from builder.run import run

BLOCK = 2048  # bytes
_PVD = 16 * BLOCK  # ECMA-119 6.2.1: the first volume descriptor is in block 16
_EXTENT = re.compile(r"^File data lba: +(\d+) , +(\d+) , +(\d+) , +(\d+) , '(.+)'$", re.MULTILINE)
_PIECE = 1 << 20  # bytes


@dataclass(frozen=True)
class Volume:
    """What the primary volume descriptor says: label, and size of the whole in bytes."""

    label: str
    size: int


@dataclass
class Contents:
    """Boot records as xorriso reports them (`report`), and where every file is: its first block, its size in bytes."""

    report: str
    files: dict[str, tuple[int, int]] = field(default_factory=dict)


def volume(iso: Path) -> Volume:
    """Read the primary volume descriptor (ECMA-119 8.4). Raises AsrboxError when the file is no ISO."""
    with iso.open("rb") as stream:
        stream.seek(_PVD)
        descriptor = stream.read(BLOCK)
    if len(descriptor) < BLOCK:
        raise AsrboxError(f"{iso} ends before its volume descriptor: it is truncated, or no ISO", hint="get it again")
    if descriptor[:6] != b"\x01CD001":
        raise AsrboxError(f"{iso} is not an ISO 9660 image")
    (blocks,) = struct.unpack_from("<I", descriptor, 80)
    return Volume(descriptor[40:72].decode("ascii", "replace").rstrip(), blocks * BLOCK)


def whole(iso: Path, size: int) -> None:
    """Raises AsrboxError when the file has less than the `size` bytes that its volume descriptor tells."""
    there = iso.stat().st_size
    if there < size:
        raise AsrboxError(
            f"{iso.name} is truncated: {there} of {size} bytes are there, {size - there} are missing",
            hint="copy or download it again",
        )


def has_joliet(iso: Path) -> bool:
    """True when there is a second directory tree, the one that Windows reads (ECMA-119 8.5 with UCS-2 names)."""
    with iso.open("rb") as stream:
        stream.seek(_PVD)
        while (descriptor := stream.read(BLOCK))[1:6] == b"CD001" and descriptor[0] != 255:
            if descriptor[0] == 2 and descriptor[88:91] in (b"%/@", b"%/C", b"%/E"):
                return True
    return False


def media_check(iso: Path) -> None:
    """Raises AsrboxError unless the checksum that implantisomd5 has put into the ISO is there and fits."""
    done = run(["checkisomd5", iso], ok_codes=(0, 1))
    if done.code != 0:
        said = done.stdout + done.stderr
        if re.search(r"result is: NA|No checksum information|no checksum", said, re.IGNORECASE):
            raise AsrboxError("no checksum is implanted")
        raise AsrboxError("the contents differ from the implanted checksum", hint="copy or download it again")


def contents(iso: Path) -> Contents:
    """Files and boot records. Raises AsrboxError when xorriso cannot read the image."""
    command: list[str | Path] = ["xorriso", "-indev", iso, "-report_el_torito", "plain"]
    command += ["-report_system_area", "plain", "-find", "/", "-type", "f", "-exec", "report_lba"]
    done = run(command)
    found = Contents(done.stdout)
    for number, start, _, size, name in _EXTENT.findall(done.stdout):
        # A file of more than 4 GiB has several extents, one after the other; each line tells the size of the whole.
        if int(number) == 0:
            found.files[name] = (int(start), int(size))
    return found


def read(iso: Path, inside: Contents, name: str) -> bytes:
    """A small file, whole."""
    return b"".join(pieces(iso, inside, name))


def sha256(iso: Path, inside: Contents, name: str) -> str:
    """64 hex digits of the contents of a file of any size."""
    digest = hashlib.sha256()
    for piece in pieces(iso, inside, name):
        digest.update(piece)
    return digest.hexdigest()


def holds(iso: Path, inside: Contents, name: str, file: Path) -> bool:
    """Whether the file `name` of the image has the contents of `file`."""
    if inside.files[name][1] != file.stat().st_size:
        return False
    with file.open("rb") as stream:
        return all(piece == stream.read(len(piece)) for piece in pieces(iso, inside, name))


def pieces(iso: Path, inside: Contents, name: str) -> Iterator[bytes]:
    """The contents of a file of any size, 1 MiB at a time."""
    start, left = inside.files[name]
    with iso.open("rb") as stream:
        stream.seek(start * BLOCK)
        while left and (piece := stream.read(min(_PIECE, left))):
            left -= len(piece)
            yield piece
