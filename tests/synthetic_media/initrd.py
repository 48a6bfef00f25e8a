"""The initrd of the synthetic media: Debian's static busybox, the kernel's modules for CD and USB, stage1.sh."""

from __future__ import annotations

import lzma
import os
import re
import shutil
from pathlib import Path

from builder.errors import AsrboxError
from builder.run import run
from tests.synthetic_media import EPOCH, HERE

BUSYBOX = Path("/usr/bin/busybox")
APPLETS = ["sh", "mount", "insmod", "cat", "dd", "sed", "sleep", "mkdir", "sha256sum", "sync", "poweroff", "echo"]
WANTED = ["isofs", "sr_mod", "sd_mod", "ata_piix", "xhci_pci", "usb_storage"]


def make_initrd(modules: Path, out: Path) -> Path:
    """Write the initrd to `out`. `modules` is the folder lib/modules/<version> of the kernel it is for."""
    if not BUSYBOX.is_file():
        raise AsrboxError("the static busybox is not installed", hint="run: apt-get install busybox-static")
    root = out.with_name(f"{out.name}.root")
    for folder in ("bin", "modules", "proc", "sys", "dev", "run"):
        (root / folder).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    shutil.copyfile(HERE / "stage1.sh", root / "init")
    (root / "init").chmod(0o755)
    order = load_order((modules / "modules.dep").read_text(), WANTED)
    names = []
    for place in order:
        content = (modules / place).read_bytes()
        names.append(Path(place).name.removesuffix(".xz"))
        (root / "modules" / names[-1]).write_bytes(lzma.decompress(content) if place.endswith(".xz") else content)
    (root / "modules/order").write_text("".join(f"{name}\n" for name in names))
    inside = ["."] + sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    for name in inside:
        os.utime(root / name, (EPOCH, EPOCH), follow_symlinks=False)
    listing = "".join(f"{name}\n" for name in inside)
    run(
        ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0", "--reproducible", "-F", out.absolute()],
        cwd=root,
        input=listing,
    )
    shutil.rmtree(root)
    return out


def load_order(depends: str, wanted: list[str]) -> list[str]:
    """Paths of modules, each after all that it needs, out of the text of modules.dep.

    A module that is not listed is built into the kernel.
    """
    needs = {}
    by_name = {}
    for line in depends.splitlines():
        place, _, others = line.partition(":")
        needs[place] = others.split()
        by_name[re.sub(r"\.ko.*$", "", Path(place).name).replace("-", "_")] = place
    order: list[str] = []

    def add(place: str) -> None:
        for other in needs[place]:
            add(other)
        if place not in order:
            order.append(place)

    for name in wanted:
        if name in by_name:
            add(by_name[name])
    return order
