"""The agent's view of Incus (or LXD 5.0): few calls, each with a bound, each failing with an AgentError.

How they get there is in incuslink.py. Only `instances` is used, which both daemons have.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pylxd.exceptions import Conflict

from appliances.base.agent.errors import AgentError
from appliances.base.agent.incuslink import IncusLink, Json
from appliances.base.agent.session import Session


class Stream(Protocol):
    """A body of known length that is sent in blocks; `len` is what `requests` looks for."""

    len: int

    def __iter__(self) -> Iterator[bytes]: ...


@dataclass(frozen=True)
class Ran:
    """A program that ran in an instance: exit code and what it wrote."""

    code: int
    stdout: str
    stderr: str


class Incus:
    """Calls to one daemon, by default to the one whose socket is found."""

    def __init__(self, socket: Path | None = None) -> None:
        self._link = IncusLink(socket)

    # the daemon ---------------------------------------------------------------------------------------------

    def wait_ready(self, timeout: float) -> Json:
        """Connect, for at most `timeout` seconds; returns what the daemon says about itself."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self.server()
            except AgentError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def server(self) -> Json:
        with self._link.explained("connect to Incus"):
            described: Json = self._link.metadata(self._link.api().get())
            return described

    def set_server_config(self, config: Json) -> None:
        with self._link.explained("configure Incus"):
            self._link.api().patch(json={"config": config})

    def wait_idle(self, timeout: float) -> None:
        """Wait, for at most `timeout` seconds, until the daemon works at nothing any more.

        An agent that was killed leaves work behind that the daemon carries on with; what it is made of is in between.
        """
        deadline = time.monotonic() + timeout
        with self._link.explained("wait for Incus"):
            while time.monotonic() < deadline:
                found = self._link.metadata(self._link.api().operations.get(params={"recursion": 1}))
                if not any(one["class"] == "task" for one in found.get("running") or []):
                    return
                time.sleep(0.5)

    # storage and network --------------------------------------------------------------------------------------

    def pool(self, name: str) -> Json | None:
        return self._link.maybe(lambda: self._link.api().storage_pools[name].get(), "read the storage pool")

    def create_pool(self, definition: Json) -> None:
        with self._link.explained("create the storage pool"):
            self._link.done(self._link.api().storage_pools.post(json=definition), 300)

    def delete_pool(self, name: str) -> None:
        with self._link.explained("delete the storage pool"):
            self._link.done(self._link.api().storage_pools[name].delete(), 120)

    def pool_space(self, name: str) -> tuple[int, int] | None:
        """(used, total) bytes of a pool; None when the daemon cannot tell.

        Where the pool is a mounted file system (btrfs), the daemon counts room as free that only metadata may take:
        half a gigabyte that no file gets. The file system itself tells better.
        """
        resources = self._link.maybe(
            lambda: self._link.api().storage_pools[name].resources.get(), "read the space of the pool"
        )
        space = (resources or {}).get("space") or {}
        used, total = int(space.get("used", 0)), int(space.get("total", 0))
        place = self._link.folder() / "storage-pools" / name
        if place.is_mount():
            told = os.statvfs(place)
            used = max(used, total - told.f_bavail * told.f_frsize)
        return (used, total) if total else None

    def image_volumes(self, pool: str) -> set[str]:
        """Fingerprints of the images that are unpacked in a pool: another container of one takes hardly any room."""
        with self._link.explained("list the unpacked images"):
            response = self._link.api().storage_pools[pool].volumes.image.get(params={"recursion": 1})
            return {volume["name"] for volume in self._link.metadata(response)}

    def volume_space(self, pool: str, name: str) -> tuple[int, int] | None:
        """(used, most) bytes of a custom volume; None when it has no limit, or the daemon cannot tell."""
        try:
            node = self._link.api().storage_pools[pool].volumes.custom[name].state
            usage = (self._link.maybe(node.get, "read the space of a volume") or {}).get("usage") or {}
        except AgentError:  # a pool that does not count
            return None
        used, total = int(usage.get("used", 0)), int(usage.get("total", 0))
        return (used, total) if total > 0 else None

    def free_for_images(self) -> int | None:
        """Free bytes of the disk that keeps the files of imported images; None when it cannot be told."""
        try:
            return shutil.disk_usage(self._link.folder() / "images").free
        except OSError:
            return None

    def network(self, name: str) -> Json | None:
        return self._link.maybe(lambda: self._link.api().networks[name].get(), "read the network")

    def create_network(self, definition: Json) -> None:
        with self._link.explained("create the bridge"):
            self._link.done(self._link.api().networks.post(json=definition), 120)

    def update_network(self, name: str, config: Json) -> None:
        with self._link.explained("change the bridge"):
            self._link.done(self._link.api().networks[name].put(json={"config": config}), 120)

    def delete_network(self, name: str) -> None:
        with self._link.explained("delete the bridge"):
            self._link.done(self._link.api().networks[name].delete(), 120)

    def volumes(self, pool: str) -> dict[str, Json]:
        """Custom volumes of a pool by name."""
        with self._link.explained("list the volumes"):
            response = self._link.api().storage_pools[pool].volumes.custom.get(params={"recursion": 1})
            return {volume["name"]: volume for volume in self._link.metadata(response)}

    def create_volume(self, pool: str, name: str, config: Json, *, appliance: str) -> None:
        with self._link.explained("create a volume", appliance):
            definition = {"name": name, "type": "custom", "config": config}
            self._link.done(self._link.api().storage_pools[pool].volumes.custom.post(json=definition), 300)

    # images ---------------------------------------------------------------------------------------------------

    def images(self) -> dict[str, list[str]]:
        """Fingerprint → aliases of every stored image."""
        with self._link.explained("list the images"):
            stored = self._link.metadata(self._link.api().images.get(params={"recursion": 1}))
            return {image["fingerprint"]: [alias["name"] for alias in image["aliases"]] for image in stored}

    def import_image(self, stream: Stream, *, appliance: str) -> str:
        """Upload a unified image; returns the fingerprint that the daemon computed."""
        with self._link.explained("import the image", appliance):
            headers = {"Content-Type": "application/octet-stream"}
            operation = self._link.done(self._link.api().images.post(data=stream, headers=headers), 1800)
            return str(operation["metadata"]["fingerprint"])

    def alias_image(self, fingerprint: str, alias: str) -> None:
        with self._link.explained("name the image"):
            aliases = self._link.api().images.aliases
            try:
                aliases.post(json={"name": alias, "target": fingerprint})
            except Conflict:
                aliases[alias].put(json={"target": fingerprint})

    def delete_image(self, fingerprint: str) -> None:
        with self._link.explained("delete an image"):
            self._link.done(self._link.api().images[fingerprint].delete(), 300)

    # instances --------------------------------------------------------------------------------------------------

    def instances(self) -> dict[str, Json]:
        """All containers by name, as the API describes them: config, devices, status."""
        with self._link.explained("list the containers"):
            listed = self._link.metadata(self._link.api().instances.get(params={"recursion": 1}))
            return {instance["name"]: instance for instance in listed if instance["type"] == "container"}

    def instance(self, name: str) -> Json | None:
        return self._link.maybe(lambda: self._link.api().instances[name].get(), "read the container")

    def create_instance(self, definition: Json, *, appliance: str) -> None:
        with self._link.explained("create the container", appliance):
            self._link.done(self._link.api().instances.post(json=definition), 1800)

    def update_instance(self, name: str, change: Callable[[Json], None], *, appliance: str) -> None:
        """Read the container's definition, let `change` edit it, write it back unless somebody else did so first."""
        with self._link.explained("configure the container", appliance):
            response = self._link.api().instances[name].get()
            writable = ("architecture", "config", "devices", "ephemeral", "profiles", "description")
            definition = {key: value for key, value in self._link.metadata(response).items() if key in writable}
            change(definition)
            headers = {"If-Match": response.headers["ETag"]} if "ETag" in response.headers else {}
            self._link.done(self._link.api().instances[name].put(json=definition, headers=headers), 120)

    def delete_instance(self, name: str, *, appliance: str) -> None:
        with self._link.explained("remove the container", appliance):
            self._link.done(self._link.api().instances[name].delete(), 300)

    def start(self, name: str, *, appliance: str) -> None:
        self._set_state(name, {"action": "start", "timeout": 240, "force": False}, "start", appliance)

    def stop(self, name: str, *, appliance: str, grace: int = 60) -> None:
        """Shut down within `grace` seconds, else switch off."""
        try:
            self._set_state(name, {"action": "stop", "timeout": grace, "force": False}, "stop", appliance)
        except AgentError:
            self._set_state(name, {"action": "stop", "timeout": 30, "force": True}, "stop", appliance)

    def run(self, name: str, command: Sequence[str], *, appliance: str, step: str, timeout: float = 60) -> Ran:
        """Run a program in a container with its output recorded: no websocket, and a bound in seconds."""
        with self._link.explained(step, appliance):
            order = {
                "command": list(command),
                "environment": {"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                "wait-for-websocket": False,
                "interactive": False,
                "record-output": True,
            }
            metadata = self._link.done(self._link.api().instances[name]["exec"].post(json=order), timeout)["metadata"]
            output = metadata.get("output") or {}
            texts = {stream: self._take_log(name, url) for stream, url in output.items()}
            return Ran(int(metadata["return"]), texts.get("1", ""), texts.get("2", ""))

    def attach(
        self, name: str, command: Sequence[str], *, appliance: str, step: str, size: tuple[int, int] | None = None
    ) -> Session:
        """Run a program in a container and speak with it meanwhile; with a `size` (columns, rows), on a pty."""
        with self._link.explained(step, appliance):
            order: Json = {
                "command": list(command),
                "environment": {"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                "wait-for-websocket": True,
                "interactive": size is not None,
            }
            if size is not None:
                order["environment"] |= {"TERM": "xterm-256color", "HOME": "/root", "USER": "root", "LOGNAME": "root"}
                order |= {"cwd": "/root", "width": size[0], "height": size[1]}
            begun = self._link.api().instances[name]["exec"].post(json=order).json()
            operation = begun["operation"].split("?")[0].rsplit("/", 1)[-1]
            fds = begun["metadata"]["metadata"]["fds"]
            return Session(
                self._link.socket(), operation, fds, lambda: self._returned(operation), terminal=size is not None
            )

    # how ----------------------------------------------------------------------------------------------------------

    def _set_state(self, name: str, state: Json, step: str, appliance: str) -> None:
        with self._link.explained(step, appliance):
            self._link.done(self._link.api().instances[name].state.put(json=state), state["timeout"] + 60)

    def _returned(self, operation: str) -> int | None:
        """The exit code of a program that was attached; None when the daemon does not know it any more."""
        with suppress(AgentError), self._link.explained("ask for the exit code"):
            node = self._link.api().operations[operation].wait
            state = node.get(params={"timeout": 2}, is_api=False).json().get("metadata") or {}
            code = (state.get("metadata") or {}).get("return")
            return None if code is None else int(code)
        return None

    def _take_log(self, name: str, url: str) -> str:
        """Fetch a recorded output and delete it, so that they do not pile up."""
        *_, kind, file = url.split("/")
        node = self._link.api().instances[name].logs
        node = node["exec-output"][file] if kind == "exec-output" else node[file]
        text: str = node.get(is_api=False).content.decode(errors="replace")
        node.delete()
        return text
