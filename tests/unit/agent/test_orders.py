"""Taking orders, and the thread that waits for them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from appliances.base.agent.errors import AgentError
from appliances.base.agent.operations import Operation, Operations, Order
from appliances.base.agent.orders import Orders


def test_an_order_is_an_operation_and_ends_the_wait(tmp_path: Path) -> None:
    operations = Operations(tmp_path)
    orders = Orders(operations)
    first = orders.take(Order("restart", "auth", "anna"))
    began = time.monotonic()

    orders.wait(30)

    assert time.monotonic() - began < 5
    found = []
    for one in orders.waiting():
        if not found:
            second = orders.take(Order("configure", "auth", "boris", {"session_hours": 8}))
        found.append(one)
    assert found == [first, second], "what is asked for meanwhile is carried out in the same turn"
    assert [one.arguments for one in found] == [{}, {"session_hours": 8}]
    assert list(orders.waiting()) == []


def test_what_is_refused_is_not_carried_out(tmp_path: Path) -> None:
    def refuse(operation: Operation, note: dict[str, object]) -> None:
        raise AgentError("it cannot be written down")

    operations = Operations(tmp_path, refuse)
    orders = Orders(operations)
    with pytest.raises(AgentError, match="cannot be written down"):
        orders.take(Order("stop", "auth", "anna"))
    assert list(orders.waiting()) == []
    assert operations.newest_first() == []
