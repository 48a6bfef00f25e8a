"""The EFI partition of a medium: a FAT image whose boot menu is replaced with mtools, without a mount."""

from __future__ import annotations

import os
import re
from pathlib import Path

from builder.errors import AsrboxError
from builder.run import run

MENU = "EFI/BOOT/grub.cfg"


def read_menu(image: Path) -> str:
    """The text of EFI/BOOT/grub.cfg in the image. Raises AsrboxError when there is none, or no FAT file system."""
    done = run(["mtype", "-i", image, f"::/{MENU}"], env=_environment(), ok_codes=(0, 1))
    if done.code != 0:
        raise AsrboxError(
            f"the EFI partition of the medium has no readable {MENU}: {done.stderr.strip()}",
            hint="take the vendor's original boot.iso or DVD",
        )
    return done.stdout


def replace_menu(image: Path, text: str, *, epoch: int, scratch: Path) -> None:
    """Write `text` as EFI/BOOT/grub.cfg into the image, dated `epoch`; every other file in it stays as it was.

    `scratch` is a folder for temporary files. Raises AsrboxError when the file system has no room for it.
    """
    before = files(image, scratch / "fat-before")
    new = scratch / "fat-menu.cfg"
    new.write_text(text, encoding="utf-8")
    os.utime(new, (epoch, epoch))
    environment = _environment() | {"SOURCE_DATE_EPOCH": str(epoch)}
    old_size = len(before[MENU])
    _need_room(image, old_size, new.stat().st_size)
    run(["mdel", "-i", image, f"::/{MENU}"], env=environment)
    run(["mcopy", "-m", "-i", image, new, f"::/{MENU}"], env=environment)
    after = files(image, scratch / "fat-after")
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed != [MENU] * (text.encode() != before[MENU]) or after[MENU] != text.encode():
        raise AsrboxError(f"the EFI partition was not edited as planned: {', '.join(changed) or MENU}")


def files(image: Path, folder: Path) -> dict[str, bytes]:
    """Every file of the image by its path; `folder` is made, and used for the copies."""
    folder.mkdir()
    run(["mcopy", "-s", "-n", "-Q", "-i", image, "::/*", folder], env=_environment())
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _need_room(image: Path, old: int, new: int) -> None:
    said = run(["minfo", "-i", image, "::"], env=_environment()).stdout
    cluster = _number(r"cluster size: (\d+) sectors", said) * _number(r"sector size: (\d+) bytes", said)
    listed = run(["mdir", "-i", image, "::/"], env=_environment()).stdout
    free = _number(r"([\d ]+) bytes free", listed)
    grows = (-(-new // cluster) + old // -cluster) * cluster  # files take whole clusters
    if grows > free:
        raise AsrboxError(
            f"the EFI partition of the medium has no room for our boot menu: {free} bytes are free, {grows} are needed",
            hint="give fewer or shorter kernel arguments, a shorter title or a shorter label",
        )


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    if not found:
        raise AsrboxError(f"mtools answered without {pattern!r}: {text.strip()[:200]}", hint="apt-get install mtools")
    return int(found[1].replace(" ", ""))


def _environment() -> dict[str, str]:
    # The check would refuse partitions whose size is no multiple of a track, which no drive has any more.
    return {"MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": "/dev/null"}
