"""A USB stick under OVMF: the ISO installs itself, and the disk boots by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.machine import new_disk
from tests.machine import box
from tests.machine.conftest import DISK_SIZE, INSTALLER_PHASES, Installed

pytestmark = pytest.mark.timeout(box.WHOLE)


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
