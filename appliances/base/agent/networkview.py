"""The appliances' network as the API shows it: a pure function of what is in force and what was seen."""

from __future__ import annotations

from typing import Any

from appliances.base.agent import entry, firewall
from appliances.base.agent.distribution import Distribution, Published, PublishedPort
from appliances.base.agent.firewall import Pass
from appliances.base.agent.outside import Outside


def view(wanted: Distribution, seen: Outside, dropped: dict[str, int] | None) -> dict[str, Any]:
    """Its addresses, what may pass and what was `dropped` (firewall.dropped), what is published where."""
    network = wanted.network
    return {
        "range": str(network.range),
        "range6": None if network.range6 is None else str(network.range6),
        "bridge": network.bridge,
        "host": str(network.host),
        "host6": None if network.host6 is None else str(network.host6),
        "domain": network.domain,
        "hostname": seen.hostname,
        "addresses": list(seen.addresses),
        "dropped": dropped,
        "passes": [_pass(one) for one in firewall.passes(wanted)],
        "published": [_published(one) for one in wanted.published()],
    }


def _pass(one: Pass) -> dict[str, Any]:
    return {
        "appliance": one.appliance,
        "endpoint": one.endpoint,
        "address": str(one.address),
        "address6": None if one.address6 is None else str(one.address6),
        "port": one.port,
        "transport": one.transport,
    }


def _published(one: Published) -> dict[str, Any]:
    if isinstance(one.at, PublishedPort):
        required = one.at.client_certificate == "required"
        return {"port": one.at.port, "path": None, "client_certificate": required, "endpoint": one.endpoint}
    return {"port": entry.HTTPS, "path": one.at.path, "client_certificate": False, "endpoint": one.endpoint}
