"""Looks at an ISO: is it a vendor's installer that can be remade, of which product, and how does it boot?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from builder import isofile
from builder.errors import AsrboxError
from builder.isofile import BLOCK, Contents
from builder.vendor.treeinfo import Description, describe

Layout = Literal["isolinux", "grub2"]

ARCH = "x86_64"
KERNEL, INITRD = "/images/pxeboot/vmlinuz", "/images/pxeboot/initrd.img"
DISCINFO, TREEINFO = "/.discinfo", "/.treeinfo"
EFI_IMAGE = "/images/efiboot.img"
EFI_MENU = "/EFI/BOOT/grub.cfg"
# The program that the BIOS starts, and its menu: EL9 has the first layout, EL10 the second.
LOADERS: dict[Layout, tuple[str, str]] = {
    "isolinux": ("/isolinux/isolinux.bin", "/isolinux/isolinux.cfg"),
    "grub2": ("/images/eltorito.img", "/boot/grub2/grub.cfg"),
}
_ORIGINAL = "take the vendor's original boot.iso or DVD for x86_64"
_SECTOR = 512  # bytes


@dataclass(frozen=True)
class Medium:
    """A vendor's installer ISO.

    `efi_start` and `efi_size` are where the FAT image of the EFI partition lies in the file, in bytes; it is the file
    `efi_file` of the medium too, or a partition of its own behind the file system (None).
    """

    iso: Path
    label: str
    about: Description
    layout: Layout
    contents: Contents
    joliet: bool
    efi_start: int
    efi_size: int
    efi_file: str | None

    @property
    def bios_menu(self) -> str:
        return LOADERS[self.layout][1]

    @property
    def menus(self) -> list[str]:
        """Paths of the boot menus on the medium; one more is in the EFI partition."""
        return [self.bios_menu, EFI_MENU]

    def text(self, name: str) -> str:
        """A small text file of the medium."""
        return isofile.read(self.iso, self.contents, name).decode("utf-8", "surrogateescape")


def look(iso: Path) -> Medium:
    """Read what the medium is. Raises AsrboxError for anything but a whole x86_64 installer in one of the layouts."""
    if not iso.is_file():
        raise AsrboxError(f"the file {iso} does not exist", hint="download the vendor's boot.iso first")
    volume = isofile.volume(iso)
    isofile.whole(iso, volume.size)
    contents = isofile.contents(iso)
    if DISCINFO not in contents.files:
        raise AsrboxError(f"{iso} is not an installer ISO: it has no {DISCINFO}", hint=_ORIGINAL)
    texts = [
        isofile.read(iso, contents, name).decode(errors="replace") if name in contents.files else None
        for name in (DISCINFO, TREEINFO)
    ]
    about = describe(texts[0] or "", texts[1], iso=str(iso), label=volume.label)
    if about.arch != ARCH:
        raise AsrboxError(f"{iso} is {about.product} for {about.arch}, but asrbox is for {ARCH}", hint=_ORIGINAL)
    layout = _layout(iso, contents)
    needed = [KERNEL, INITRD, f"/{about.runtime}", LOADERS[layout][1], EFI_MENU]
    missing = [name for name in needed if name not in contents.files]
    if missing:
        raise AsrboxError(
            f"{iso} is not a complete installer of {about.product}: it lacks {', '.join(missing)}",
            hint=_ORIGINAL,
        )
    start, size, file = _efi(iso, contents)
    return Medium(iso, volume.label, about, layout, contents, isofile.has_joliet(iso), start, size, file)


def efi_image(medium: Medium, target: Path) -> None:
    """Write the FAT image of the EFI partition to `target`."""
    with medium.iso.open("rb") as stream, target.open("wb") as copy:
        stream.seek(medium.efi_start)
        copy.write(stream.read(medium.efi_size))


def _layout(iso: Path, contents: Contents) -> Layout:
    bios = re.search(r"^El Torito boot img : +(\d+) +BIOS +y +none ", contents.report, re.MULTILINE)
    path = re.search(rf"^El Torito img path : +{bios[1]} +(\S+)$", contents.report, re.MULTILINE) if bios else None
    for layout, (loader, _) in LOADERS.items():
        if path and path[1] == loader:
            return layout
    known = " or ".join(loader for loader, _ in LOADERS.values())
    raise AsrboxError(
        f"{iso} boots by BIOS from {path[1] if path else 'nothing'}, {known} is expected",
        hint="only media in the layouts of EL9 and EL10 can be remade",
    )


def _efi(iso: Path, contents: Contents) -> tuple[int, int, str | None]:
    image = re.search(r"^El Torito boot img : +(\d+) +UEFI +y +none .* (\d+)$", contents.report, re.MULTILINE)
    if not image:
        raise AsrboxError(f"{iso} has no El Torito entry for UEFI", hint=_ORIGINAL)
    path = re.search(rf"^El Torito img path : +{image[1]} +(\S+)$", contents.report, re.MULTILINE)
    for start, size in re.findall(r"^GPT start and size : +\d+ +(\d+) +(\d+)$", contents.report, re.MULTILINE):
        if int(start) * _SECTOR == int(image[2]) * BLOCK:
            if path:  # the partition may be rounded up, the file is not
                return int(start) * _SECTOR, contents.files[path[1]][1], path[1]
            return int(start) * _SECTOR, int(size) * _SECTOR, None
    raise AsrboxError(
        f"{iso} has no GPT partition where the El Torito entry for UEFI points: a stick would not boot", hint=_ORIGINAL
    )
