"""The ISO: everything laid out as docs/architecture.md says, written by xorriso, bit for bit the same every time.

There are two ways: a medium of our own, or the vendor's boot.iso with our files on it (docs/centos.md).
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from builder import kickstart, log
from builder.bases.pool import sha256
from builder.run import run
from builder.step import Work
from builder.tree import Tools, clamp
from builder.vendor.menu import MenuOptions
from builder.vendor.remake import remake

DISK_GUID = "4c414201-0000-4000-8000-000000000001"


def iso(work: Work, _: Any) -> None:
    """Body of the step `iso` → out/<file name>.

    Options: file, label, version, distribution (distribution.json), kickstart, seed (text or None), steps (name → id).
    """
    medium = work.out / "medium"
    shutil.copytree(work.inputs["grub"] / "medium", medium)
    big = {
        "images/pxeboot/vmlinuz": work.inputs["initrd"] / "vmlinuz",
        "images/pxeboot/initrd.img": work.inputs["initrd"] / "initrd.img",
        **_big_files(work),
    }
    _small_files(work, medium, work.options["kickstart"])
    _write(medium / ".discinfo", f"{work.epoch}.000000\n{work.options['label']}\nx86_64\nALL")
    _write(medium / ".treeinfo", _treeinfo(work))
    clamp(medium, work.epoch)
    for path in [medium, *medium.rglob("*")]:
        if not path.is_symlink():
            os.utime(path, (work.epoch, work.epoch))
    target = work.out / work.options["file"]
    _write_image(medium, big, target, work)
    # The last change of all: any later write would make the implanted checksum wrong.
    run(["implantisomd5", target], log=work.log)
    shutil.rmtree(medium)


def anaconda_iso(work: Work, tools: Tools) -> None:
    """Body of the step `iso` on the vendor's boot.iso → out/<file name>. Options as for `iso`, and family, release.

    The kickstart is rendered here: Anaconda compares the checksum of the host's image, which is known only now.
    """
    small = work.out / "small"
    big = _big_files(work)
    digest = sha256(big["LiveOS/squashfs.img"])
    text = kickstart.render(work.options["distribution"], work.options["family"], image_sha256=digest)
    _small_files(work, small, text)
    files = {str(path.relative_to(small)): path for path in sorted(small.rglob("*")) if path.is_file()}
    title = f"Install {work.options['distribution']['title']['en']} {work.options['version']}"
    report = remake(
        tools.boot_iso or Path(),
        work.out / work.options["file"],
        add={**big, **files},
        label=work.options["label"],
        kickstart="ks.cfg",
        menu=MenuOptions(title, arguments=("console=tty0", "console=ttyS0,115200")),
        epoch=work.epoch,
        log=work.log,
        release=work.options["release"],
    )
    log.info(str(report))
    shutil.rmtree(small)


def _big_files(work: Work) -> dict[str, Path]:
    return {
        "LiveOS/squashfs.img": work.inputs["squashfs"] / "squashfs.img",
        "asrbox/images.squashfs": work.inputs["imageset"] / "images.squashfs",
        "asrbox/images.json": work.inputs["imageset"] / "images.json",
    }


def _small_files(work: Work, folder: Path, kickstart_text: str) -> None:
    shutil.copytree(work.inputs["sbom"], folder / "asrbox/sbom")
    _write(folder / "asrbox/distribution.json", json.dumps(work.options["distribution"], indent=1, ensure_ascii=False))
    _write(folder / "asrbox/build.json", json.dumps({"steps": work.options["steps"]}, indent=1, sort_keys=True))
    _write(folder / "ks.cfg", kickstart_text)
    if work.options["seed"] is not None:
        _write(folder / "seed.toml", work.options["seed"])


def _write(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text if text.endswith("\n") else f"{text}\n")


def _treeinfo(work: Work) -> str:
    sections = {
        "header": {"type": "productmd.treeinfo", "version": "1.2"},
        "release": {"name": "asrbox", "short": "asrbox", "version": work.options["version"]},
        "tree": {"arch": "x86_64", "build_timestamp": str(work.epoch), "platforms": "x86_64", "variants": ""},
        "images-x86_64": {"kernel": "images/pxeboot/vmlinuz", "initrd": "images/pxeboot/initrd.img"},
        "stage2": {"mainimage": "LiveOS/squashfs.img"},
    }
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for name, entries in sections.items()
    )


def _write_image(medium: Path, big: dict[str, Path], target: Path, work: Work) -> None:
    grafts = [f"{inside}={path}" for inside, path in big.items()]
    stamp = time.strftime("%Y%m%d%H%M%S00", time.gmtime(work.epoch))
    grub = work.inputs["grub"]
    command: list[str | Path] = [
        "xorriso", "-as", "mkisofs", "-quiet", "-o", target, "-V", work.options["label"],
        "-J", "-joliet-long", "-r", "-iso-level", "3",
        f"--modification-date={stamp}", "--set_all_file_dates", f"={work.epoch}", "--gpt_disk_guid", DISK_GUID,
        "--grub2-mbr", grub / "mbr.img", "--protective-msdos-label", "-partition_cyl_align", "off",
        "-partition_offset", "16", "-append_partition", "2", "0xef", grub / "efi.img", "-appended_part_as_gpt",
        "-c", "boot.catalog", "-b", "boot/grub/i386-pc/eltorito.img", "-no-emul-boot", "-boot-load-size", "4",
        "-boot-info-table", "--grub2-boot-info", "-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::",
        "-no-emul-boot", "-graft-points", *grafts, f"/={medium}",
    ]  # fmt: skip
    run(command, env={"SOURCE_DATE_EPOCH": str(work.epoch)}, log=work.log)
