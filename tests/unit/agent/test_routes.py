"""Networks that the host reaches already, out of what `ip -json route` prints."""

from __future__ import annotations

import pytest

from appliances.base.agent import routes
from appliances.base.agent.errors import AgentError
from tests.unit.agent.examples import distribution, distribution_ipv6

NETWORK = distribution_ipv6().network  # 198.18.80.0/20 and fd34:ed37:338c::/56 on asr0


@pytest.mark.parametrize(
    ("route", "told"),
    [
        ({"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"}, []),
        ({"dst": "192.0.2.0/24", "dev": "eth0"}, []),
        ({"dst": "198.18.80.0/20", "dev": "asr0"}, []),
        ({"dst": "198.18.80.0/20", "dev": "tun0"}, ["198.18.80.0/20 by tun0"]),
        ({"dst": "198.18.0.0/15", "dev": "eth1"}, ["198.18.0.0/15 by eth1"]),
        ({"dst": "198.18.83.2", "dev": "eth1"}, ["198.18.83.2 by eth1"]),
        ({"dst": "198.18.80.0/22", "nexthops": [{"dev": "a"}, {"dev": "b"}]}, ["198.18.80.0/22 by several ways"]),
        ({"type": "blackhole", "dst": "198.18.80.0/20", "metric": 1000}, []),
    ],
)
def test_what_overlaps(route: dict[str, object], told: list[str]) -> None:
    assert routes.overlaps([route], NETWORK.range, "asr0") == told


@pytest.mark.parametrize(
    ("route", "told"),
    [
        ({"dst": "default", "gateway": "fe80::1", "dev": "eth0"}, []),
        ({"dst": "fe80::/64", "dev": "eth0"}, []),
        ({"dst": "fd34:ed37:338c::/56", "dev": "asr0"}, []),
        ({"dst": "fd34:ed37:338c:3::/64", "dev": "eth1"}, ["fd34:ed37:338c:3::/64 by eth1"]),
        ({"dst": "fd34::/16", "dev": "tun0"}, ["fd34::/16 by tun0"]),
        ({"dst": "fd34:ed37:338c:3::2", "dev": "eth1"}, ["fd34:ed37:338c:3::2 by eth1"]),
        ({"type": "unreachable", "dst": "fd00::/8", "dev": "lo"}, []),
    ],
)
def test_what_overlaps_in_ipv6(route: dict[str, object], told: list[str]) -> None:
    assert NETWORK.range6 is not None
    assert routes.overlaps([route], NETWORK.range6, "asr0") == told


def test_the_ipv6_range_counts_where_ipv6_is_on() -> None:
    assert routes.ranges(NETWORK) == [NETWORK.range, NETWORK.range6]
    assert routes.ranges(distribution_ipv6().with_ipv6(False).network) == [NETWORK.range]
    assert routes.ranges(distribution().network) == [NETWORK.range]


def test_the_bridge_is_refused_with_the_route_and_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "overlapping", lambda reach, bridge: ["198.18.0.0/15 by eth1"])
    with pytest.raises(AgentError, match=r"bridge: the appliances' network 198\.18\.80\.0/20 overlaps .*by eth1"):
        routes.refuse_overlap(NETWORK.range, NETWORK.bridge)
    assert NETWORK.range6 is not None
    with pytest.raises(AgentError, match=r"fd34:ed37:338c::/56 overlaps .*another network\.range6 in distro"):
        routes.refuse_overlap(NETWORK.range6, NETWORK.bridge)
