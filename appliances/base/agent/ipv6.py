"""May IPv6 be switched on here? Asked before the bridge gets its IPv6 address; afterwards `check` looks at routes."""

from __future__ import annotations

from pathlib import Path

from appliances.base.agent import outside, routes, wire
from appliances.base.agent.distribution import Network
from appliances.base.agent.errors import AgentError

KERNEL = Path("/proc/sys/net/ipv6")


def refuse(network: Network, kernel: Path = KERNEL) -> None:
    """Raises AgentError when IPv6 is to be on, is not yet, and cannot be: nothing has been changed then."""
    if network.host6 is None or network.range6 is None:
        return
    links = {link.get("ifname"): link.get("addr_info", []) for link in outside.ip("address", "show")}
    if str(network.host6) in [one.get("local") for one in links.get(network.bridge, [])]:
        return
    if not kernel.is_dir():
        raise AgentError(
            "the kernel of this host runs without IPv6",
            step="bridge",
            hint="take ipv6.disable=1 off the kernel's command line, or switch it off in the plan: network.ipv6",
        )
    routes.refuse_overlap(network.range6, network.bridge)
    if network.bridge in links:
        wire.refuse_taken(network.bridge, {network.host6}, None, "bridge")
