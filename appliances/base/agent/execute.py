"""Carries out the actions of reconcile.py. Each can be cut off anywhere: it is simply found undone next time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from appliances.base.agent import images
from appliances.base.agent.distribution import ImageList
from appliances.base.agent.errors import AgentError
from appliances.base.agent.incus import Incus, Json
from appliances.base.agent.instances import COMPLETE, DesiredInstance
from appliances.base.agent.preseed import POOL
from appliances.base.agent.reconcile import (
    Action,
    Actual,
    ActualInstance,
    Blocked,
    CreateInstance,
    CreateVolume,
    DeleteImage,
    ImportImage,
    RemoveInstance,
    StartInstance,
    StopInstance,
    UpdateInstance,
    obsolete_devices,
)


def observe(incus: Incus) -> Actual:
    """What Incus has now. While it makes or removes a container, that has no config."""
    return Actual(
        images=incus.images(),
        volumes=frozenset(incus.volumes(POOL)),
        instances={
            name: ActualInstance(name, found["status"] == "Running", found["config"] or {}, found["devices"] or {})
            for name, found in incus.instances().items()
        },
    )


class Executor:
    """Runs actions in order. When one fails, the rest of that appliance is left for the next round; others go on.

    `announce(done, action)` is told before each action; `before_start(appliance, providers)` waits for those that the
    """

    def __init__(
        self,
        incus: Incus,
        desired: Iterable[DesiredInstance],
        image_list: ImageList,
        image_folder: Path,
        mount_point: Path,
        announce: Callable[[int, Action], None],
        before_start: Callable[[str, tuple[str, ...]], None],
    ) -> None:
        self._incus = incus
        self._desired = {one.appliance: one for one in desired}
        self._images = image_list
        self._folder = image_folder
        self._point = mount_point
        self._announce = announce
        self._before_start = before_start
        self._mounts = contextlib.ExitStack()
        self._mount: Path | None = None

    def execute(self, actions: list[Action]) -> list[AgentError]:
        """Do them all; returns the errors, at most one per appliance."""
        failed: dict[str, AgentError] = {}
        with self._mounts:
            for done, action in enumerate(actions):
                if action.appliance in failed:
                    continue
                self._announce(done, action)
                try:
                    self._do(action)
                except AgentError as error:
                    failed[action.appliance] = error
        self._mount = None
        return list(failed.values())

    def _do(self, action: Action) -> None:
        name = action.appliance
        match action:
            case Blocked(message=message, hint=hint):
                raise AgentError(message, appliance=name, step="reconcile", hint=hint)
            case DeleteImage(fingerprint=fingerprint):
                self._incus.delete_image(fingerprint)
            case ImportImage():
                images.import_image(self._incus, self._image_mount(), self._images.of(name))
            case CreateVolume(volume=volume, size=size):
                self._incus.create_volume(POOL, volume, {"size": str(size)}, appliance=name)
            case CreateInstance():
                self._create(self._desired[name])
            case UpdateInstance():
                self._update(self._desired[name])
            case StopInstance(instance=instance):
                self._incus.stop(instance, appliance=name)
            case RemoveInstance(instance=instance):
                self._incus.delete_instance(instance, appliance=name)
            case StartInstance(after=after):
                self._before_start(name, after)
                self._incus.start(self._desired[name].name, appliance=name)
            case _:
                raise TypeError(f"not an action: {action!r}")

    def _create(self, desired: DesiredInstance) -> None:
        definition: Json = {
            "name": desired.name,
            "type": "container",
            "profiles": [],
            "config": desired.config,
            "devices": desired.devices,
            "source": {"type": "image", "fingerprint": desired.fingerprint},
        }
        self._incus.create_instance(definition, appliance=desired.appliance)
        os.sync()  # its files are on the disk before anything says that it is complete

        def mark_complete(found: Json) -> None:
            found["config"][COMPLETE] = desired.fingerprint

        self._incus.update_instance(desired.name, mark_complete, appliance=desired.appliance)

    def _update(self, desired: DesiredInstance) -> None:
        def change(found: Json) -> None:
            found["config"].update(desired.config)
            for name in obsolete_devices(desired, list(found["devices"])):
                del found["devices"][name]
            found["devices"].update(desired.devices)

        self._incus.update_instance(desired.name, change, appliance=desired.appliance)

    def _image_mount(self) -> Path:
        if self._mount is None:
            squashfs = images.squashfs_of(self._folder, self._images)
            self._mount = self._mounts.enter_context(images.mounted(squashfs, self._images.size, self._point))
        return self._mount
