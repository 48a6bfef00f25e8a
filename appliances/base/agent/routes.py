"""Does the appliances' network collide with one that this host reaches already? Asked before the bridge is made."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from appliances.base.agent import outside
from appliances.base.agent.distribution import Network
from appliances.base.agent.errors import AgentError

Range = IPv4Network | IPv6Network
# A route that leads nowhere takes nothing away from anybody.
NOWHERE = ("blackhole", "unreachable", "prohibit", "throw")


def overlapping(reach: Range, bridge: str) -> list[str]:
    """Routes of the host into the appliances' range that do not lead over their bridge, as `10.0.0.0/8 by eth0`."""
    return overlaps(outside.ip(f"-{reach.version}", "route", "show"), reach, bridge)


def overlaps(routes: list[dict[str, Any]], reach: Range, bridge: str) -> list[str]:
    """The same out of `ip -json route`. The default route does not count: any other one comes before it."""
    found = []
    for route in routes:
        target = str(route.get("dst", ""))
        if target == "default" or route.get("type") in NOWHERE or route.get("dev") == bridge:
            continue
        if _overlap(ip_network(target), reach):
            found.append(f"{target} by {route.get('dev', 'several ways')}")
    return found


def ranges(network: Network) -> list[Range]:
    """The ranges that the bridge has: IPv4, and IPv6 where it is on."""
    return [network.range, network.range6] if network.ipv6 and network.range6 is not None else [network.range]


def refuse_overlap(reach: Range, bridge: str) -> None:
    """Raises AgentError when the host would lose a network of its own to the bridge."""
    if found := overlapping(reach, bridge):
        key = "network.range" if reach.version == 4 else "network.range6"
        raise AgentError(
            f"the appliances' network {reach} overlaps with what this host reaches already: {', '.join(found)}",
            step="bridge",
            hint=f"take that route away, or build the ISO with another {key} in distro/asrbox.yaml",
        )


def _overlap(one: Range, other: Range) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)
