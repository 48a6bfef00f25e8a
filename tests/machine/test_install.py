"""The ISO installs itself: from CD under SeaBIOS, from a USB stick under OVMF; the installed disk boots by itself."""

from __future__ import annotations

import pytest

from builder.consolewatch import Phase
from tests.machine import box
from tests.machine.conftest import ByUsb, Installed

pytestmark = pytest.mark.timeout(box.WHOLE)

PHASES = ["answers", "check", "partitions", "filesystems", "unpack", "settings", "bootloader", "post", "finish"]


def installer_phases(phases: list[Phase]) -> list[str]:
    return [phase.name.split()[-1] for phase in phases if phase.name.startswith("install ")]


def test_from_cd_under_seabios(by_cd: Installed) -> None:
    assert installer_phases(by_cd.phases) == PHASES


def test_from_a_usb_stick_under_ovmf(by_usb: ByUsb) -> None:
    assert installer_phases(by_usb.phases) == PHASES


def test_the_disk_boots_under_ovmf_and_has_what_the_answers_said(by_usb: ByUsb) -> None:
    assert "efi" in by_usb.firmware.split()
    assert by_usb.hostname == "box"


def test_the_installer_leaves_its_log_on_the_disk(by_usb: ByUsb) -> None:
    assert "asrbox-install: phase 7/9 bootloader" in by_usb.log
    assert box.ADMIN_HASH not in by_usb.log
