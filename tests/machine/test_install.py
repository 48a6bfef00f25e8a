"""The ISO installs itself: from CD under SeaBIOS, from a USB stick under OVMF; the installed disk boots by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.machine import new_disk
from tests.machine import box
from tests.machine.conftest import DISK_SIZE, Installed

pytestmark = pytest.mark.timeout(box.WHOLE)

PHASES = ["answers", "check", "partitions", "filesystems", "unpack", "settings", "bootloader", "post", "finish"]


def installer_phases(installed: Installed) -> list[str]:
    return [phase.name.split()[-1] for phase in installed.phases if phase.name.startswith("install ")]


@pytest.mark.xdist_group("cd")
def test_from_cd_under_seabios(by_cd: Installed) -> None:
    assert installer_phases(by_cd) == PHASES


@pytest.mark.xdist_group("usb")
def test_from_a_usb_stick_under_ovmf_and_the_disk_boots(by_usb: Installed, logs: Path, tmp_path: Path) -> None:
    assert installer_phases(by_usb) == PHASES
    disk = new_disk(tmp_path / "disk.qcow2", DISK_SIZE, backing=by_usb.disk)
    with box.machine(logs, "disk-uefi", disk, firmware="uefi") as machine:
        machine.wait_until("login", box.LOGIN)
        machine.log_in(box.ADMIN, box.ADMIN_PASSWORD)
        assert machine.command("hostname", box.ANSWER) == "box"
        assert "efi" in machine.command("ls /sys/firmware", box.ANSWER).split()
        log = box.as_root(machine, "cat /var/log/asrbox-install.log")
    assert "asrbox-install: phase 7/9 bootloader" in log
    assert box.ADMIN_HASH not in log
