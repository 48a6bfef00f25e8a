"""Partitions, LVM, file systems, mounts and fstab: from the kickstart to commands."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliances.base.installer.actions import Action, Command, command
from appliances.base.installer.disks import Block
from appliances.base.installer.errors import InstallError
from appliances.base.installer.kickstart import Kickstart, Partition, Volume

BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
LVM = "E6D6D379-F507-44C2-A23C-238F2A3DF928"
MIB = 2**20
# GPT at both ends, alignment, and the metadata of LVM.
SPARE_MIB = 16


@dataclass(frozen=True)
class FileSystem:
    """One file system to be made and mounted: `uuid` is chosen beforehand, so that fstab is known before it exists."""

    device: str
    kind: str
    mountpoint: str
    label: str
    options: str
    uuid: str


def partition_path(disk: str, number: int) -> str:
    """The device of a partition: /dev/vda + 2 → /dev/vda2, /dev/nvme0n1 + 2 → /dev/nvme0n1p2."""
    return f"{disk}p{number}" if disk[-1].isdigit() else f"{disk}{number}"


def mapper_path(group: str, volume: str) -> str:
    """The device-mapper name of a logical volume: a dash inside a name is doubled."""
    return f"/dev/mapper/{group.replace('-', '--')}-{volume.replace('-', '--')}"


def file_systems(kickstart: Kickstart, disk: str, new_id: Callable[[], uuid.UUID]) -> list[FileSystem]:
    """All file systems of the kickstart, outer mount points first."""
    made = []
    for number, part in enumerate(kickstart.partitions, start=1):
        if part.mountpoint.startswith("/"):
            made.append(_file_system(partition_path(disk, number), part, new_id))
    for volume in kickstart.volumes:
        if volume.mountpoint:
            made.append(_file_system(mapper_path(volume.group, volume.name), volume, new_id))
    return sorted(made, key=lambda item: (item.mountpoint != "/", item.mountpoint.count("/"), item.mountpoint))


def _file_system(device: str, item: Partition | Volume, new_id: Callable[[], uuid.UUID]) -> FileSystem:
    kind = "vfat" if item.file_system == "efi" else item.file_system
    number = str(new_id())
    if kind == "vfat":
        number = f"{number[:4]}-{number[4:8]}".upper()
    label = item.label or {"/": "root", "/boot": "boot", "/boot/efi": "ESP"}.get(item.mountpoint, "")
    return FileSystem(device, kind, item.mountpoint, label, item.options, number)


def check_room(kickstart: Kickstart, disk: Block) -> None:
    """Raises InstallError when the sizes of the kickstart do not fit on the disk."""
    fixed = sum(part.size for part in kickstart.partitions if not part.mountpoint.startswith("pv."))
    needed = fixed + sum(volume.size for volume in kickstart.volumes) + SPARE_MIB
    if needed * MIB > disk.size:
        raise InstallError(
            f"the kickstart needs {needed} MiB, but {disk.path} has {disk.size // MIB} MiB",
            "take a larger disk, or build the medium with a smaller install.root_size",
        )


def release(disk: Block, groups_on_disk: Sequence[str]) -> list[Action]:
    """Let go of everything that an earlier system, or an earlier attempt, keeps open on the disk; then forget it."""
    actions: list[Action] = [command("vgchange", "--activate", "n", group) for group in groups_on_disk]
    parts = [block.path for block in disk.children if block.kind == "part"]
    actions += [command("wipefs", "--all", "--force", path) for path in [*parts, disk.path]]
    return actions


def partition(kickstart: Kickstart, disk: str) -> list[Action]:
    """A new GPT with the partitions of the kickstart."""
    lines = ["label: gpt", *(_sfdisk_line(part) for part in kickstart.partitions)]
    return [
        command("sfdisk", "--wipe", "always", "--wipe-partitions", "always", disk, stdin="\n".join(lines) + "\n"),
        command("udevadm", "settle", "--timeout=60"),
    ]


def _sfdisk_line(part: Partition) -> str:
    if part.mountpoint == "biosboot":
        kind, name = BIOS_BOOT, "bios"
    elif part.file_system == "efi":
        kind, name = ESP, "esp"
    elif part.mountpoint.startswith("pv."):
        kind, name = LVM, part.mountpoint
    else:
        kind, name = LINUX, part.mountpoint.strip("/") or "root"
    size = "" if part.grow else f"size={part.size}MiB, "
    return f'{size}type={kind}, name="{name}"'


def volumes(kickstart: Kickstart, disk: str) -> list[Action]:
    """Physical volumes, groups and logical volumes; a thin pool that grows comes last and takes all that is left."""
    numbered = {part.mountpoint: partition_path(disk, at) for at, part in enumerate(kickstart.partitions, start=1)}
    actions: list[Action] = []
    for group in kickstart.groups:
        devices = [numbered[member] for member in group.members]
        actions += [command("pvcreate", "--yes", "--force", device) for device in devices]
        actions.append(command("vgcreate", "--yes", group.name, *devices))
    for volume in sorted(kickstart.volumes, key=lambda item: item.grow):
        size = ("--extents", "100%FREE") if volume.grow else ("--size", f"{volume.size}m")
        kind = ("--type", "thin-pool", "--monitor", "n") if volume.thin_pool else ("--wipesignatures", "y")
        actions.append(command("lvcreate", "--yes", *kind, "--name", volume.name, *size, volume.group))
    actions.append(command("udevadm", "settle", "--timeout=60"))
    return actions


def format_and_mount(systems: Sequence[FileSystem], target: str) -> list[Action]:
    """Make every file system, then mount them under `target`, outer ones first.

    `target` is made private before: services with a mount namespace of their own (udevd, for one) would otherwise get
    copies of all that is mounted there, and keep the root volume open after it was unmounted here.
    """
    actions: list[Action] = [_mkfs(system) for system in systems]
    actions += [
        command("mkdir", "--parents", target),
        command("mount", "--bind", target, target),
        command("mount", "--make-private", target),
    ]
    for system in systems:
        path = target + system.mountpoint.rstrip("/")
        if path != target:
            actions.append(command("mkdir", "--parents", path))
        actions.append(command("mount", "--types", system.kind, system.device, path))
    return actions


def _mkfs(system: FileSystem) -> Command:
    if system.kind == "vfat":
        number = system.uuid.replace("-", "")
        return command("mkfs.vfat", "-F", "32", "-n", system.label or "DATA", "-i", number, system.device)
    label = ("-L", system.label) if system.label else ()
    if system.kind == "xfs":
        return command("mkfs.xfs", "-q", "-f", *label, "-m", f"uuid={system.uuid}", system.device)
    lazy = "lazy_itable_init=1,lazy_journal_init=1"
    return command("mkfs.ext4", "-q", "-F", *label, "-U", system.uuid, "-E", lazy, system.device)


def fstab(systems: Sequence[FileSystem]) -> str:
    """/etc/fstab by UUID. A machine that boots by BIOS can live without its ESP, so that one may be absent."""
    lines = ["# Made by the installer. File systems are named by UUID."]
    for system in systems:
        options = system.options or {"ext4": "errors=remount-ro"}.get(system.kind, "defaults")
        if system.kind == "vfat":
            options += ",nofail"
        order = 1 if system.mountpoint == "/" else 2
        lines.append(f"UUID={system.uuid} {system.mountpoint} {system.kind} {options} 0 {order}")
    return "\n".join(lines) + "\n"


def close(kickstart: Kickstart, target: str) -> list[Action]:
    """Write everything out, unmount, and let the volume groups go.

    The last is a courtesy to a second attempt: everything is on the disk by then, and the restart ends them anyway.
    """
    return [
        command("sync", timeout=600),
        command("umount", "--recursive", target),
        command("umount", target, optional=True),  # the layer below, where the first has left it
        *(command("vgchange", "--activate", "n", group.name, optional=True) for group in kickstart.groups),
    ]
