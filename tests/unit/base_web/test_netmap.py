"""Where things stand in the drawing of the network."""

from __future__ import annotations

from appliances.base.web.agent import Appliance, Network
from appliances.base.web.netmap import BOX, COLUMN, draw
from tests.unit.base_web.fake_agent import FakeAgent


def drawing(*ways: tuple[str, str]):
    agent = FakeAgent()
    passes = [
        {"appliance": name, "endpoint": endpoint, "address": "198.18.82.2", "port": 443, "transport": "tcp"}
        for name, endpoint in ways
    ]
    appliances = [Appliance.model_validate(one) for one in agent.appliances]
    return draw(appliances, Network.model_validate({**agent.network, "passes": passes}))


def columns(*ways: tuple[str, str]) -> dict[str, int]:
    return {box.name: box.x // COLUMN for box in drawing(*ways).boxes}


def test_whoever_consumes_stands_left_of_what_is_consumed() -> None:
    assert columns(("asr_billing", "web.auth"), ("base", "web.auth")) == {"base": 0, "auth": 1, "asr_billing": 0}
    assert columns(("asr_billing", "web.base"), ("base", "web.auth")) == {"base": 1, "auth": 2, "asr_billing": 0}


def test_the_host_stands_at_the_right_end_when_somebody_asks_it() -> None:
    assert columns(("base", "agent.host"), ("base", "web.auth"))[""] == 1
    assert "" not in columns(("base", "web.auth"))


def test_a_circle_ends_too() -> None:
    assert len(drawing(("base", "web.auth"), ("auth", "web.base")).lines) == 2


def test_boxes_do_not_overlap_and_fit_the_drawing() -> None:
    found = drawing(("asr_billing", "web.auth"), ("base", "web.auth"), ("base", "agent.host"))
    for one in found.boxes:
        assert one.x + BOX <= found.width
        assert one.y + one.height <= found.height
        for other in found.boxes:
            if other is not one and other.x == one.x:
                assert one.y + one.height <= other.y or other.y + other.height <= one.y
