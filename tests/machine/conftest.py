"""Machines that tests share: one installation per firmware, and every story goes on from an overlay of its disk."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.consolewatch import Phase
from builder.machine import Machine, new_disk, seed_stick
from builder.qemu_hardware import Firmware, Medium
from builder.run import run
from tests.machine import box

ROOT = Path(__file__).resolve().parents[2]
INSTALLER_PHASES = [
    "answers", "check", "partitions", "filesystems", "unpack", "settings", "bootloader", "post", "finish",
]  # fmt: skip
SHELL = r"asrbox-install#$"
DISK_SIZE = 20 * 1024**3  # bytes, of which little is ever written


@dataclass(frozen=True)
class Installed:
    """A disk on which the ISO has installed itself (do not write to it: use an overlay), and how that went: its phases
    after all that the installer refused before, which is in `refused` by situation.
    """

    disk: Path
    phases: list[Phase]
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def installer_phases(self) -> list[str]:
        """Names of the installer's phases, in the order in which they came."""
        return [phase.name.split()[-1] for phase in self.phases if phase.name.startswith("install ")]


def installed(iso: Path, logs: Path, folder: Path, name: str, medium: Medium, firmware: Firmware) -> Installed:
    """Let the ISO install itself from this medium onto an empty disk in `folder`, with its answers on a stick."""
    disk, stick = new_disk(folder / "disk.qcow2", DISK_SIZE), seed_stick(folder / "seed.img", box.seed())
    with box.machine(logs, name, disk, iso=iso, medium=medium, firmware=firmware, seed_stick=stick) as installer:
        installer.wait_until("installed", box.INSTALLED)
        installer.wait_off(box.OFF)
        return Installed(disk, installer.watch.phases)


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
    """Installed from a CD under SeaBIOS, after the installer had refused all that it should.

    It is one boot of the medium: disks are plugged in as it runs, and the installer is started again in the shell that
    it leaves on the console. All is there for an installation only at the end: two empty disks, and a word on which.
    """
    folder = tmp_path_factory.mktemp("by-cd")
    used, chosen = new_disk(folder / "used.qcow2", DISK_SIZE), folder / "disk.qcow2"
    run(["qemu-img", "convert", "-O", "qcow2", formatted(folder / "used.img"), used])
    refused = {}
    stick = seed_stick(folder / "seed.img", box.seed())
    with box.machine(logs, "install-bios-cd", iso=iso, medium="cd", seed_stick=stick) as installer:
        refused["no disk"] = installer.wait_failure("installer", box.INSTALLED).sentence
        installer.wait_for(SHELL, box.ANSWER)
        installer.plug_disk(new_disk(folder / "small.qcow2", 8 * 1024**3), "SMALL")
        refused["too small"] = refusal(installer)
        installer.plug_disk(used, "USED")
        refused["holds data"] = refusal(installer)
        refused["wrong word"] = refusal(installer, box.seed(serial="USED", erase="WRONG1"))
        refused["wrong selector"] = refusal(installer, box.seed(serial="NOSUCHDISK"))
        refused["selector of the small disk"] = refusal(installer, box.seed(serial="SMALL"))
        installer.plug_disk(new_disk(folder / "other.qcow2", DISK_SIZE), "OTHER")
        installer.plug_disk(new_disk(chosen, DISK_SIZE), "CHOSEN")
        refused["several disks"] = refusal(installer)
        start_again(installer, box.seed(serial="CHOSEN"))
        installer.wait_until("installed", installer.seconds + box.INSTALLED)
        installer.wait_off(box.OFF)
        return Installed(chosen, installer.watch.phases, refused)


def formatted(image: Path) -> Path:
    """The image of a disk on which somebody has a file system."""
    with image.open("wb") as file:
        file.truncate(DISK_SIZE)
    run(["mkfs.ext4", "-q", "-F", image])
    return image


def refusal(installer: Machine, answers: str | None = None) -> str:
    """What the installer refuses when it is started once more, perhaps with other answers."""
    start_again(installer, answers)
    sentence = installer.wait_failure("installer", box.LOGIN).sentence
    installer.wait_for(SHELL, box.ANSWER)
    return sentence


def start_again(installer: Machine, answers: str | None) -> None:
    """Start the installer from the shell that it left, when the kernel has seen the disks."""
    command = "asrbox-install"
    if answers is not None:
        text = base64.b64encode(answers.encode()).decode()
        installer.type(f"echo {text} | base64 -d > /run/answers.toml")
        installer.wait_for(SHELL, box.ANSWER)
        command += " --answers /run/answers.toml"
    installer.type("udevadm settle; " + command)


@pytest.fixture(scope="session")
def by_usb(iso: Path, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Installed from a USB stick under OVMF, with the answers on another stick."""
    return installed(iso, logs, tmp_path_factory.mktemp("by-usb"), "install-uefi-usb", "usb", "uefi")
