"""Remade media in the layouts of EL9 and EL10 reach their kickstart: by BIOS and UEFI, as CD and as stick.

The vendor's medium is a synthetic one, and what reads the kickstart is not Anaconda (tests/synthetic_media); what is
proven is that our edits and the replayed boot records lead there. Each boot takes seconds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder import isofile, vendor
from builder.machine import Machine
from builder.qemu_hardware import Firmware, Hardware, Medium
from builder.run import run
from tests.machine import box
from tests.synthetic_media import Kind, Shape, make_media, menu
from tests.synthetic_media.initrd import make_initrd

LABEL = "ASRBOX_0_1_0"
KICKSTART = "# a kickstart that says only who it is\ntext\n"
LIMIT = 240.0  # seconds; an idle host needs 10 to 25
# Without the second, a kernel on a loaded host may find that the timer of an emulated machine is too slow, and stop.
ARGUMENTS = ("console=ttyS0,115200", "no_timer_check")

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Parts:
    """A kernel, and the synthetic initrd for it."""

    kernel: Path
    initrd: Path


@pytest.fixture(scope="module")
def parts(iso: Path, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Kernel and modules of the host tree, out of the ISO under test."""
    folder = tmp_path_factory.mktemp("parts")
    inside = isofile.contents(iso)
    kernel, squashfs = folder / "vmlinuz", folder / "squashfs.img"
    for name, target in (("/images/pxeboot/vmlinuz", kernel), ("/LiveOS/squashfs.img", squashfs)):
        with target.open("wb") as stream:
            stream.writelines(isofile.pieces(iso, inside, name))
    run(["unsquashfs", "-quiet", "-no-progress", "-d", folder / "tree", squashfs, "usr/lib/modules"])
    squashfs.unlink()
    (modules,) = (folder / "tree/usr/lib/modules").iterdir()
    return Parts(kernel, make_initrd(modules, folder / "initrd.img"))


@pytest.fixture(scope="module", params=["el9", "el10"])
def remade(request: pytest.FixtureRequest, parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A remade medium of each kind."""
    kind: Kind = request.param
    folder = tmp_path_factory.mktemp(kind)
    # In EL10's the UEFI menu is one of few lines, which a search for lines that begin with a command would leave alone.
    menus = {"EFI/BOOT/grub.cfg": menu("el10-efi-one-line-grub.cfg")} if kind == "el10" else {}
    source = make_media(kind, parts.kernel, parts.initrd, folder / "boot.iso", Shape(menus=menus))
    (folder / "ks.cfg").write_text(KICKSTART)
    target = folder / f"asrbox-{kind}.iso"
    vendor.remake(
        source,
        target,
        add={"ks.cfg": folder / "ks.cfg"},
        label=LABEL,
        kickstart="ks.cfg",
        menu=vendor.MenuOptions("Install asrbox 0.1.0", timeout=1, arguments=ARGUMENTS),
        epoch=1_763_769_600,
        log=folder / "remake.log",
    )
    return target


@pytest.mark.parametrize("medium", ["cd", "usb"])
@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_the_synthetic_stage_1_reads_our_kickstart(
    remade: Path, firmware: Firmware, medium: Medium, logs: Path
) -> None:
    hardware = Hardware(firmware=firmware, medium=medium, iso=remade, first="medium", memory=1024, cpus=1)
    name = f"synthetic-{remade.stem}-{firmware}-{medium}"
    with Machine(hardware, logs, name=name, on_event=box.telling(name)) as machine:
        # when nobody touches the menu, then its default entry starts after a second
        started = machine.wait_for(r"synthetic-stage1: booted by (\w+) with inst\.stage2 label (\S+), (.+)$", LIMIT)
        told = machine.wait_for(r"synthetic-stage1: (.+)$", LIMIT)
        seconds = machine.wait_off(box.ANSWER)
    digest = hashlib.sha256(KICKSTART.encode()).hexdigest()
    assert started.groups() == (firmware, LABEL, "media check no")
    assert told[1] == f"kickstart sha256 {digest} from label {LABEL}"
    print(f"{name}: {seconds:.1f} s, {machine.cpu_seconds():.1f} s of CPU")
