"""Operations survive a restart of the agent."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from appliances.base.agent import operations
from appliances.base.agent.operations import Operations, Order


def test_a_finished_one_is_found_again_with_its_log(tmp_path: Path) -> None:
    before = Operations(tmp_path)
    one = before.begin(Order("start", "auth", "anna"))
    before.say(one, "starting auth")
    before.finish(one)

    found = Operations(tmp_path).get(one.id)

    assert found == one
    assert found.status == "done"
    assert found.ended_at is not None


def test_a_running_one_found_at_the_start_was_interrupted(tmp_path: Path) -> None:
    one = Operations(tmp_path).begin(Order("restart", "auth", "anna"))

    found = Operations(tmp_path).get(one.id)

    assert found is not None
    assert (found.status, found.error) == ("failed", operations.INTERRUPTED)


def test_a_file_that_is_no_operation_does_not_stop_the_agent(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"half":')

    assert Operations(tmp_path).newest_first() == []


def test_only_the_newest_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "KEPT", 3)
    known = Operations(tmp_path)
    for name in "abcde":
        known.finish(known.begin(Order("start", name, "root")))

    assert [one.target for one in known.newest_first()] == ["e", "d", "c"]
    assert len(list(tmp_path.glob("*.json"))) == 3


class Set(datetime.datetime):
    """A clock that stands where a test has set it."""

    moment = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Set:
        return cls.fromtimestamp(cls.moment.timestamp(), tz)


@pytest.mark.parametrize("back", [datetime.timedelta(hours=1), datetime.timedelta(days=730)])
def test_what_is_done_after_the_clock_was_set_back_is_still_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: datetime.timedelta
) -> None:
    monkeypatch.setattr(operations, "KEPT", 3)
    monkeypatch.setattr(operations.datetime, "datetime", Set)
    known = Operations(tmp_path)
    for name in "abc":
        known.finish(known.begin(Order("start", name, "root")))
    monkeypatch.setattr(Set, "moment", Set.moment - back)
    known = Operations(tmp_path)

    later = [known.begin(Order("start", name, "root")) for name in "de"]
    for one in later:
        known.finish(one)
    known.begin(Order("start", "f", "root"))

    assert [one.target for one in known.newest_first()] == ["f", "e", "d"]
    assert known.get(later[0].id) is later[0], "who asked for it can see how it went"
    assert later[0].started_at.startswith(f"{Set.moment:%Y-%m-%d}")
