"""The notice board: what it shows follows the distribution."""

from __future__ import annotations

from appliances.base.agent.board import ApplianceStatus, Board
from tests.unit.agent.examples import distribution


def test_a_new_distribution_brings_its_appliances_and_keeps_what_is_known_of_the_others() -> None:
    shipped = distribution()
    board = Board()
    board.introduce(shipped.model_copy(update={"appliances": [shipped.appliance("auth")]}))
    auth = shipped.appliance("auth")
    board.show(ApplianceStatus("auth", "auth", auth.title, "running", True, "ok", ""))

    board.introduce(shipped)
    assert [(one["name"], one["state"]) for one in board.read()["appliances"]] == [
        ("asr_billing", "absent"),
        ("auth", "running"),
    ]
    board.introduce(shipped.model_copy(update={"appliances": [auth]}))
    assert [one["name"] for one in board.read()["appliances"]] == ["auth"]
