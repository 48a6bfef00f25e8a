"""The first way of making the ISO: the vendor's boot.iso with our files, our menu and our label.

Nothing of the boot chain is made anew: the signed shim, GRUB, the kernel and the runtime are the vendor's bytes, and
xorriso replays the vendor's own boot records. No mount, no loop device, no root.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from builder import isofile
from builder.errors import AsrboxError
from builder.run import run
from builder.vendor import compare, fat, grubcfg, isolinux, treeinfo
from builder.vendor.medium import EFI_IMAGE, EFI_MENU, TREEINFO, Medium, efi_image, look
from builder.vendor.menu import Change, MenuOptions

EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,32}")
_PATH = re.compile(r"(?!/)(?:(?!\.{1,2}(?:/|$))[A-Za-z0-9._+-]+(?:/(?!$)|$))+")


@dataclass(frozen=True)
class Report:
    """What was made: the vendor's product and layout, both labels, files edited and added, files that stayed the same.

    `size` is that of the new ISO in bytes.
    """

    product: str
    layout: str
    old_label: str
    label: str
    edited: tuple[str, ...]
    added: tuple[str, ...]
    same: int
    size: int

    def __str__(self) -> str:
        return (
            f"{self.product} ({self.layout}), {self.old_label} → {self.label}: {len(self.added)} files added, "
            f"{len(self.edited)} edited, {self.same} unchanged, {self.size} bytes"
        )


def remake(
    source: Path,
    target: Path,
    *,
    add: Mapping[str, Path],
    label: str,
    kickstart: str,
    menu: MenuOptions,
    epoch: int,
    log: Path,
    release: str | None = None,
) -> Report:
    """Write `target`: the medium `source` with the files `add` (path on the medium without a leading slash → file).

    `kickstart` is the path of the kickstart among them; `label` the new volume label; `epoch` (seconds) every date on
    the medium; `release` the major version that the vendor's product must have. The same inputs give the same bytes.
    Output of programs goes to `log`. Raises AsrboxError for an ISO that is no such medium, for a file that is
    already on it, and for anything that differs afterwards and should not.
    """
    check_label(label)
    if target.resolve() == source.resolve():
        raise AsrboxError(f"the new ISO would replace the vendor's {source}", hint="give it another name")
    medium = look(source)
    if release is not None and medium.about.release != release:
        raise AsrboxError(
            f"{source} is {medium.about.product}, but the base of the distribution is release {release}",
            hint=f"take the boot.iso of release {release}, or another base",
        )
    _check_added(add, kickstart, medium)
    change = Change(medium.label, label, f"/{kickstart}", menu)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        scratch = Path(folder)
        edited = _edited(medium, change, epoch, scratch)
        image = scratch / "efiboot.img"
        result = scratch / target.name
        _write(medium, result, add=add, edited=edited, image=image, label=label, epoch=epoch, log=log)
        # The last change of all: any later write would make the implanted checksum wrong.
        run(["implantisomd5", "--force", result], log=log)
        changed = {f"/{name}" for name in (*add, *edited)}
        with ThreadPoolExecutor(1) as beside:  # each of them reads the whole medium
            checked = beside.submit(isofile.media_check, result)
            same = compare.compare(source, result, changed=changed)
            _check_written(result, {**add, **edited}, image, label)
            checked.result()
        size = result.stat().st_size
        result.replace(target)
    product = medium.about.product
    return Report(product, medium.layout, medium.label, label, tuple(sorted(edited)), tuple(sorted(add)), same, size)


def check_label(label: str) -> None:
    """Raises AsrboxError for a volume label that not every loader, kernel argument and file system can have."""
    if not _LABEL.fullmatch(label):
        raise AsrboxError(
            f"the volume label {label!r} cannot be used on the kernel's command line",
            hint="use 1 to 32 letters, digits, _ and -, without spaces",
        )


def _check_added(add: Mapping[str, Path], kickstart: str, medium: Medium) -> None:
    if kickstart not in add:
        raise AsrboxError(f"the kickstart {kickstart} is not among the files that are added to the medium")
    known = {name.lower(): name for name in medium.contents.files}
    for name, path in add.items():
        if not _PATH.fullmatch(name):
            raise AsrboxError(
                f"{name!r} is no path for a file on the medium",
                hint="write folders and name with letters, digits and . _ + -, without a leading slash",
            )
        if not path.is_file():
            raise AsrboxError(f"the file {path} for {name} on the medium does not exist")
        folders = {f"/{parent}".lower() for parent in Path(name).parents if str(parent) != "."}
        # Without regard to case: Windows and the Joliet tree make no difference.
        clash = next((known[each] for each in (f"/{name}".lower(), *folders) if each in known), None)
        if clash is None and any(each.startswith(f"/{name}/".lower()) for each in known):
            clash = f"/{name}/"
        if clash:
            raise AsrboxError(f"{clash} is already on the medium {medium.iso}", hint="give our file another name")


def _edited(medium: Medium, change: Change, epoch: int, scratch: Path) -> dict[str, Path]:
    """Files of the medium that are replaced, path without slash → new file; also writes scratch/efiboot.img."""
    texts = {
        medium.bios_menu: (isolinux if medium.layout == "isolinux" else grubcfg).edit(
            medium.text(medium.bios_menu), change, medium.bios_menu
        ),
        EFI_MENU: grubcfg.edit(medium.text(EFI_MENU), change, EFI_MENU),
    }
    image = scratch / "efiboot.img"
    efi_image(medium, image)
    name = f"{fat.MENU} in the EFI partition"
    fat.replace_menu(image, grubcfg.edit(fat.read_menu(image), change, name), epoch=epoch, scratch=scratch)
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    if TREEINFO in medium.contents.files:
        old = medium.text(TREEINFO)
        if (new := treeinfo.with_checksum(old, EFI_IMAGE.strip("/"), digest)) != old:
            texts[TREEINFO] = new
    edited: dict[str, Path] = {}
    for number, (path, text) in enumerate(sorted(texts.items())):
        file = scratch / f"edited-{number}"
        file.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
        edited[path.strip("/")] = file
    if medium.efi_file:
        edited[medium.efi_file.strip("/")] = image
    return edited


def _write(
    medium: Medium,
    result: Path,
    *,
    add: Mapping[str, Path],
    edited: Mapping[str, Path],
    image: Path,
    label: str,
    epoch: int,
    log: Path,
) -> None:
    stamp = time.strftime("%Y%m%d%H%M%S00", time.gmtime(epoch))
    command: list[str | Path] = ["xorriso", "-abort_on", "FAILURE", "-return_with", "FAILURE", "32"]
    # Into a pipe xorriso writes a medium in one piece; into a file it would put a session behind 32 free blocks, and
    # the volume descriptor (and so the media check) would not cover the end, where EL10 has its EFI partition.
    command += ["-indev", medium.iso, "-outdev", "-", "-iso_rr_pattern", "off"]
    command += ["-joliet", "on" if medium.joliet else "off", "-compliance", "iso_9660_level=3"]
    # Before the files: the records name boot images by path, and one that was replaced already would not be found.
    command += ["-boot_image", "any", "replay", "-volid", label]
    for name, path in sorted({**add, **edited}.items()):
        command += ["-map", path.absolute(), f"/{name}", "-chmod", "0644", f"/{name}", "--"]
    for folder in sorted({str(parent) for name in add for parent in Path(name).parents if str(parent) != "."}):
        command += ["-chmod", "0755", f"/{folder}", "--"]
    if medium.efi_file is None:
        command += ["-append_partition", "2", EFI_SYSTEM, image]
    command += ["-padding", "included", "-chown_r", "0", "/", "--", "-chgrp_r", "0", "/", "--"]
    command += ["-volume_date", "all_file_dates", f"={epoch}", "-volume_date", "c", f"={epoch}"]
    command += ["-volume_date", "uuid", stamp, "-commit"]
    with _through_a_pipe(result) as pipe:
        run(command, env={"SOURCE_DATE_EPOCH": str(epoch)}, log=log, stdout=pipe)


@contextlib.contextmanager
def _through_a_pipe(target: Path) -> Iterator[Path]:
    """A named pipe; what is written to it arrives in `target` by the end of the block."""
    pipe = target.with_name("pipe")
    os.mkfifo(pipe)

    def copy() -> None:
        with pipe.open("rb") as source, target.open("wb") as result:
            shutil.copyfileobj(source, result, 1 << 20)

    reader = threading.Thread(target=copy, daemon=True)
    reader.start()
    try:
        yield pipe
    finally:
        with contextlib.suppress(OSError):  # nobody reads any more: all is written
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        reader.join()


def _check_written(result: Path, files: Mapping[str, Path], image: Path, label: str) -> None:
    """Raises AsrboxError unless the medium has the new label, the new files and the new EFI partition."""
    remade = look(result)
    wrong = [] if remade.label == label else [f"the label is {remade.label}"]
    for name, path in files.items():
        place = f"/{name}"
        if place not in remade.contents.files or not isofile.holds(result, remade.contents, place, path):
            wrong.append(f"{place} was not written")
    with result.open("rb") as stream:
        stream.seek(remade.efi_start)
        if stream.read(remade.efi_size) != image.read_bytes():
            wrong.append("the EFI partition was not written")
    if wrong:
        raise AsrboxError(
            f"xorriso did not write what it was told: {'; '.join(wrong)}", hint="see the log of the build"
        )
