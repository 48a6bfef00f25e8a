"""The installer of one family does not name the programs and files of another."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from appliances.base.installer import family
from appliances.base.installer.actions import Command, Phase, WriteFile
from appliances.base.installer.facts import Facts
from appliances.base.installer.kickstart import Kickstart
from appliances.base.installer.plan import plan


@pytest.mark.parametrize(
    ("os_release", "expected"),
    [
        ('ID=debian\nVERSION_ID="13"\n', family.DEBIAN),
        ('NAME="CentOS Stream"\nID="centos"\nID_LIKE="rhel fedora"\n', family.EL),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', family.EL),
        ("ID=ubuntu\nID_LIKE=debian\n", family.DEBIAN),
    ],
)
def test_the_family_is_read_from_os_release(tmp_path: Path, os_release: str, expected: family.Family) -> None:
    file = tmp_path / "os-release"
    file.write_text(os_release)
    assert family.of_this_system(file) is expected


def test_on_el_grub2_is_installed_and_files_are_labelled_last(wanted: Kickstart, facts: Facts) -> None:
    phases = {phase.name: phase for phase in plan(wanted, dataclasses.replace(facts, family=family.EL), title="asrbox")}

    loader = phases["bootloader"]
    menu = next(action for action in loader.actions if isinstance(action, WriteFile) and "grub.cfg" in action.path)
    assert menu.path == "/mnt/sysroot/boot/grub2/grub.cfg"
    assert "initrd /initramfs-6.12.9-amd64.img" in menu.text
    installs = [line for line in programs(loader) if "install" in line]
    assert all(" grub2-install " in f" {line} " for line in installs)
    assert any(line.endswith("--no-nvram --force") for line in installs)
    assert "setfiles -F" in programs(phases["post"])[-1]


def test_on_debian_nothing_of_el_is_named(wanted: Kickstart, facts: Facts) -> None:
    told = [line for phase in plan(wanted, facts, title="asrbox") for line in programs(phase)]
    assert not [line for line in told if "grub2" in line or "setfiles" in line or "--no-nvram --force" in line]


def programs(phase: Phase) -> list[str]:
    return [" ".join(action.argv) for action in phase.actions if isinstance(action, Command)]
