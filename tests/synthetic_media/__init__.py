"""Boot media in the layout of EL9 and EL10, made of Debian's own boot files. Not CentOS, not Anaconda, not signed.

What is like the vendor's: where the files lie, the boot records, the manner of the menus. What is not: every file.
`BOOTX64.EFI` stands where the vendor has its shim and is Debian's GRUB; stage 1 is a shell script (stage1.sh).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from builder.run import run

Kind = Literal["el9", "el10"]

HERE = Path(__file__).parent
EPOCH = 1_700_000_000  # when the synthetic vendor has made its medium
LABELS = {"el9": "Synthetic-Stream-9-BaseOS-x86_64", "el10": "Synthetic-Stream-10-Base-x86_64"}
VERSIONS = {"el9": "9", "el10": "10"}
FAKE = b"synthetic: stands for a file of the vendor's, is not Anaconda\n"
ISOLINUX = Path("/usr/lib/ISOLINUX")
SYSLINUX_MODULES = Path("/usr/lib/syslinux/modules/bios")
GRUB = Path("/usr/lib/grub")
EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
BASIC_DATA = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
EFI_MODULES = [
    "normal", "linux", "search", "search_label", "iso9660", "fat", "part_gpt", "part_msdos", "configfile",
    "echo", "test", "all_video", "efi_gop", "efi_uga", "gzio", "minicmd", "memdisk", "tar",
]  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """How the medium differs from the ordinary one of its kind.

    `menus` are other texts by their path on the medium; `spare` the free KiB in the FAT of the EFI partition; `extra`
    and `without` add and leave out files; `joliet` is the second directory tree that Windows reads. `treeinfo` is what
    a DVD has and a boot.iso has not.
    """

    label: str | None = None
    arch: str = "x86_64"
    spare: int = 256
    menus: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, bytes] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    joliet: bool = True
    treeinfo: bool = False


def menu(name: str) -> str:
    """The text of a menu in menus/."""
    return (HERE / "menus" / name).read_text()


def make_media(kind: Kind, kernel: Path, initrd: Path, out: Path, shape: Shape | None = None) -> Path:
    """Write a synthetic boot.iso of this kind to `out`; scratch files go into a folder beside it."""
    shape = shape or Shape()
    label = shape.label or LABELS[kind]
    scratch = out.with_name(f"{out.name}.parts")
    medium = scratch / "medium"
    boot = _boot(medium, kernel, initrd)
    if kind == "el9":
        _isolinux(medium, boot)
    else:
        _grub_for_bios(medium)
    _grub_for_efi(medium, kind)
    for name, text in shape.menus.items():
        (medium / name).write_text(text)
    _describe(medium, kind, shape.arch)
    for name, content in shape.extra.items():
        (medium / name).parent.mkdir(parents=True, exist_ok=True)
        (medium / name).write_bytes(content)
    efi_partition = medium / "images/efiboot.img" if kind == "el9" else scratch / "efiboot.img"
    _fat(medium / "EFI", efi_partition, shape.spare)
    if shape.treeinfo:
        _treeinfo(medium, kind, shape.arch, efi_partition)
    for name in shape.without:
        (medium / name).unlink()
    for path in [medium, *medium.rglob("*"), efi_partition]:
        os.utime(path, (EPOCH, EPOCH))
    _write(kind, medium, efi_partition, out, label, joliet=shape.joliet)
    shutil.rmtree(scratch)
    return out


def _boot(medium: Path, kernel: Path, initrd: Path) -> Path:
    boot = medium / "images/pxeboot"
    boot.mkdir(parents=True)
    shutil.copyfile(kernel, boot / "vmlinuz")
    shutil.copyfile(initrd, boot / "initrd.img")
    (medium / "images/install.img").write_bytes(FAKE * 64)
    return boot


def _isolinux(medium: Path, boot: Path) -> None:
    folder = medium / "isolinux"
    folder.mkdir()
    shutil.copyfile(ISOLINUX / "isolinux.bin", folder / "isolinux.bin")
    for module in ("ldlinux", "vesamenu", "libcom32", "libutil"):
        shutil.copyfile(SYSLINUX_MODULES / f"{module}.c32", folder / f"{module}.c32")
    for name in ("vmlinuz", "initrd.img"):
        os.link(boot / name, folder / name)  # as in the vendor's: on the medium they are one
    (folder / "boot.msg").write_text("A synthetic medium.\n")
    (folder / "isolinux.cfg").write_text(menu("el9-isolinux.cfg"))


def _grub_for_bios(medium: Path) -> None:
    folder = medium / "boot/grub2"
    (folder / "i386-pc").mkdir(parents=True)
    for pattern in ("*.mod", "*.lst"):
        for module in (GRUB / "i386-pc").glob(pattern):
            shutil.copyfile(module, folder / "i386-pc" / module.name)
    image = medium / "images/eltorito.img"
    run(["grub-mkimage", "-O", "i386-pc-eltorito", "-o", image, "-p", "/boot/grub2", "iso9660", "biosdisk"])
    (folder / "grub.cfg").write_text(menu("el10-bios-grub.cfg"))


def _grub_for_efi(medium: Path, kind: Kind) -> None:
    folder = medium / "EFI/BOOT"
    (folder / "fonts").mkdir(parents=True)
    loader = folder / "grubx64.efi"
    # The vendor's GRUB has commands that Debian's has not (any more): two functions in a file inside of the image.
    own, archive = HERE / "efi", medium.with_name("efi.tar")
    run(["tar", "-C", own, "--sort=name", "--owner=0", "--group=0", f"--mtime=@{EPOCH}", "-cf", archive, "words.cfg"])
    image: list[str | Path] = ["grub-mkimage", "-O", "x86_64-efi", "-o", loader, "-m", archive, "-c", own / "first.cfg"]
    run([*image, "-p", "/EFI/BOOT", *EFI_MODULES])  # after -m, which has a folder of its own
    shutil.copyfile(loader, folder / "BOOTX64.EFI")
    (folder / "mmx64.efi").write_bytes(FAKE)
    (folder / "fonts/unicode.pf2").write_bytes(FAKE)
    (folder / "grub.cfg").write_text(menu(f"{kind}-efi-grub.cfg"))


def _describe(medium: Path, kind: Kind, arch: str) -> None:
    (medium / ".discinfo").write_text(f"{EPOCH}.000000\n{VERSIONS[kind]}\n{arch}\n")


def _treeinfo(medium: Path, kind: Kind, arch: str, efi_partition: Path) -> None:
    version = VERSIONS[kind]
    names = ["images/install.img", "images/pxeboot/initrd.img", "images/pxeboot/vmlinuz"]
    files = {name: medium / name for name in names} | {"images/efiboot.img": efi_partition}
    sums = [f"{name} = sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for name, path in sorted(files.items())]
    lines = ["[checksums]", *sums, "", "[general]", f"arch = {arch}", "family = Synthetic Stream"]
    lines += [f"name = Synthetic Stream {version}", f"timestamp = {EPOCH}", "variant = BaseOS", f"version = {version}"]
    lines += ["", "[header]", "type = productmd.treeinfo", "version = 1.2", "", f"[images-{arch}]"]
    lines += ["efiboot.img = images/efiboot.img", "initrd = images/pxeboot/initrd.img"]
    lines += ["kernel = images/pxeboot/vmlinuz", "", "[release]", "name = Synthetic Stream"]
    lines += ["short = Synthetic", f"version = {version}", "", "[stage2]", "mainimage = images/install.img", ""]
    lines += ["[tree]", f"arch = {arch}", f"build_timestamp = {EPOCH}", f"platforms = {arch}", "variants = BaseOS", ""]
    (medium / ".treeinfo").write_text("\n".join(lines))


def _fat(efi: Path, target: Path, spare: int) -> None:
    """The EFI folder as a FAT file system with about `spare` KiB free."""
    used = sum(-(-path.stat().st_size // 2048) * 2 for path in efi.rglob("*") if path.is_file())
    environment = {"SOURCE_DATE_EPOCH": str(EPOCH), "MTOOLS_SKIP_CHECK": "1"}
    size = str(used + spare + 64)
    run(["mkfs.vfat", "-C", "--invariant", "-i", "53594e54", "-n", "ANACONDA", target, size], env=environment)
    for path in [*efi.rglob("*")]:
        os.utime(path, (EPOCH, EPOCH))
    run(["mcopy", "-s", "-m", "-Q", "-i", target, efi, "::/"], env=environment)


def _write(kind: Kind, medium: Path, efi_partition: Path, out: Path, label: str, *, joliet: bool) -> None:
    command: list[str | Path] = ["xorriso", "-as", "mkisofs", "-quiet", "-o", out, "-V", label, "-R"]
    command += ["-J", "-joliet-long"] if joliet else []
    if kind == "el9":
        command += ["-isohybrid-mbr", ISOLINUX / "isohdpfx.bin", "-b", "isolinux/isolinux.bin"]
        command += ["-c", "isolinux/boot.cat", "-boot-load-size", "4", "-boot-info-table", "-no-emul-boot"]
        command += ["-eltorito-alt-boot", "-e", "images/efiboot.img", "-no-emul-boot", "-isohybrid-gpt-basdat"]
    else:
        command += ["--grub2-mbr", GRUB / "i386-pc/boot_hybrid.img", "-partition_offset", "16"]
        command += ["-appended_part_as_gpt", "-append_partition", "2", EFI_SYSTEM, efi_partition]
        command += ["-iso_mbr_part_type", BASIC_DATA, "-c", "boot.cat", "--boot-catalog-hide"]
        command += ["-b", "images/eltorito.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"]
        command += ["--grub2-boot-info", "-eltorito-alt-boot"]
        command += ["-e", "--interval:appended_partition_2:all::", "-no-emul-boot"]
    run([*command, medium], env={"SOURCE_DATE_EPOCH": str(EPOCH)})
    run(["implantisomd5", out])
