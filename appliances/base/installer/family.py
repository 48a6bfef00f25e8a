"""What differs between families of distributions on an installed disk: names of the boot loader and of the initrd."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

OS_RELEASE = Path("/etc/os-release")


@dataclass(frozen=True)
class Family:
    """`initrd` has a place for the kernel's version; `efi_options` are needed to install GRUB for UEFI.

    `labels` is the file with the SELinux labels of the target, where there is one.
    """

    name: str
    grub_install: str
    grub_folder: str
    initrd: str
    efi_options: tuple[str, ...] = ()
    labels: str | None = None


DEBIAN = Family("debian", "grub-install", "/boot/grub", "initrd.img-{kernel}")
EL = Family(
    "el",
    "grub2-install",
    "/boot/grub2",
    "initramfs-{kernel}.img",
    efi_options=("--force",),  # it refuses otherwise, since what it makes is not signed for Secure Boot
    labels="/etc/selinux/targeted/contexts/files/file_contexts",
)
FAMILIES = {family.name: family for family in (DEBIAN, EL)}


def of_this_system(os_release: Path = OS_RELEASE) -> Family:
    """The family of the running system: on the medium it is the one that will be unpacked, too."""
    text = os_release.read_text(encoding="utf-8") if os_release.exists() else ""
    found = re.findall(r'^ID(?:_LIKE)?="?([^"\n]*)"?$', text, re.MULTILINE)
    words = " ".join(found).split()
    return EL if {"rhel", "fedora", "centos"} & set(words) else DEBIAN
