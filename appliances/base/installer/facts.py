"""What the installer must know of the machine before it can plan; gathered in one place, so that plans are pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from appliances.base.installer import family
from appliances.base.installer.disks import LSBLK, Block, parse
from appliances.base.installer.errors import InstallError
from appliances.base.installer.family import Family
from appliances.base.installer.guard import Medium
from appliances.base.installer.links import Link, links
from appliances.base.installer.runner import Runner

LIVE = "/run/initramfs/live"


@dataclass(frozen=True)
class Facts:
    """`kernel` is the version of the kernel in the payload; `groups` maps volume groups found to their devices."""

    disks: tuple[Block, ...]
    groups: dict[str, tuple[str, ...]]
    links: tuple[Link, ...]
    kernel: str
    uefi: bool
    family: Family = family.DEBIAN


def gather(runner: Runner, image: str) -> Facts:
    """All facts for an installation of the squashfs file `image`."""
    kind = family.of_this_system()
    return Facts(
        disks=tuple(disks(runner)),
        groups=volume_groups(runner),
        links=links(),
        kernel=kernel(runner, image, kind),
        uefi=any(Path("/sys/firmware/efi/efivars").glob("*")),
        family=kind,
    )


def disks(runner: Runner) -> list[Block]:
    """The block devices of this machine."""
    return parse(runner.run(LSBLK))


def medium(runner: Runner, label: str) -> Medium:
    """What this machine was booted from; the label alone when the live medium is not mounted."""
    if not Path(LIVE).is_mount():
        return Medium(None, label)
    return Medium(runner.run(["findmnt", "--noheadings", "--output", "SOURCE", LIVE]).strip() or None, label)


def volume_groups(runner: Runner) -> dict[str, tuple[str, ...]]:
    """Volume group → the devices it lies on."""
    said = runner.run(["pvs", "--reportformat", "json", "--options", "pv_name,vg_name"])
    groups: dict[str, tuple[str, ...]] = {}
    for row in json.loads(said)["report"][0]["pv"]:
        if row["vg_name"]:
            groups[row["vg_name"]] = (*groups.get(row["vg_name"], ()), row["pv_name"])
    return groups


def kernel(runner: Runner, image: str, kind: Family) -> str:
    """The newest kernel version that has a kernel and an initrd in /boot of the payload."""
    listed = {Path(line).name for line in runner.run(["unsquashfs", "-l", image, "boot"]).splitlines()}
    versions = [
        name.removeprefix("vmlinuz-")
        for name in listed
        if name.startswith("vmlinuz-") and kind.initrd.format(kernel=name.removeprefix("vmlinuz-")) in listed
    ]
    if not versions:
        raise InstallError(
            f"{image} has no /boot/vmlinuz-… with its /boot/{kind.initrd.format(kernel='…')}",
            "build the medium again: the host tree is incomplete",
        )
    return max(versions, key=_natural)


def _natural(version: str) -> list[tuple[int, str]]:
    parts = "".join(c if c.isdigit() else f" {c} " for c in version).split()
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
