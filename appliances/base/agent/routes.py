"""Does the appliances' network collide with one that this host reaches already? Asked before the bridge is made."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from appliances.base.agent import outside
from appliances.base.agent.distribution import Network
from appliances.base.agent.errors import AgentError

# A route that leads nowhere takes nothing away from anybody.
NOWHERE = ("blackhole", "unreachable", "prohibit", "throw")


def overlapping(network: Network) -> list[str]:
    """Routes of the host into the appliances' range that do not lead over their bridge, as `10.0.0.0/8 by eth0`."""
    return overlaps(outside.ip("-4", "route", "show"), network)


def overlaps(routes: list[dict[str, Any]], network: Network) -> list[str]:
    """The same out of `ip -json route`. The default route does not count: any other one comes before it."""
    found = []
    for route in routes:
        target = str(route.get("dst", ""))
        if target == "default" or route.get("type") in NOWHERE or route.get("dev") == network.bridge:
            continue
        if IPv4Network(target).overlaps(network.range):
            found.append(f"{target} by {route.get('dev', 'several ways')}")
    return found


def refuse_overlap(network: Network) -> None:
    """Raises AgentError when the host would lose a network of its own to the bridge."""
    if found := overlapping(network):
        raise AgentError(
            f"the appliances' network {network.range} overlaps with what this host reaches already: {', '.join(found)}",
            step="bridge",
            hint="take that route away, or build the ISO with another network.range in distro/asrbox.yaml",
        )
