"""IPv6 is refused before anything is changed: a kernel without it, a route, a neighbour that has the address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliances.base.agent import ipv6, outside, routes, wire
from appliances.base.agent.errors import AgentError
from tests.unit.agent.examples import distribution, distribution_ipv6

NETWORK = distribution_ipv6().network


def bridge(*addresses: str) -> list[dict[str, Any]]:
    """What `ip -json address` says of a host with that bridge."""
    entries = [{"family": "inet6", "local": address} for address in addresses]
    return [{"ifname": "lo"}, {"ifname": "asr0", "addr_info": entries}]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which questions were put; a host with a bridge that has no IPv6 address, where nothing is in the way."""
    asked: list[str] = []
    monkeypatch.setattr(outside, "ip", lambda *arguments: bridge())
    monkeypatch.setattr(routes, "overlapping", lambda reach, name: asked.append(f"routes into {reach}") or [])
    monkeypatch.setattr(wire, "users", lambda name, wanted: asked.append(f"{name}: {wanted}") or {})
    return asked


def test_it_is_asked_for_the_new_range_and_the_hosts_new_address(asked: list[str], tmp_path: Path) -> None:
    ipv6.refuse(NETWORK, tmp_path)
    assert asked == ["routes into fd34:ed37:338c::/56", "asr0: {IPv6Address('fd34:ed37:338c::1')}"]


def test_nothing_is_asked_where_it_is_off_or_on_already(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ipv6.refuse(distribution().network, tmp_path)
    ipv6.refuse(distribution_ipv6().with_ipv6(False).network, tmp_path)
    monkeypatch.setattr(outside, "ip", lambda *arguments: bridge("fd34:ed37:338c::1"))
    ipv6.refuse(NETWORK, tmp_path)
    assert asked == []


def test_before_the_first_start_there_is_no_bridge_to_ask_on(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "ip", lambda *arguments: [{"ifname": "lo"}])
    ipv6.refuse(NETWORK, tmp_path)
    assert asked == ["routes into fd34:ed37:338c::/56"]


def test_a_kernel_without_ipv6_is_told_with_the_remedy(asked: list[str], tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"bridge: the kernel of this host runs without IPv6 .*ipv6\.disable=1"):
        ipv6.refuse(NETWORK, tmp_path / "ipv6")


def test_a_neighbour_that_has_the_hosts_address_is_named(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "users", lambda name, wanted: dict.fromkeys(wanted, "00:16:3e:00:00:09"))
    with pytest.raises(AgentError, match=r"^bridge: fd34:ed37:338c::1 is used already by 00:16:3e.* try again"):
        ipv6.refuse(NETWORK, tmp_path)
