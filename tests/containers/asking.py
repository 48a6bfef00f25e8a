"""Questions to a host that several tests ask, and waiting for the answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.containers.incus_host import IncusHost


def appliance(host: IncusHost, name: str) -> dict[str, Any]:
    return next(one for one in host.status()["appliances"] if one["name"] == name)


def init_of(host: IncusHost, instance: str) -> int:
    """The process id of a container's PID 1: another one after every start."""
    return int(json.loads(host.incus("query", f"/1.0/instances/{instance}/state"))["pid"])


def instances(host: IncusHost) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(host.incus("list", "--format=json"))
    return listed


def config_of(host: IncusHost, instance: str) -> dict[str, str]:
    found: dict[str, str] = next(one for one in instances(host) if one["name"] == instance)["config"]
    return found


def dropped(host: IncusHost, counter: str) -> int:
    """Packets that the firewall has dropped: `between` containers, to the `host`, `routed`."""
    listed = json.loads(host.run(["nft", "-j", "list", "counters"]).stdout)["nftables"]
    return next(int(one["counter"]["packets"]) for one in listed if one.get("counter", {}).get("name") == counter)


def until(condition: Callable[[], bool], timeout: float = 120) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.2)


def seen(host: IncusHost, step: str) -> bool:
    """Whether the agent came to this step, or to the end because an earlier start had it behind it."""
    return any(step in line or "ready in" in line for line in host.console())
