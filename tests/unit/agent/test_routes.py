"""Networks that the host reaches already, out of what `ip -json route` prints."""

from __future__ import annotations

import pytest

from appliances.base.agent import routes
from appliances.base.agent.errors import AgentError
from tests.unit.agent.examples import distribution

NETWORK = distribution().network  # 198.18.80.0/20 on asr0


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
    assert routes.overlaps([route], NETWORK) == told


def test_the_bridge_is_refused_with_the_route_and_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "overlapping", lambda network: ["198.18.0.0/15 by eth1"])
    with pytest.raises(AgentError, match=r"bridge: the appliances' network 198\.18\.80\.0/20 overlaps .*by eth1"):
        routes.refuse_overlap(NETWORK)
