"""The disk guard: which disk may be installed on. Pure: plain data in, one disk or an exact refusal out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliances.base.installer.disks import Block, human
from appliances.base.installer.errors import InstallError

if TYPE_CHECKING:  # checking an answer file costs an import that a guard without one can do without
    from appliances.base.installer.seed import DiskSelector

NEVER_DISKS = {"loop", "rom", "part", "lvm", "crypt", "raid0", "raid1", "raid5", "raid10", "mpath", "dm"}
SEED_LABEL = "ASRBOX"


@dataclass(frozen=True)
class Medium:
    """What the machine booted from: the mounted device (None when unknown) and the volume label."""

    device: str | None
    label: str


def refusals(disks: Sequence[Block], medium: Medium, minimum: int) -> dict[str, str | None]:
    """For every whole disk, by path: why it can never be installed on, or None when it can. `minimum` in bytes."""
    return {
        disk.path: _refusal(disk, medium, minimum)
        for disk in disks
        if disk.kind not in NEVER_DISKS and not disk.path.startswith(("/dev/zram", "/dev/ram", "/dev/fd", "/dev/nbd"))
    }


def candidates(disks: Sequence[Block], medium: Medium, minimum: int) -> list[Block]:
    """The disks that the distribution can be installed on, whether they hold data or not."""
    refused = refusals(disks, medium, minimum)
    return [disk for disk in disks if refused.get(disk.path, "not a disk") is None]


def select(disks: Sequence[Block], medium: Medium, minimum: int, selector: DiskSelector) -> Block:
    """The one suitable disk, or the one that the selector names. Raises InstallError when there is not exactly one."""
    suitable = candidates(disks, medium, minimum)
    why_not = refusals(disks, medium, minimum)
    if selector.empty:
        return _only(suitable, disks, why_not)
    return _selected(suitable, disks, why_not, selector)


def permit(disk: Block, erase: str | None) -> None:
    """Raises InstallError when the disk holds data and `erase` is not its confirmation word."""
    if disk.contents and (erase or "").upper() != disk.word:
        raise _holds_data(disk, erase)


def matches(disk: Block, selector: DiskSelector) -> bool:
    """True when every condition of the selector holds for the disk."""
    return (
        (selector.serial is None or selector.serial == disk.serial)
        and (selector.wwn is None or selector.wwn == disk.wwn)
        and (selector.path is None or selector.path == disk.path)
        and (selector.size_min is None or disk.size >= selector.size_min)
        and (selector.size_max is None or disk.size <= selector.size_max)
    )


def _refusal(disk: Block, medium: Medium, minimum: int) -> str | None:
    everything = list(disk.all())
    if any(block.path == medium.device for block in everything):
        return "it is the installation medium"
    if any(block.label == medium.label for block in everything):
        return f"it is an installation medium (label {medium.label})"
    if any(block.label == SEED_LABEL for block in everything):
        return f"it carries the answer file (label {SEED_LABEL})"
    if disk.size == 0:
        return "there is no medium in the drive"
    if disk.read_only:
        return "it is read-only"
    if any(block.mounts for block in everything):
        return "it is in use: " + ", ".join(mount for block in everything for mount in block.mounts)
    if disk.size < minimum:
        return f"it is too small: {human(disk.size)}, but {human(minimum)} are needed"
    return None


def _only(suitable: Sequence[Block], disks: Sequence[Block], why_not: dict[str, str | None]) -> Block:
    if not suitable:
        raise _none_suitable(disks, why_not)
    if len(suitable) > 1:
        details = ["Suitable disks, and the line for [disk] in seed.toml that selects each:"]
        details += [f"  {disk}:  {disk.selector}{' (holds data)' if disk.contents else ''}" for disk in suitable]
        example = next((disk for disk in suitable if not disk.contents), suitable[0])
        raise InstallError(
            f"{len(suitable)} disks are suitable ({_paths(suitable)}) and none was chosen",
            f"name one in seed.toml under [disk], for example: {example.selector}",
            details,
        )
    return suitable[0]


def _selected(
    suitable: Sequence[Block], disks: Sequence[Block], why_not: dict[str, str | None], selector: DiskSelector
) -> Block:
    conditions = ", ".join(
        f"{key} = {value!r}" for key, value in selector.model_dump(exclude={"erase"}).items() if value is not None
    )
    found = [disk for disk in disks if disk.path in why_not and matches(disk, selector)]
    allowed = [disk for disk in found if disk in suitable]
    if len(allowed) > 1:
        raise InstallError(
            f"the selector in seed.toml ({conditions}) fits {len(allowed)} disks: {_paths(allowed)}",
            f"make it exact, for example: {allowed[0].selector}",
            [f"  {disk}:  {disk.selector}" for disk in allowed],
        )
    if not allowed and found:
        raise InstallError(
            f"the disk selected in seed.toml, {found[0]}, cannot be used: {why_not[found[0].path]}",
            "select another disk, or leave [disk] out when only one is suitable",
            _seen(disks, why_not),
        )
    if not allowed:
        raise InstallError(
            f"no disk fits the selector in seed.toml ({conditions})",
            "correct [disk] in seed.toml; the disks seen are listed above",
            _seen(disks, why_not),
        )
    return allowed[0]


def _none_suitable(disks: Sequence[Block], why_not: dict[str, str | None]) -> InstallError:
    if not why_not:
        return InstallError(
            "no disk was found", "connect a disk, or switch its controller on in the firmware settings, and start again"
        )
    seen = "; ".join(f"{path}: {reason}" for path, reason in why_not.items())
    return InstallError(
        f"no disk is suitable ({seen})", "connect a suitable disk and start again", _seen(disks, why_not)
    )


def _holds_data(disk: Block, given: str | None) -> InstallError:
    what = f"the disk {disk} holds data"
    if given:
        what += f", and erase = {given!r} is not its word"
    return InstallError(
        what,
        f'if all of it may be destroyed, put this line under [disk] in seed.toml: erase = "{disk.word}"',
        ["On the disk:", *(f"  {item}" for item in disk.contents)],
    )


def _seen(disks: Sequence[Block], why_not: dict[str, str | None]) -> list[str]:
    return ["Disks seen:"] + [f"  {disk}: {why_not[disk.path] or 'suitable'}" for disk in disks if disk.path in why_not]


def _paths(disks: Sequence[Block]) -> str:
    return ", ".join(disk.path for disk in disks)
