"""Machines that tests share: one installation per firmware, and every story goes on from an overlay of its disk.

One machine alone does not use two cores: the groups "cd" and "usb" of pytest-xdist run beside one another.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.consolewatch import Phase
from builder.machine import new_disk, seed_stick
from builder.qemu_hardware import Firmware, Medium
from tests.machine import box

ROOT = Path(__file__).resolve().parents[2]
INSTALLER_PHASES = [
    "answers", "check", "partitions", "filesystems", "unpack", "settings", "bootloader", "post", "finish",
]  # fmt: skip
DISK_SIZE = 20 * 1024**3  # bytes, of which little is ever written


@dataclass(frozen=True)
class Installed:
    """A disk on which the ISO has installed itself (do not write to it: use an overlay), and how that went."""

    disk: Path
    phases: list[Phase]

    @property
    def installer_phases(self) -> list[str]:
        """Names of the installer's phases, in the order in which they came."""
        return [phase.name.split()[-1] for phase in self.phases if phase.name.startswith("install ")]


def installed(iso: Path, logs: Path, folder: Path, name: str, medium: Medium, firmware: Firmware) -> Installed:
    """Let the ISO install itself from this medium onto an empty disk in `folder`, with its answers on a stick."""

    def install() -> Installed:
        disk, stick = new_disk(folder / "disk.qcow2", DISK_SIZE), seed_stick(folder / "seed.img", box.seed())
        with box.machine(logs, name, disk, iso=iso, medium=medium, firmware=firmware, seed_stick=stick) as installer:
            installer.wait_until("installed", box.INSTALLED)
            installer.wait_off(box.OFF)
            return Installed(disk, installer.watch.phases)

    return box.steadily(install)


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
    return installed(iso, logs, tmp_path_factory.mktemp("by-cd"), "install-bios-cd", "cd", "bios")


@pytest.fixture(scope="session")
def by_usb(iso: Path, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Installed from a USB stick under OVMF, with the answers on another stick."""
    return installed(iso, logs, tmp_path_factory.mktemp("by-usb"), "install-uefi-usb", "usb", "uefi")
