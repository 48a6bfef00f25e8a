"""An Incus that keeps everything in memory and can lose power before or in the middle of any change."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

from appliances.base.agent.errors import AgentError

Json = dict[str, Any]


class PowerCut(BaseException):
    """The machine is dark. Not an Exception, since no code of the agent gets to handle it."""


class FakeIncus:
    """As much of `incus.Incus` as the executor uses. `cuts_after` counts changes until the power goes."""

    def __init__(self) -> None:
        self.stored_images: dict[str, list[str]] = {}
        self.stored_volumes: dict[str, Json] = {}
        self.stored_instances: dict[str, Json] = {}
        self.changes: list[str] = []
        self.cuts_after: int | None = None
        self.broken: set[str] = set()
        self.room = 1 << 40  # bytes that are free in the pool; a container of a new image takes its size
        self.sizes: dict[str, int] = {}  # of images, by fingerprint
        self.unpacked: set[str] = set()
        self._lock = threading.Lock()

    def images(self) -> dict[str, list[str]]:
        return copy.deepcopy(self.stored_images)

    def volumes(self, pool: str) -> dict[str, Json]:
        return copy.deepcopy(self.stored_volumes)

    def instances(self) -> dict[str, Json]:
        return copy.deepcopy(self.stored_instances)

    def image_volumes(self, pool: str) -> set[str]:
        return set(self.unpacked)

    def pool_space(self, name: str) -> tuple[int, int]:
        return (1 << 40) - self.room, 1 << 40

    def volume_space(self, pool: str, name: str) -> tuple[int, int] | None:
        used = self.stored_volumes[name].get("used")
        return (used, int(self.stored_volumes[name]["size"])) if used is not None else None

    def pool(self, name: str) -> Json:
        return {"driver": "btrfs", "config": {"size": "20GiB"}}

    def free_for_images(self) -> int | None:
        return None

    def delete_image(self, fingerprint: str) -> None:
        self._change(f"delete image {fingerprint[:4]}")
        del self.stored_images[fingerprint]

    def alias_image(self, fingerprint: str, alias: str) -> None:
        self._change(f"alias {alias}")
        self.stored_images[fingerprint].append(alias)

    def store_image(self, fingerprint: str) -> None:
        self._change(f"import {fingerprint[:4]}")
        self.stored_images[fingerprint] = []

    def create_volume(self, pool: str, name: str, config: Json, *, appliance: str) -> None:
        self._change(f"create volume {name}")
        assert name not in self.stored_volumes
        self.stored_volumes[name] = config

    def create_instance(self, definition: Json, *, appliance: str) -> None:
        name = definition["name"]
        self._change(f"create {name}")
        if appliance in self.broken:
            raise AgentError("it is broken", appliance=appliance, step="create the container")
        assert name not in self.stored_instances
        assert definition["source"]["fingerprint"] in self.stored_images
        # Like the real one, it is known before it is unpacked: this is where half-made containers come from.
        made = {"config": dict(definition["config"]), "devices": definition["devices"], "status": "Stopped"}
        self.stored_instances[name] = made
        self._change(f"unpack {name}")
        fingerprint = definition["source"]["fingerprint"]
        if fingerprint not in self.unpacked:
            with self._lock:
                if self.room < self.sizes.get(fingerprint, 0):
                    del self.stored_instances[name]
                    raise AgentError("unsquashfs: No space left on device", appliance=appliance, step="create")
                self.room -= self.sizes.get(fingerprint, 0)
                self.unpacked.add(fingerprint)

    def update_instance(self, name: str, change: Callable[[Json], None], *, appliance: str) -> None:
        self._change(f"update {name}")
        change(self.stored_instances[name])

    def delete_instance(self, name: str, *, appliance: str) -> None:
        self._change(f"delete {name}")
        assert self.stored_instances.pop(name)["status"] == "Stopped"

    def start(self, name: str, *, appliance: str) -> None:
        self._change(f"start {name}")
        self.stored_instances[name]["status"] = "Running"

    def stop(self, name: str, *, appliance: str) -> None:
        self._change(f"stop {name}")
        self.stored_instances[name]["status"] = "Stopped"

    def reboot(self) -> None:
        """Power is back: every container is stopped, as boot.autostart=false wants it."""
        self.cuts_after = None
        for found in self.stored_instances.values():
            found["status"] = "Stopped"

    def _change(self, what: str) -> None:
        with self._lock:
            if self.cuts_after is not None:
                if self.cuts_after == 0:
                    raise PowerCut(what)
                self.cuts_after -= 1
            self.changes.append(what)
