"""A USB stick under OVMF: the ISO installs itself, the disk boots by itself, and the installer refuses what it should.

The refusals are seen on the console in one boot of the medium; disks are plugged in as it runs.
"""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from builder.machine import Machine, new_disk, seed_stick
from tests.machine import box
from tests.machine.conftest import DISK_SIZE, INSTALLER_PHASES, Installed

pytestmark = pytest.mark.timeout(box.WHOLE)

SHELL = r"asrbox-install#$"


def test_from_a_usb_stick_under_ovmf_and_the_disk_boots(by_usb: Installed, logs: Path, tmp_path: Path) -> None:
    assert by_usb.installer_phases == INSTALLER_PHASES
    disk = new_disk(tmp_path / "disk.qcow2", DISK_SIZE, backing=by_usb.disk)
    with box.machine(logs, "disk-uefi", disk, firmware="uefi") as machine:
        machine.wait_until("login", box.LOGIN)
        machine.log_in(box.ADMIN, box.ADMIN_PASSWORD)
        assert machine.command("hostname", box.ANSWER) == "box"
        assert "efi" in machine.command("ls /sys/firmware", box.ANSWER).split()
        log = box.as_root(machine, "cat /var/log/asrbox-install.log")
    assert "asrbox-install: phase 7/9 bootloader" in log
    assert box.ADMIN_HASH not in log


@pytest.fixture(scope="module")
def refusals(iso: Path, by_usb: Installed, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The sentences of the installer, by situation."""
    folder = tmp_path_factory.mktemp("refusals")
    stick = seed_stick(folder / "seed.img", box.seed())
    told = {}
    with box.machine(logs, "refusals", iso=iso, medium="cd", seed_stick=stick) as machine:
        told["no disk"] = machine.wait_failure("installer", box.INSTALLED).sentence
        machine.wait_for(SHELL, box.ANSWER)

        machine.plug_disk(new_disk(folder / "small.qcow2", 8 * 1024**3), "SMALL")
        told["too small"] = again(machine)

        machine.plug_disk(new_disk(folder / "used.qcow2", DISK_SIZE, backing=by_usb.disk), "USED")
        told["holds data"] = again(machine)
        told["wrong selector"] = again(machine, box.seed(serial="NOSUCHDISK"))

        machine.plug_disk(new_disk(folder / "empty.qcow2", DISK_SIZE), "EMPTY")
        told["two disks"] = again(machine)
    return told


def again(machine: Machine, answers: str | None = None) -> str:
    """Start the installer once more from the shell that it left, perhaps with other answers; what it refuses."""
    command = "asrbox-install"
    if answers is not None:
        text = base64.b64encode(answers.encode()).decode()
        machine.type(f"echo {text} | base64 -d > /run/answers.toml")
        machine.wait_for(SHELL, box.ANSWER)
        command += " --answers /run/answers.toml"
    machine.type("udevadm settle; " + command)
    sentence = machine.wait_failure("installer", box.LOGIN).sentence
    machine.wait_for(SHELL, box.ANSWER)
    return sentence


def test_no_disk(refusals: dict[str, str]) -> None:
    assert "no disk is suitable (/dev/sda: it carries the answer file (label ASRBOX))" in refusals["no disk"]


def test_a_disk_that_is_too_small(refusals: dict[str, str]) -> None:
    assert "no disk is suitable" in refusals["too small"]
    assert "it is too small: " in refusals["too small"]


def test_a_disk_with_data_without_its_word(refusals: dict[str, str]) -> None:
    assert "holds data" in refusals["holds data"]
    assert 'put this line under [disk] in seed.toml: erase = "' in refusals["holds data"]


def test_a_selector_that_fits_no_disk(refusals: dict[str, str]) -> None:
    assert "no disk fits the selector in seed.toml (serial = 'NOSUCHDISK')" in refusals["wrong selector"]


def test_two_disks_and_no_selector(refusals: dict[str, str]) -> None:
    assert "2 disks are suitable" in refusals["two disks"]
    assert "and none was chosen" in refusals["two disks"]
