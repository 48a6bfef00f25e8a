"""Carries out the actions of reconcile.py, appliances beside one another.

Each action can be cut off anywhere: it is simply found undone next time.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from appliances.base.agent import images
from appliances.base.agent.errors import AgentError
from appliances.base.agent.imagelist import ImageList
from appliances.base.agent.incus import Incus
from appliances.base.agent.incuslink import Json
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
    MakeRoom,
    RemoveInstance,
    StartInstance,
    StopInstance,
    UpdateInstance,
    obsolete_devices,
)
from appliances.base.agent.space import Space


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


AT_ONCE = max(2, min(4, os.cpu_count() or 1))  # appliances that are worked at


class Executor:
    """Runs the actions of each appliance in their order, several appliances at a time.

    When an action fails, the rest of its appliance is left for the next round; others go on. An appliance starts when
    those that it consumes have been dealt with. `announce(done, action)` is told before each action, one at a time;
    `before_start(appliance, providers)` waits until those that the appliance consumes are well.
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
        self._mounting = threading.Lock()
        self._announcing = threading.Lock()
        self._begun = 0
        self._works: dict[str, Future[AgentError | None]] = {}
        self._space = Space(incus)

    def execute(self, actions: list[Action]) -> list[AgentError]:
        """Do them all; returns the errors, at most one per appliance."""
        works: dict[str, list[Action]] = {}
        for action in actions:
            works.setdefault(action.appliance, []).append(action)
        # In start order: whoever waits for another was handed out after it, so that somebody can always go on.
        names = [*(name for name in works if name not in self._desired), *(n for n in self._desired if n in works)]
        with self._mounts, ThreadPoolExecutor(AT_ONCE, thread_name_prefix="execute") as pool:
            for name in names:
                self._works[name] = pool.submit(self._work, works[name])
        return [error for name in names if (error := self._works[name].result())]

    def _work(self, actions: list[Action]) -> AgentError | None:
        """Everything of one appliance; the error that ended it early."""
        name = actions[0].appliance
        try:
            for action in actions:
                self._take(action)
        except AgentError as error:
            return self._space.explained(error, isinstance(action, ImportImage))
        finally:
            self._space.release(name)
        return None

    def _take(self, action: Action) -> None:
        if isinstance(action, StartInstance):
            self._await(action.after)
        with self._announcing:
            self._announce(self._begun, action)
            self._begun += 1
        self._do(action)

    def _await(self, appliances: tuple[str, ...]) -> None:
        for name in appliances:
            if name in self._works:
                self._works[name].exception()

    def _do(self, action: Action) -> None:
        name = action.appliance
        match action:
            case Blocked(message=message, hint=hint):
                raise AgentError(message, appliance=name, step="reconcile", hint=hint)
            case DeleteImage(fingerprint=fingerprint):
                self._incus.delete_image(fingerprint)
            case MakeRoom(stored=stored):
                self._space.reserve(self._images.of(name), stored=stored)
            case ImportImage():
                images.import_image(self._incus, self._image_mount(), self._images.of(name))
            case CreateVolume(volume=volume, size=size):
                self._incus.create_volume(POOL, volume, {"size": str(size)}, appliance=name)
            case CreateInstance():
                self._create(self._desired[name])
                self._space.release(name)  # before anybody waits for anybody
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
        with self._mounting:
            if self._mount is None:
                squashfs = images.squashfs_of(self._folder, self._images)
                self._mount = self._mounts.enter_context(images.mounted(squashfs, self._images.size, self._point))
            return self._mount
