"""The whole installation as a list of phases: pure, from a kickstart and the facts of a machine."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from appliances.base.installer import bootloader, storage, target
from appliances.base.installer.actions import Phase, RunScript, Unpack
from appliances.base.installer.disks import Block
from appliances.base.installer.errors import InstallError
from appliances.base.installer.facts import Facts
from appliances.base.installer.kickstart import Kickstart

TARGET = "/mnt/sysroot"


def plan(
    kickstart: Kickstart, facts: Facts, *, title: str, new_id: Callable[[], uuid.UUID] = uuid.uuid4
) -> list[Phase]:
    """What will be done, in order, after the answers are known. Raises InstallError for what can be seen beforehand.

    `title` is the name and version shown in boot menus; `new_id` gives the ids of file systems and of the machine.
    """
    disk = _disk(kickstart, facts)
    storage.check_room(kickstart, disk)
    groups = _groups_on(disk, kickstart, facts)
    systems = storage.file_systems(kickstart, disk.path, new_id)
    post = [script for script in kickstart.scripts if script.stage == "post"]
    settings = target.configure(kickstart, TARGET, links=facts.links, machine_id=new_id(), fstab=storage.fstab(systems))
    loader = bootloader.install(
        kickstart, systems, disk.path, TARGET, kernel=facts.kernel, uefi=facts.uefi, title=title, family=facts.family
    )
    return [
        Phase("partitions", (*storage.release(disk, groups), *storage.partition(kickstart, disk.path))),
        Phase(
            "filesystems",
            (*storage.volumes(kickstart, disk.path), *storage.format_and_mount(systems, TARGET)),
        ),
        Phase("unpack", (Unpack(kickstart.image, TARGET),)),
        Phase("settings", (*target.enter(TARGET), *settings)),
        Phase("bootloader", tuple(loader)),
        Phase("post", (*(RunScript(script, TARGET) for script in post), *target.label(facts.family, TARGET))),
    ]


def _disk(kickstart: Kickstart, facts: Facts) -> Block:
    wanted = "/dev/" + kickstart.partitions[0].disk.removeprefix("/dev/")
    for disk in facts.disks:
        if disk.path == wanted:
            return disk
    raise InstallError(f"the disk {wanted} of the kickstart is not in this machine", "run asrbox-install again")


def _groups_on(disk: Block, kickstart: Kickstart, facts: Facts) -> list[str]:
    """The volume groups of the disk; refuses a name that is also in use on another disk: LVM would mix them up."""
    own = {block.path for block in disk.all()}
    for group in kickstart.groups:
        elsewhere = [device for device in facts.groups.get(group.name, ()) if device not in own]
        if elsewhere:
            raise InstallError(
                f"another disk holds a volume group called {group.name}, too: {', '.join(elsewhere)}",
                f"take that disk out, or rename its group with: vgrename {group.name} {group.name}-old",
            )
    return [name for name, devices in facts.groups.items() if own & set(devices)]
