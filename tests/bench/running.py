"""How long the machine takes: installing against the same raw work in the same QEMU, and starting."""

from __future__ import annotations

import re
from pathlib import Path

from builder.machine import Machine, new_disk, seed_stick
from tests.bench.measure import Measure, measured
from tests.machine import box

ROOT = Path(__file__).resolve().parents[2]
DISK_SIZE = 20 * 1024**3  # bytes
RAW = Path(__file__).with_name("raw_install.sh")


def measure(scratch: Path) -> list[Measure]:
    """Install and start the ISO in dist/."""
    iso = max((ROOT / "dist").glob("*.iso"), key=lambda path: path.stat().st_mtime)
    disk = new_disk(scratch / "disk.qcow2", DISK_SIZE)
    stick = seed_stick(scratch / "seed.img", box.seed())
    with box.machine(scratch, "install", disk, iso=iso, medium="cd", seed_stick=stick) as installer:
        installer.wait_until("installed", box.INSTALLED)
        ours = _installing(installer)
        installer.wait_off(box.OFF)
    starts = []
    for start in ("first", "second"):
        with box.machine(scratch, f"{start}-start", disk) as host:
            starts.append(host.wait_until("ready", box.READY))
            host.power_button()
            host.wait_off(box.OFF)
    raw = _raw_install(scratch, iso)
    return [
        measured(
            "install (partitions to boot loader) against raw mkfs + unsquashfs + grub-install", ours / raw, "×", 1.5
        ),
        measured("install, partitions to boot loader", ours, "s"),
        measured("first start: power-on → all endpoints answer", starts[0], "s"),
        measured("later starts: power-on → all endpoints answer", starts[1], "s"),
    ]


def _installing(installer: Machine) -> float:
    """Seconds from the first change of the disk to the end of the boot loader, as the console tells them."""
    text = installer.console.read_text()
    began = re.search(r"^ *([0-9.]+) .*asrbox-install: phase \d/\d partitions", text, re.MULTILINE)
    ended = re.search(r"^ *([0-9.]+) .*asrbox-install: phase \d/\d post", text, re.MULTILINE)
    if not began or not ended:
        raise RuntimeError(f"the console does not tell the phases of the installation: {installer.console}")
    return float(ended[1]) - float(began[1])


def _raw_install(scratch: Path, iso: Path) -> float:
    """The same work as one shell script, in the shell that a refused installation leaves on the console."""
    disk = new_disk(scratch / "raw.qcow2", DISK_SIZE)
    stick = seed_stick(scratch / "wrong.img", box.seed(path="/dev/disk/by-id/absent"))
    with box.machine(scratch, "raw", disk, iso=iso, medium="cd", seed_stick=stick) as host:
        host.wait_failure("installer", box.INSTALLED)
        host.wait_for(r"# $|#$", box.ANSWER)
        host.command("mkdir -p /tmp/raw; dmesg -n 1; true", box.ANSWER)
        lines = [line for line in RAW.read_text().splitlines() if line and not line.startswith("#")]
        for line in lines:
            host.command(f"echo {line!r} >> /tmp/raw/install.sh", box.ANSWER)
        began = host.seconds
        host.command("sh -e /tmp/raw/install.sh > /tmp/raw/log 2>&1", box.INSTALLED)
        return host.seconds - began
