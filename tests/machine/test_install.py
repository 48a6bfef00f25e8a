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


def test_from_cd_under_seabios(by_cd: Installed) -> None:
    assert installer_phases(by_cd) == PHASES


def test_from_a_usb_stick_under_ovmf_and_the_disk_comes_up(by_usb: Installed, logs: Path, tmp_path: Path) -> None:
    assert installer_phases(by_usb) == PHASES
    disk = new_disk(tmp_path / "disk.qcow2", DISK_SIZE, backing=by_usb.disk)
    with box.machine(logs, "disk-uefi", disk, firmware="uefi") as machine:
        machine.wait_until("ready", box.READY)
        machine.log_in(box.ADMIN, box.ADMIN_PASSWORD)
        # GRUB was started by the firmware, the host has its name, and the installer left its log.
        assert machine.command("test -d /sys/firmware/efi && hostname", box.ANSWER) == "box"
        assert "asrbox-install: done" in box.as_root(machine, "cat /var/log/asrbox-install.log")
