"""When something becomes an alarm, who is told, and that nobody is told twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliances.base.agent.alarms import MOST_WAITING, Alarms, Message
from appliances.base.agent.courier import Courier

AFTER = 300.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class People:
    """A channel that remembers; with `away` it takes nothing."""

    def __init__(self) -> None:
        self.away = False
        self.told: list[Message] = []

    def send(self, message: Message) -> None:
        if self.away:
            raise ConnectionRefusedError(111, "Connection refused")
        self.told.append(message)

    def words(self) -> list[str]:
        return [f"{one.kind} {one.alarm.name}" for one in self.told]


def checks(**failing: str) -> list[dict[str, Any]]:
    """All checks, of which these fail with these details."""
    return [{"name": name, "ok": name not in failing, "detail": failing.get(name, "")} for name in ("disk", "memory")]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def alarms(tmp_path: Path, clock: Clock) -> Alarms:
    return Alarms(tmp_path / "state/alarms.json", clock)


def red(alarms: Alarms, clock: Clock) -> None:
    """The disk is full for long enough."""
    alarms.consider(checks(disk="95%"), AFTER, ["mail"])
    clock.now += AFTER
    alarms.consider(checks(disk="96%"), AFTER, ["mail"])


def test_only_what_stays_red_becomes_an_alarm_and_only_once(alarms: Alarms, clock: Clock) -> None:
    assert alarms.consider(checks(disk="95%"), AFTER, ["mail"]) == []
    clock.now += AFTER - 1
    assert alarms.consider(checks(disk="95%"), AFTER, ["mail"]) == []
    clock.now += 1
    (raised,) = alarms.consider(checks(disk="96%"), AFTER, ["mail"])
    assert (raised.kind, raised.alarm.name, raised.alarm.detail) == ("raised", "disk", "96%")
    assert alarms.consider(checks(disk="97%"), AFTER, ["mail"]) == []
    assert [one["detail"] for one in alarms.read()["standing"]] == ["97%"]


def test_what_gets_well_in_between_begins_anew(alarms: Alarms, clock: Clock) -> None:
    alarms.consider(checks(disk="95%"), AFTER, ["mail"])
    clock.now += AFTER - 1
    alarms.consider(checks(), AFTER, ["mail"])
    clock.now += 1
    assert alarms.consider(checks(disk="95%"), AFTER, ["mail"]) == []


def test_the_end_of_an_alarm_is_told_to_each_channel(alarms: Alarms, clock: Clock) -> None:
    red(alarms, clock)
    ended = alarms.consider(checks(), AFTER, ["mail", "webhook"])
    assert [(one.channel, one.kind) for one in ended] == [("mail", "cleared"), ("webhook", "cleared")]
    assert alarms.read()["standing"] == []


def test_a_check_that_is_no_longer_made_ends_its_alarm(alarms: Alarms, clock: Clock) -> None:
    red(alarms, clock)
    (ended,) = alarms.consider([], AFTER, ["mail"])
    assert ended.kind == "cleared"


def test_a_restart_tells_nothing_twice_and_forgets_nothing(alarms: Alarms, clock: Clock, tmp_path: Path) -> None:
    red(alarms, clock)
    people = People()
    again = Alarms(tmp_path / "state/alarms.json", clock)
    again.deliver({"mail": people})
    assert people.words() == ["raised disk"]

    third = Alarms(tmp_path / "state/alarms.json", clock)
    third.deliver({"mail": people})
    assert third.consider(checks(disk="96%"), AFTER, ["mail"]) == []
    assert people.words() == ["raised disk"]
    third.consider(checks(), AFTER, ["mail"])
    third.deliver({"mail": people})
    assert people.words() == ["raised disk", "cleared disk"]


def test_a_channel_that_is_away_gets_everything_later_in_order_and_holds_up_no_other(
    alarms: Alarms, clock: Clock
) -> None:
    mail, webhook = People(), People()
    mail.away = True
    red(alarms, clock)
    alarms.consider(checks(), AFTER, ["mail", "webhook"])
    alarms.deliver({"mail": mail, "webhook": webhook})
    assert webhook.words() == ["cleared disk"]
    assert alarms.read()["trouble"] == {"mail": "[Errno 111] Connection refused"}
    assert alarms.read()["waiting"] == 2

    mail.away = False
    alarms.deliver({"mail": mail, "webhook": webhook})
    assert mail.words() == ["raised disk", "cleared disk"]
    assert webhook.words() == ["cleared disk"]
    assert alarms.read()["trouble"] == {}


def test_what_waits_for_a_channel_that_nobody_wants_any_more_is_forgotten(alarms: Alarms, clock: Clock) -> None:
    red(alarms, clock)
    alarms.deliver({})
    assert alarms.read()["waiting"] == 0


def test_a_channel_that_stays_away_does_not_fill_the_disk(alarms: Alarms) -> None:
    for _ in range(MOST_WAITING + 5):
        alarms.try_out(["mail"])
    assert alarms.read()["waiting"] == MOST_WAITING


def test_a_damaged_file_is_no_reason_to_stop(tmp_path: Path) -> None:
    file = tmp_path / "alarms.json"
    file.write_text('{"standing": [{"nam')
    assert Alarms(file).read() == {"standing": [], "waiting": 0, "trouble": {}}


def test_the_courier_says_once_what_does_not_get_through(alarms: Alarms, clock: Clock) -> None:
    people, said = People(), list[str]()
    people.away = True
    courier = Courier(alarms, lambda: {"mail": people}, said.append)
    red(alarms, clock)
    assert [courier.round(), courier.round()] == [False, False]
    assert said == ["alarms by mail do not get through: [Errno 111] Connection refused"]
    people.away = False
    assert courier.round()
    assert people.words() == ["raised disk"]
