"""What may pass between containers: what appliances declare in `consumes`. Everything else is dropped and counted.

Two nftables tables of our own: `bridge asrbox` sees frames from container to container, `inet asrbox` what goes to the
host and what would be routed. Tables of others are left alone. The rules in the bridge keep no state, which not every
kernel can there: what comes back is known by its port, and may not open a connection.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, Literal

import jinja2

from appliances.base.agent.distribution import AGENT_ENDPOINT, AGENT_PORT, Appliance, Distribution, Network
from appliances.base.agent.errors import AgentError

TABLES = (("bridge", "asrbox"), ("inet", "asrbox"))
TEMPLATE = Path(__file__).parent / "host" / "firewall.nft.j2"
LIMIT = 60.0  # seconds for one call of nft


def interface(network: Network, appliance: Appliance) -> str:
    """The host's end of the appliance's cable: a name that the rules know, of at most 15 characters."""
    return f"{network.bridge}-{network.number(appliance.block)}"


@dataclass(frozen=True)
class Pass:
    """What one appliance may open connections to. The endpoint is `<daemon>.<appliance>`, or agent.host.

    `sources6` and `address6` are those of IPv6, where both ends have one.
    """

    appliance: str
    endpoint: str
    sources: tuple[IPv4Address, ...]
    address: IPv4Address
    port: int
    transport: Literal["tcp", "udp"] = "tcp"
    sources6: tuple[IPv6Address, ...] = ()
    address6: IPv6Address | None = None


def passes(distribution: Distribution) -> list[Pass]:
    """All that appliances declare to consume of one another and of the host."""
    found = []
    network = distribution.network
    for appliance in distribution.appliances:
        for endpoint in sorted(appliance.consumes):
            if endpoint == AGENT_ENDPOINT:
                found.append(_pass(appliance, endpoint, network.host, network.host6, AGENT_PORT, "tcp"))
                continue
            owner, daemon = distribution.endpoint(endpoint)
            if owner is not appliance:
                transport: Literal["tcp", "udp"] = "udp" if daemon.protocol == "udp" else "tcp"
                found.append(_pass(appliance, endpoint, daemon.address, daemon.address6, daemon.port, transport))
    return found


def _pass(
    appliance: Appliance,
    endpoint: str,
    address: IPv4Address,
    address6: IPv6Address | None,
    port: int,
    transport: Literal["tcp", "udp"],
) -> Pass:
    both = (appliance.sources6, address6) if appliance.sources6 and address6 is not None else ((), None)
    return Pass(appliance.name, endpoint, appliance.sources, address, port, transport, *both)


def rules(distribution: Distribution) -> str:
    """The ruleset as nft reads it. The same distribution gives the same text."""
    network = distribution.network
    allowed = passes(distribution)
    to_host = [one for one in allowed if one.endpoint == AGENT_ENDPOINT]
    between = [one for one in allowed if one.endpoint != AGENT_ENDPOINT]
    cables = [_cable(network, one) for one in distribution.appliances]
    environment = jinja2.Environment(  # noqa: S701
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    template = environment.from_string(TEMPLATE.read_text())
    return template.render(bridge=network.bridge, cables=cables, passes=between, to_host=to_host, ipv6=network.ipv6)


def _cable(network: Network, appliance: Appliance) -> dict[str, Any]:
    """Whose addresses may come by it. nft 1.0 has no word for the target of an advertisement: it is a plain number."""
    own6 = (network.link_local(appliance.block), *appliance.sources6)
    return {
        "name": interface(network, appliance),
        "addresses": appliance.sources,
        "addresses6": own6,
        "targets6": [f"0x{int(address):032x}" for address in own6],
    }


class Firewall:
    """Keeps the rules in the kernel as they were loaded; a new one loads them anew."""

    def __init__(self) -> None:
        self._text = ""
        self._listed: list[str | None] = []

    def ensure(self, text: str) -> bool:
        """Make the kernel have these rules; returns whether they had to be loaded. All or none: nft is atomic.

        Raises AgentError when the kernel refuses them.
        """
        if text == self._text and self._listed == _listing():
            return False
        _load(text)
        self._text, self._listed = text, _listing()
        return True


def dropped() -> dict[str, int] | None:
    """Packets dropped since the rules were loaded: `between` containers, to the `host`, `routed`; None: no rules."""
    listings = [_nft("-j", "list", "counters", "table", *table) for table in TABLES]
    if None in listings:
        return None
    entries = [entry for listed in listings if listed for entry in json.loads(listed)["nftables"]]
    counters = [entry["counter"] for entry in entries if "counter" in entry]
    return {counter["name"]: int(counter["packets"]) for counter in counters}


def _listing() -> list[str | None]:
    """Our tables as the kernel has them, without the counters' values."""
    return [_nft("--stateless", "list", "table", *table) for table in TABLES]


def _nft(*arguments: str) -> str | None:
    """What nft printed; None when it failed, as it does for a table that is not there."""
    done = subprocess.run(["nft", *arguments], capture_output=True, text=True, check=False, timeout=LIMIT)  # noqa: S603, S607
    return done.stdout if done.returncode == 0 else None


def _load(text: str) -> None:
    done = subprocess.run(
        ["nft", "--file", "-"],  # noqa: S607
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise AgentError(
            f"nftables refuses the rules: {said[0] if said else 'it printed nothing'}",
            step="firewall",
            hint="compare with: nft list tables; modprobe nf_tables",
        )
