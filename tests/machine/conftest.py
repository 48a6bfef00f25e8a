"""Machines that tests share: an ISO is installed once, and every story goes on from an overlay of that disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.consolewatch import Phase
from builder.machine import Machine, new_disk, seed_stick
from tests.machine import box

ROOT = Path(__file__).resolve().parents[2]
DISK_SIZE = 20 * 1024**3  # bytes, of which little is ever written


@dataclass(frozen=True)
class Installed:
    """A disk on which the ISO has installed itself (do not write to it: use an overlay), and how that went."""

    disk: Path
    phases: list[Phase]
    seconds: float


@dataclass(frozen=True)
class ByUsb:
    """An installation from a stick under OVMF, and what was found on the machine that booted from its disk."""

    phases: list[Phase]
    hostname: str
    firmware: str
    log: str


@pytest.fixture(scope="session")
def iso(request: pytest.FixtureRequest) -> Path:
    """The ISO under test: the one named by ASRBOX_TEST_ISO, else that of this checkout."""
    if named := os.environ.get("ASRBOX_TEST_ISO"):
        return Path(named)
    found: Path = request.getfixturevalue("built").iso
    return found


@pytest.fixture(scope="session")
def logs() -> Path:
    """Where consoles, screenshots and pages stay for a look after a failure."""
    folder = ROOT / "build" / "test-logs" / "machine"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def by_cd(iso: Path, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Installed from a CD under SeaBIOS, with the answers on a stick."""
    folder = tmp_path_factory.mktemp("by-cd")
    disk, stick = new_disk(folder / "disk.qcow2", DISK_SIZE), seed_stick(folder / "seed.img", box.seed())
    with box.machine(logs, "install-bios-cd", disk, iso=iso, medium="cd", seed_stick=stick) as installer:
        installer.wait_until("installed", box.INSTALLED)
        seconds = installer.wait_off(box.OFF)
        return Installed(disk, installer.watch.phases, seconds)


@pytest.fixture(scope="session", autouse=True)
def beside(
    request: pytest.FixtureRequest, iso: Path, logs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Future[ByUsb] | None]:
    """The UEFI machine, which runs beside all others from the beginning: one alone does not use two cores."""
    if not any("by_usb" in getattr(item, "fixturenames", ()) for item in request.session.items):
        yield None
        return
    running: list[Machine] = []
    with ThreadPoolExecutor(1) as worker:
        yield worker.submit(_by_usb, iso, logs, tmp_path_factory.mktemp("by-usb"), running)
        for machine in running:  # after Ctrl-C nobody waits for it any more
            machine.power_cut()


@pytest.fixture(scope="session")
def by_usb(beside: Future[ByUsb]) -> ByUsb:
    """Installed from a USB stick under OVMF, and booted from the disk."""
    return beside.result(timeout=box.WHOLE)


def _by_usb(iso: Path, logs: Path, folder: Path, running: list[Machine]) -> ByUsb:
    disk, stick = new_disk(folder / "disk.qcow2", DISK_SIZE), seed_stick(folder / "seed.img", box.seed())
    with box.machine(
        logs, "install-uefi-usb", disk, iso=iso, medium="usb", firmware="uefi", seed_stick=stick
    ) as installer:
        running.append(installer)
        installer.wait_until("installed", box.INSTALLED)
        installer.wait_off(box.OFF)
        phases = installer.watch.phases
    with box.machine(logs, "disk-uefi", disk, firmware="uefi") as machine:
        running.append(machine)
        machine.wait_until("login", box.LOGIN)
        machine.log_in(box.ADMIN, box.ADMIN_PASSWORD)
        return ByUsb(
            phases,
            hostname=machine.command("hostname", box.ANSWER),
            firmware=machine.command("ls /sys/firmware", box.ANSWER),
            log=box.as_root(machine, "cat /var/log/asrbox-install.log"),
        )
