"""The plan: the same kickstart and machine always give the same commands, and these are they."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import tomllib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliances.base.installer import kickstart
from appliances.base.installer.actions import Command, Phase, WriteFile
from appliances.base.installer.errors import InstallError
from appliances.base.installer.facts import Facts
from appliances.base.installer.fragments import ANSWERS, fragments
from appliances.base.installer.kickstart import Kickstart
from appliances.base.installer.links import Link
from appliances.base.installer.plan import plan
from appliances.base.installer.seed import Seed
from tests.unit.installer.machine import GIB, blocks, disk

NewId = Callable[[], uuid.UUID]
GOLDEN = Path(__file__).parent / "data" / "plan.txt"


def shown(phases: list[Phase]) -> str:
    lines = []
    for phase in phases:
        lines.append(f"[{phase.name}]")
        for action in phase.actions:
            lines.append(f"  {action}")
            inside = action.text if isinstance(action, WriteFile) else getattr(action, "stdin", None)
            lines += [f"  | {line}".rstrip() for line in (inside or "").splitlines()]
    return "\n".join(lines) + "\n"


def files_of(phases: list[Phase]) -> dict[str, str]:
    return {
        action.path.removeprefix("/mnt/sysroot"): action.text
        for phase in phases
        for action in phase.actions
        if isinstance(action, WriteFile)
    }


def argvs(phases: list[Phase]) -> list[tuple[str, ...]]:
    return [action.argv for phase in phases for action in phase.actions if isinstance(action, Command)]


def test_every_command_and_file(wanted: Kickstart, facts: Facts, new_id: NewId) -> None:
    assert shown(plan(wanted, facts, title="asrbox 0.1.0", new_id=new_id)) == GOLDEN.read_text(encoding="utf-8")


def test_kernel_arguments_of_the_answers_reach_both_entries_and_later_kernels(
    seed: Seed, text: str, facts: Facts, new_id: NewId
) -> None:
    asked = seed.model_copy(update={"kernel_arguments": ("iommu=pt", "console=ttyS1,115200")})
    written = fragments(
        asked, facts.disks[0], group="sudo", timezone="Etc/UTC", locale="ru_RU.UTF-8", appliances=["base"]
    )
    files = files_of(plan(kickstart.read(text, written), facts, title="x", new_id=new_id))
    words = "console=tty0 console=ttyS0,115200 iommu=pt console=ttyS1,115200"
    assert files["/boot/grub/grub.cfg"].count(words) == 2
    assert f'{words}"' in files["/etc/default/grub"]
    assert 'kernel_arguments = ["iommu=pt", "console=ttyS1,115200"]' in written[ANSWERS]


@pytest.mark.parametrize("changes", [{}, {"kernel_arguments": ("iommu=pt",)}], ids=["alone", "with arguments"])
def test_ipv6_is_kept_among_the_answers_where_it_was_asked_for(
    seed: Seed, facts: Facts, changes: dict[str, object]
) -> None:
    def kept(asked: Seed) -> str:
        options: dict[str, Any] = {"group": "sudo", "timezone": "Etc/UTC", "locale": "ru_RU.UTF-8"}
        return fragments(asked, facts.disks[0], appliances=["base"], **options)[ANSWERS]

    without = seed.model_copy(update=changes)
    lines = kept(without).splitlines()
    assert not [line for line in lines if "ipv6" in line]
    asked = kept(without.model_copy(update={"ipv6": True}))
    assert tomllib.loads(asked)["ipv6"] is True
    assert [line for line in asked.splitlines() if line != "ipv6 = true"] == lines


def test_partitions_of_nvme_have_a_p(wanted: Kickstart, facts: Facts, new_id: NewId) -> None:
    nvme = dataclasses.replace(
        wanted, partitions=tuple(dataclasses.replace(part, disk="nvme0n1") for part in wanted.partitions)
    )
    machine = dataclasses.replace(facts, disks=tuple(blocks(disk("nvme0n1"))))
    assert ("pvcreate", "--yes", "--force", "/dev/nvme0n1p4") in argvs(plan(nvme, machine, title="x", new_id=new_id))


def test_firmware_entry_only_where_there_is_uefi_and_never_fatal(
    wanted: Kickstart, facts: Facts, new_id: NewId
) -> None:
    uefi = plan(wanted, dataclasses.replace(facts, uefi=True), title="x", new_id=new_id)
    bios = plan(wanted, facts, title="x", new_id=new_id)
    (entry,) = [a for p in uefi for a in p.actions if isinstance(a, Command) and a.argv[0] == "efibootmgr"]
    assert entry.optional
    assert not any(argv[0] == "efibootmgr" for argv in argvs(bios))


def test_an_earlier_system_is_let_go_before_the_disk_is_written(wanted: Kickstart, facts: Facts, new_id: NewId) -> None:
    # given a disk with partitions, and an active volume group on one of them
    old = disk(pttype="gpt", children=[disk("vda1", GIB, type="part"), disk("vda4", GIB, type="part")])
    machine = dataclasses.replace(facts, disks=tuple(blocks(old)), groups={"old": ("/dev/vda4",)})
    # then the group is switched off, and every signature is gone before sfdisk runs
    first = argvs(plan(wanted, machine, title="x", new_id=new_id))[:5]
    assert [" ".join(argv) for argv in first] == [
        "vgchange --activate n old",
        "wipefs --all --force /dev/vda1",
        "wipefs --all --force /dev/vda4",
        "wipefs --all --force /dev/vda",
        "sfdisk --wipe always --wipe-partitions always /dev/vda",
    ]


def test_the_same_group_on_another_disk_is_refused(wanted: Kickstart, facts: Facts) -> None:
    machine = dataclasses.replace(facts, groups={"asrbox": ("/dev/vdb4",)})
    with pytest.raises(InstallError, match=r"another disk holds a volume group called asrbox, too: /dev/vdb4 — take"):
        plan(wanted, machine, title="x")


def test_sizes_that_do_not_fit_are_refused_before_anything_is_written(wanted: Kickstart, facts: Facts) -> None:
    machine = dataclasses.replace(facts, disks=tuple(blocks(disk(size=4 * GIB))))
    with pytest.raises(InstallError, match=r"needs 8465 MiB, but /dev/vda has 4096 MiB"):
        plan(wanted, machine, title="x")


def test_nothing_mounted_in_the_target_is_seen_by_other_services(
    wanted: Kickstart, facts: Facts, new_id: NewId
) -> None:
    # a service's own mount namespace once kept the root volume open after the end: the target must be private first
    lines = [" ".join(argv) for argv in argvs(plan(wanted, facts, title="x", new_id=new_id)) if argv[0] == "mount"]
    assert lines[:3] == [
        "mount --bind /mnt/sysroot /mnt/sysroot",
        "mount --make-private /mnt/sysroot",
        "mount --types ext4 /dev/mapper/asrbox-root /mnt/sysroot",
    ]


def test_network_files(wanted: Kickstart, facts: Facts, new_id: NewId) -> None:
    def network(device: str, fixed: bool, links: tuple[Link, ...] = facts.links) -> str:
        item = dataclasses.replace(
            wanted.networks[0], device=device, address=wanted.networks[0].address if fixed else None
        )
        changed = dataclasses.replace(wanted, networks=(item,))
        machine = dataclasses.replace(facts, links=links)
        return files_of(plan(changed, machine, title="x", new_id=new_id))["/etc/systemd/network/10-asrbox.network"]

    assert "Type=ether\nKind=!*\n" in network("link", fixed=False)
    assert "DHCP=yes" in network("link", fixed=False)
    assert "Name=eno1" in network("eno1", fixed=True)
    assert "MACAddress=52:54:00:00:00:01" in network("52:54:00:00:00:01", fixed=True)
    with pytest.raises(InstallError, match="has no network interface — check the network card"):
        network("link", fixed=True, links=())


def test_sfdisk_really_makes_these_partitions(wanted: Kickstart, facts: Facts, new_id: NewId, tmp_path: Path) -> None:
    # given an empty disk image, and the input that the plan gives to sfdisk
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(16 * GIB)
    phases = plan(wanted, facts, title="x", new_id=new_id)
    (sfdisk,) = [a for p in phases for a in p.actions if isinstance(a, Command) and a.argv[0] == "sfdisk"]

    # when the real sfdisk reads it
    subprocess.run(["/usr/sbin/sfdisk", "--quiet", str(image)], input=sfdisk.stdin, text=True, check=True)

    # then the table has a BIOS boot partition, an ESP, /boot, and LVM on all the rest
    table = json.loads(subprocess.check_output(["/usr/sbin/sfdisk", "--json", str(image)]))["partitiontable"]
    found = [(part["name"], part["type"][:8], part["size"] // 2048) for part in table["partitions"]]
    assert table["label"] == "gpt"
    assert found == [
        ("bios", "21686148", 1),
        ("esp", "C12A7328", 256),
        ("boot", "0FC63DAF", 1024),
        ("pv.1", "E6D6D379", 16384 - 1 - 256 - 1024 - 2),
    ]
