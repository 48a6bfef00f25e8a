"""The ISO: everything laid out as docs/architecture.md says, written by xorriso, bit for bit the same every time."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from builder.run import run
from builder.step import Work
from builder.tree import clamp

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
        "LiveOS/squashfs.img": work.inputs["squashfs"] / "squashfs.img",
        "asrbox/images.squashfs": work.inputs["imageset"] / "images.squashfs",
        "asrbox/images.json": work.inputs["imageset"] / "images.json",
    }
    shutil.copytree(work.inputs["sbom"], medium / "asrbox/sbom")
    _write(medium / "asrbox/distribution.json", json.dumps(work.options["distribution"], indent=1, ensure_ascii=False))
    _write(medium / "asrbox/build.json", json.dumps({"steps": work.options["steps"]}, indent=1, sort_keys=True))
    _write(medium / "ks.cfg", work.options["kickstart"])
    if work.options["seed"] is not None:
        _write(medium / "seed.toml", work.options["seed"])
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
