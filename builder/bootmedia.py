"""What the firmware and GRUB find on the medium: one layout that boots by BIOS and UEFI, from CD and USB.

GRUB comes from the locked host tree, not from the build host, so that every build host makes the same medium.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jinja2

from builder import tree
from builder.errors import AsrboxError
from builder.run import run
from builder.step import Work

MODULES = [
    "iso9660", "fat", "part_gpt", "part_msdos", "normal", "linux", "search", "search_label", "serial", "terminal",
    "echo", "configfile", "test", "all_video", "font", "gfxterm", "loopback", "minicmd", "halt", "reboot", "sleep",
]  # fmt: skip
TARGETS = {"i386-pc": ["biosdisk"], "x86_64-efi": ["efi_gop", "efi_uga"]}
MKIMAGE = ("grub-mkimage", "grub2-mkimage")  # Debian's name, Red Hat's name
ESP_SERIAL = "4c414201"  # fixed serial number of the FAT file system
ESP_SIZE = 4096  # KiB


def initrd(work: Work, tools: tree.Tools) -> None:
    """Body of the step `initrd`: dracut in the host tree → out/initrd.img, out/vmlinuz, out/kernel (its version)."""
    rootfs = work.inputs["host"] / "rootfs"
    kernel = _kernel(rootfs)
    (work.out / "none").mkdir()
    (work.out / "dracut.conf").write_bytes((tools.root / "images" / "host" / "dracut.conf").read_bytes())
    dracut = ["dracut", "--quiet", "--no-hostonly", "--conf", "/mnt/dracut.conf", "--confdir", "/mnt/none"]
    dracut += ["--tmpdir", "/tmp", "--kver", kernel, "/mnt/initrd.img"]
    tree.in_tree(rootfs, dracut, log=work.log, epoch=work.epoch, out=work.out)
    (work.out / "dracut.conf").unlink()
    (work.out / "none").rmdir()
    (work.out / "initrd.img").chmod(0o644)
    (work.out / "vmlinuz").write_bytes((rootfs / "boot" / f"vmlinuz-{kernel}").read_bytes())
    (work.out / "kernel").write_text(kernel)


def _kernel(rootfs: Path) -> str:
    """Version of the only kernel in /boot. Raises AsrboxError when there is none, or more than one."""
    kernels = sorted(path.name.removeprefix("vmlinuz-") for path in (rootfs / "boot").glob("vmlinuz-*"))
    if len(kernels) != 1:
        raise AsrboxError(f"the host tree has {len(kernels)} kernels ({', '.join(kernels)}), one is expected")
    return kernels[0]


def _mkimage(rootfs: Path) -> str:
    for name in MKIMAGE:
        if (rootfs / "usr/bin" / name).exists():
            return name
    raise AsrboxError(f"the host tree has neither {' nor '.join(MKIMAGE)}", hint="add GRUB to images/host.yaml")


def grub(work: Work, tools: tree.Tools) -> None:
    """Body of the step `grub` → out/medium (loaders and menu as on the ISO), out/efi.img, out/mbr.img."""
    rootfs = work.inputs["host"] / "rootfs"
    medium = work.out / "medium"
    places = [medium / "boot" / "grub" / "i386-pc", medium / "EFI" / "BOOT"]
    for place in places:
        place.mkdir(parents=True)
    template = jinja2.Template(
        (tools.root / "images" / "host" / "grub.cfg.j2").read_text(),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    (medium / "boot" / "grub" / "grub.cfg").write_text(template.render(**work.options))
    early = work.out / "early.cfg"
    early.write_text(f"search --no-floppy --set=root --label {work.options['label']}\nset prefix=($root)/boot/grub\n")
    mkimage = _mkimage(rootfs)
    images = {target: work.out / f"core-{target}.img" for target in TARGETS}
    for target, image in images.items():
        make = [
            mkimage,
            "-O",
            target,
            "-p",
            "/boot/grub",
            "-c",
            f"/mnt/{early.name}",
            "-o",
            f"/mnt/{image.name}",
        ]
        tree.in_tree(rootfs, [*make, *MODULES, *TARGETS[target]], log=work.log, epoch=work.epoch, out=work.out)
    boot_code = (rootfs / "usr/lib/grub/i386-pc/cdboot.img").read_bytes()
    (places[0] / "eltorito.img").write_bytes(boot_code + images["i386-pc"].read_bytes())
    (places[1] / "BOOTX64.EFI").write_bytes(images["x86_64-efi"].read_bytes())
    (work.out / "mbr.img").write_bytes((rootfs / "usr/lib/grub/i386-pc/boot_hybrid.img").read_bytes())
    for leftover in [early, *images.values()]:
        leftover.unlink()
    _efi_partition(work.out / "efi.img", places[1] / "BOOTX64.EFI", work)


def _efi_partition(target: Path, loader: Path, work: Work) -> None:
    os.utime(loader, (work.epoch, work.epoch))
    environment = {"SOURCE_DATE_EPOCH": str(work.epoch), "MTOOLS_SKIP_CHECK": "1"}
    make: list[str | Path] = [
        "mkfs.vfat",
        "-C",
        "--invariant",
        "-i",
        ESP_SERIAL,
        "-n",
        "ASRBOXEFI",
        target,
        str(ESP_SIZE),
    ]
    run(make, env=environment, log=work.log)
    run(["mmd", "-i", target, "::/EFI", "::/EFI/BOOT"], env=environment, log=work.log)
    run(["mcopy", "-m", "-i", target, loader, "::/EFI/BOOT/BOOTX64.EFI"], env=environment, log=work.log)


def squashfs(work: Work, _: Any) -> None:
    """Body of the step `squashfs:host`: the host tree with its initrd → out/squashfs.img.

    Options: mode, initrd (the name that the family gives to it in /boot, with a place for {kernel}).
    """
    from builder.imageset import squash

    kernel = (work.inputs["initrd"] / "kernel").read_text()
    squash(
        [work.inputs["host"] / "rootfs"],
        work.out / "squashfs.img",
        mode=work.options["mode"],
        epoch=work.epoch,
        log=work.log,
        files={f"boot/{work.options['initrd'].format(kernel=kernel)}": work.inputs["initrd"] / "initrd.img"},
    )
