"""Compares a remade medium with the vendor's: the same boot records, and the same files but for those we change."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from builder import isofile
from builder.errors import AsrboxError
from builder.isofile import BLOCK, Contents

# Boot code of the MBR without what is patched into it: the block of the BIOS loader, disk signature, partition table.
_BOOT_CODE = slice(0, 432)
# Patched by xorriso into the loader that the BIOS starts (its boot info table, and GRUB's own pointer to itself).
_BOOT_INFO_TABLE = slice(8, 64)
_GRUB2_BOOT_INFO = slice(2548, 2556)
# Whether partitions end with a cylinder: xorriso gives that up for media that are larger than a disk of cylinders.
_CYLINDER_BITS = 0x300
_KEPT = {
    "El Torito cat path": None,
    "El Torito img path": None,
    "El Torito img opts": None,
    "El Torito boot img": slice(0, 7),  # all but the block where it begins
    "System area options": None,
    "System area summary": None,
    "Partition offset": None,
    "MBR partition": slice(0, 3),  # number, status, type
    "MBR partition path": None,
    "GPT partname local": None,
    "GPT type GUID": None,
    "GPT partition flags": None,
    "GPT partition path": None,
}


def records(contents: Contents) -> list[str]:
    """What the boot records say, without places, sizes and geometry, which follow from the size of all files.

    GPT entries named Gap are left out, too: they only fill what is left between other things.
    """
    kept = []
    gaps = set(re.findall(r"^GPT partname local : +(\d+) +Gap\d+$", contents.report, re.MULTILINE))
    for line in contents.report.splitlines():
        name, colon, value = line.partition(":")
        name = name.strip()
        words = value.split()
        if colon and name in _KEPT and not (name.startswith("GPT ") and words[0] in gaps):
            if name == "System area options":
                words = [f"0x{int(words[0], 16) & ~_CYLINDER_BITS:08x}"]
            words = [word for word in words if not word.startswith("cyl-align-")]
            kept.append(" ".join([f"{name}:", *words[_KEPT[name] or slice(None)]]))
    return kept


def compare(before: Path, after: Path, *, changed: Collection[str]) -> int:
    """How many files are the same on both media.

    `changed` are the paths of those that may differ, and of those that were added. Raises AsrboxError for any other
    difference: boot records, boot code, files.
    """
    old, new = isofile.contents(before), isofile.contents(after)
    differ = [*_differences(records(old), records(new)), *_boot_code(before, after)]
    table = _loader_of_bios(old)
    same = 0
    for name in sorted(old.files.keys() | new.files.keys()):
        if name in changed or name == _catalog(old):
            continue
        if name not in new.files or name not in old.files:
            differ.append(f"{name} is {'missing' if name not in new.files else 'new'}")
        elif not _same(before, old, after, new, name, is_loader=name == table):
            differ.append(f"{name} has changed")
        else:
            same += 1
    differ += _places(new)
    if differ:
        raise AsrboxError(
            f"the remade medium differs from {before} where it must not: {'; '.join(differ[:10])}",
            hint="this is a fault of asrbox or of xorriso, please report it with the log of the build",
        )
    return same


def _differences(before: list[str], after: list[str]) -> Iterator[str]:
    yield from (f"boot record lost ({line})" for line in before if line not in after)
    yield from (f"boot record added ({line})" for line in after if line not in before)


def _boot_code(before: Path, after: Path) -> Iterator[str]:
    codes = []
    for iso in (before, after):
        with iso.open("rb") as stream:
            codes.append(stream.read(BLOCK)[_BOOT_CODE])
    if codes[0] != codes[1]:
        yield "the boot code of the MBR has changed"


def _places(new: Contents) -> Iterator[str]:
    """El Torito and GPT must lead to the same EFI partition."""
    image = re.search(r"^El Torito boot img : +\d+ +UEFI .* (\d+)$", new.report, re.MULTILINE)
    starts = re.findall(r"^GPT start and size : +\d+ +(\d+) ", new.report, re.MULTILINE)
    if not image or str(int(image[1]) * BLOCK // 512) not in starts:
        yield "El Torito and GPT do not lead to the same EFI partition"


def _loader_of_bios(contents: Contents) -> str:
    number = re.search(r"^El Torito boot img : +(\d+) +BIOS ", contents.report, re.MULTILINE)
    found = re.search(rf"^El Torito img path : +{number[1]} +(\S+)$", contents.report, re.MULTILINE) if number else None
    return found[1] if found else ""


def _catalog(contents: Contents) -> str:
    found = re.search(r"^El Torito cat path : (\S+)$", contents.report, re.MULTILINE)
    return found[1] if found else ""


def _same(before: Path, old: Contents, after: Path, new: Contents, name: str, *, is_loader: bool) -> bool:
    if old.files[name][1] != new.files[name][1]:
        return False
    if is_loader:
        return _masked(isofile.read(before, old, name)) == _masked(isofile.read(after, new, name))
    pieces = zip(isofile.pieces(before, old, name), isofile.pieces(after, new, name), strict=True)
    return all(first == second for first, second in pieces)


def _masked(loader: bytes) -> bytes:
    content = bytearray(loader)
    for part in (_BOOT_INFO_TABLE, _GRUB2_BOOT_INFO):
        content[part] = bytes(part.stop - part.start)
    return bytes(content)
