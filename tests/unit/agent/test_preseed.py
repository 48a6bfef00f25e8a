"""The bridge as Incus is told to make it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from appliances.base.agent import preseed
from appliances.base.agent.incus import Incus
from tests.unit.agent.examples import distribution, distribution_ipv6

STORAGE = preseed.Storage("btrfs", loop_size="10GiB")
OFF = {
    "ipv4.address": "198.18.80.1/20",
    "ipv4.nat": "false",
    "ipv4.dhcp": "false",
    "ipv4.firewall": "false",
    "ipv4.routing": "false",
    "ipv6.address": "none",
    "ipv6.firewall": "false",
    "dns.mode": "none",
    "raw.dnsmasq": "no-resolv\nport=0",
}
ON = OFF | {
    "ipv6.address": "fd34:ed37:338c::1/56",
    "ipv6.nat": "false",
    "ipv6.dhcp": "false",
    "ipv6.routing": "false",
    "raw.dnsmasq": "no-resolv\nport=0\nno-dhcp-interface=asr0",
}


def bridge(wanted: dict[str, Any]) -> dict[str, str]:
    (network,) = wanted["networks"]
    config: dict[str, str] = network["config"]
    return config


def test_without_ipv6_the_bridge_has_none_of_it() -> None:
    assert bridge(preseed.desired(distribution(), STORAGE)) == OFF
    assert bridge(preseed.desired(distribution_ipv6().with_ipv6(False), STORAGE)) == OFF


def test_with_ipv6_it_has_one_address_and_advertises_nothing() -> None:
    assert bridge(preseed.desired(distribution_ipv6(), STORAGE)) == ON


class Bridge:
    """An Incus that has nothing but a bridge."""

    def __init__(self, config: dict[str, str]) -> None:
        self.config = config

    def network(self, name: str) -> dict[str, Any]:
        return {"managed": True, "status": "Created", "config": self.config}

    def update_network(self, name: str, config: dict[str, str]) -> None:
        self.config = config


@pytest.mark.parametrize(("before", "after"), [(OFF, ON), (ON, OFF)], ids=["on", "off"])
def test_it_is_switched_with_nothing_left_over_and_what_people_set_stays(
    before: dict[str, str], after: dict[str, str]
) -> None:
    incus = Bridge(before | {"bridge.mtu": "1500"})
    wanted = {"name": "asr0", "config": after}

    (told,) = preseed._apply_network(cast(Incus, incus), wanted)

    assert told.startswith("corrected ") and "ipv6.address" in told
    assert incus.config == after | {"bridge.mtu": "1500"}
    assert preseed._apply_network(cast(Incus, incus), wanted) == []
