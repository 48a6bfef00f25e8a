"""What the container of an appliance has to look like in Incus: configuration, devices, volumes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliances.base.agent.distribution import Appliance, Distribution, Network
from appliances.base.agent.firewall import interface
from appliances.base.agent.imagelist import ImageList
from appliances.base.agent.plan import Plan
from appliances.base.agent.preseed import POOL

Device = dict[str, str]

APPLIANCE = "user.asrbox.appliance"  # whose container this is
ADDRESSES = "user.asrbox.addresses"  # read by the image's network template at each start
COMPLETE = "user.asrbox.image"  # fingerprint; written last, so a container without it is half made
VOLUME_DEVICE = "volume-"
PUBLISH_DEVICE = "publish-"  # an outside port of the container's own, as releases before the entry had it


@dataclass(frozen=True)
class HostAbilities:
    """What this host's kernel can do for containers."""

    shifts_mounts: bool  # idmapped mounts: host files keep their owners inside
    filters_frames: bool  # nftables in the bridge: what passes between containers, and from which MAC address


@dataclass(frozen=True)
class DesiredInstance:
    """One container as it has to be. `volumes` maps volume names to sizes in bytes; `after` names appliances."""

    appliance: str
    name: str
    fingerprint: str
    enabled: bool
    running: bool
    config: dict[str, str]
    devices: dict[str, Device]
    volumes: dict[str, int]
    after: tuple[str, ...]


def desired_instances(
    distribution: Distribution,
    images: ImageList,
    plan: Plan,
    held: set[str],
    runtime: Path,
    abilities: HostAbilities,
) -> list[DesiredInstance]:
    """All containers of the distribution in start order. `held` are appliances that a person stopped."""
    return [
        DesiredInstance(
            appliance=appliance.name,
            name=appliance.instance,
            fingerprint=images.of(appliance.name).fingerprint,
            enabled=plan.enabled(appliance.name),
            running=plan.enabled(appliance.name) and appliance.name not in held,
            config=_config(appliance, distribution, plan),
            devices=_devices(appliance, distribution, plan.limits(appliance).disk, runtime, abilities),
            volumes={f"{appliance.instance}-{volume.name}": volume.size for volume in appliance.volumes},
            after=tuple(distribution.providers(appliance)),
        )
        for appliance in distribution.start_order()
    ]


def _config(appliance: Appliance, distribution: Distribution, plan: Plan) -> dict[str, str]:
    limits = plan.limits(appliance)
    return {
        # Unset, Incus would itself start after a reboot what ran before it: in no order, and before the agent has
        # renewed certificates and runtime folders. The agent alone starts containers, in the plan's order.
        "boot.autostart": "false",
        "boot.host_shutdown_timeout": "60",
        "limits.memory": str(limits.memory),
        "limits.cpu": str(limits.cpu),
        "limits.processes": str(limits.processes),
        "security.privileged": "false",
        APPLIANCE: appliance.name,
        ADDRESSES: ",".join(_addresses(appliance, distribution.network)),
    }


def _addresses(appliance: Appliance, network: Network) -> list[str]:
    """All of the container's addresses, each with the prefix length of the network that is on the same wire.

    Where IPv6 is on, also one of the wire alone: from it the kernel asks whether a neighbour is still there.
    """
    found = list(dict.fromkeys(f"{daemon.address}/{network.range.prefixlen}" for daemon in appliance.daemons))
    if network.range6 is not None and network.ipv6:
        found += [f"{address}/{network.range6.prefixlen}" for address in appliance.sources6]
        found.append(f"{network.link_local(appliance.block)}/64")
    return found


def _devices(
    appliance: Appliance, distribution: Distribution, disk: int | None, runtime: Path, abilities: HostAbilities
) -> dict[str, Device]:
    size = {"size": str(disk)} if disk else {}
    devices: dict[str, Device] = {
        "root": {"type": "disk", "path": "/", "pool": POOL, **size},
        "eth0": {
            "type": "nic",
            "name": "eth0",
            "network": distribution.network.bridge,
            "host_name": interface(distribution.network, appliance),
        },
        "runtime": {
            "type": "disk",
            "source": str(runtime / appliance.name),
            "path": "/etc/asrbox",
            "readonly": "true",
        },
    }
    if abilities.filters_frames:
        devices["eth0"]["security.mac_filtering"] = "true"
    if abilities.shifts_mounts:
        devices["runtime"]["shift"] = "true"
    for volume in appliance.volumes:
        devices[VOLUME_DEVICE + volume.name] = {
            "type": "disk",
            "pool": POOL,
            "source": f"{appliance.instance}-{volume.name}",
            "path": volume.path,
        }
    return devices
