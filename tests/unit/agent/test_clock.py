"""A clock that jumps: it is noticed and told, and nothing that waits goes by it."""

from __future__ import annotations

import datetime

import pytest

from appliances.base.agent.clock import TOLD, Clock, Jump, judge

HOUR, DAY, YEAR = 3600.0, 86400.0, 365 * 86400.0
NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
RELEASED = datetime.date(2026, 11, 22)


class Machine:
    """A machine whose clock can be set; `run` lets time pass."""

    def __init__(self) -> None:
        self.wall, self.steady = NOON.timestamp(), 500.0
        self.clock = Clock(lambda: self.wall, lambda: self.steady)

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-HOUR, "the clock jumped 1 h back, to 2026-11-23 11:00 UTC"),
        (DAY, "the clock jumped 1 days forward, to 2026-11-24 12:00 UTC"),
        (-2 * YEAR - 3 * HOUR, "the clock jumped 2 years 3 h back, to 2024-11-23 09:00 UTC"),
        (90, "the clock jumped 1 min 30 s forward, to 2026-11-23 12:01 UTC"),
    ],
)
def test_a_jump_is_noticed_once_and_told_for_an_hour(seconds: float, told: str) -> None:
    machine = Machine()
    machine.wall += seconds

    assert str(machine.clock.look()) == told
    assert machine.clock.look() is None
    machine.run(TOLD - 1)
    assert str(machine.clock.recent()) == told
    machine.run(2)
    assert machine.clock.recent() is None


def test_time_that_passes_is_no_jump_nor_is_a_gentle_correction() -> None:
    machine = Machine()
    for _ in range(1000):
        machine.run(10)
        machine.wall += 0.005
        assert machine.clock.look() is None

    machine.run(2 * DAY)
    assert machine.clock.look() is None, "the machine slept, and both clocks went on"


JUMP = Jump(-HOUR, NOON, 0)


@pytest.mark.parametrize(
    ("now", "jump", "synchronised", "ok", "told"),
    [
        (NOON, None, True, True, "Set by a time server"),
        (NOON, None, False, True, "2026-11-23 12:00 UTC; no time server has set it"),
        (NOON, JUMP, True, True, f"{JUMP}. Set by a time server"),
        (NOON, JUMP, False, False, f"{JUMP}. No time server did that: compare it with another clock (timedatectl)"),
        (
            NOON.replace(year=2024),
            None,
            False,
            False,
            "It says 2024-11-23, and this version was released on 2026-11-22",
        ),
    ],
)
def test_the_check_says_when_it_jumped_and_what_to_do(
    now: datetime.datetime, jump: Jump | None, synchronised: bool, ok: bool, told: str
) -> None:
    well, detail = judge(now, RELEASED, jump, synchronised)

    assert well is ok
    assert detail.startswith(told)
