"""How Incus itself has to be: storage pool, bridge, no traffic to the outside. Compared each time, repaired if need be.

The template host/preseed.yaml.j2 has the shape of `incus admin init --preseed`; it is applied over the API, because
that can be repeated after a power cut at any point.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml

from appliances.base.agent.distribution import Distribution
from appliances.base.agent.errors import AgentError
from appliances.base.agent.incus import Incus

POOL = "asrbox"
TEMPLATE = Path(__file__).parent / "host" / "preseed.yaml.j2"
ROOT_SIZE = "4GiB"  # of a container's root: thin, so only what is written counts


@dataclass(frozen=True)
class Storage:
    """What the pool is made of: `driver` lvm with a volume group and thin pool, or btrfs in a loop file."""

    driver: str
    volume_group: str = ""
    thin_pool: str = ""
    loop_size: str = ""


def choose_storage(distribution: Distribution, wanted: str | None = None) -> Storage:
    """LVM where the installer made the volume group, else btrfs in a file of /var/lib/incus.

    `wanted` (by default the variable ASRBOX_POOL_DRIVER) forces `lvm` or `btrfs`. Raises AgentError for another word.
    """
    wanted = wanted or os.environ.get("ASRBOX_POOL_DRIVER") or None
    if wanted not in (None, "lvm", "btrfs"):
        raise AgentError(
            f"ASRBOX_POOL_DRIVER: {wanted!r} is not a storage driver", hint="use lvm or btrfs, or unset it"
        )
    group = distribution.install.volume_group
    if wanted == "lvm" or (wanted is None and _volume_group_exists(group)):
        return Storage("lvm", volume_group=group, thin_pool=distribution.install.pool)
    return Storage("btrfs", loop_size=f"{_free_gib(Path('/var/lib')) * 3 // 4}GiB")


def desired(distribution: Distribution, storage: Storage) -> dict[str, Any]:
    """The preseed as data: config, storage_pools, networks."""
    network = distribution.network
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701
    text = environment.from_string(TEMPLATE.read_text()).render(
        storage=storage,
        pool=POOL,
        root_size=ROOT_SIZE,
        bridge=network.bridge,
        address=f"{network.host}/{network.range.prefixlen}",
        address6=f"{network.host6}/{network.range6.prefixlen}" if network.host6 and network.range6 else None,
    )
    rendered: dict[str, Any] = yaml.safe_load(text)
    return rendered


def apply(incus: Incus, wanted: dict[str, Any]) -> list[str]:
    """Make Incus like `wanted`; returns what had to be done, in words. Raises AgentError when it cannot be."""
    done = []
    current = incus.server()["config"]
    missing = {key: value for key, value in wanted["config"].items() if str(current.get(key, "")) != value}
    if missing:
        incus.set_server_config(missing)
        done.append(f"set {', '.join(sorted(missing))}")
    for pool in wanted["storage_pools"]:
        done += _apply_pool(incus, pool)
    for network in wanted["networks"]:
        done += _apply_network(incus, network)
    return done


def _apply_pool(incus: Incus, wanted: dict[str, Any]) -> list[str]:
    name, driver = wanted["name"], wanted["driver"]
    found = incus.pool(name)
    if found is not None and found.get("status", "Created") != "Created":
        incus.delete_pool(name)  # what a power cut left of an earlier try
        found = None
    if found is None:
        incus.create_pool(wanted)
        return [f"created the storage pool {name} ({driver})"]
    if found["driver"] != driver:
        raise AgentError(
            f"the storage pool {name} is {found['driver']}, not {driver}",
            step="storage pool",
            hint=f"set ASRBOX_POOL_DRIVER={found['driver']} to keep it, or move its data away and delete it",
        )
    return []


def _apply_network(incus: Incus, wanted: dict[str, Any]) -> list[str]:
    name = wanted["name"]
    found = incus.network(name)
    if found is not None and found["managed"] and found.get("status", "Created") != "Created":
        incus.delete_network(name)
        found = None
    if found is None:
        incus.create_network(wanted)
        return [f"created the bridge {name}"]
    if not found["managed"]:
        raise AgentError(
            f"an interface {name} exists that Incus does not manage",
            step="bridge",
            hint=f"remove it (ip link delete {name}) or choose another network.bridge",
        )
    current = found["config"]
    differing = [key for key, value in wanted["config"].items() if current.get(key) != value]
    if differing:
        kept = {key: value for key, value in current.items() if not key.startswith("ipv6.")}
        incus.update_network(name, {**kept, **wanted["config"]})
        return [f"corrected {', '.join(sorted(differing))} of the bridge {name}"]
    return []


def _volume_group_exists(name: str) -> bool:
    try:
        found = subprocess.run(  # noqa: S603
            ["vgs", "--noheadings", "-o", "vg_name", name],  # noqa: S607
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=60,
        )
    except FileNotFoundError:
        return False
    return found.returncode == 0


def _free_gib(path: Path) -> int:
    status = os.statvfs(path)
    return max(4, status.f_bavail * status.f_frsize >> 30)
