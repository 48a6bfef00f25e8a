"""What the agent writes into the journal of what was done, and that nothing is done that cannot be written there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliances.base.agent.agent import Agent
from appliances.base.agent.audit import Entry, Journal, Wanted, page
from appliances.base.agent.backend import Backend
from appliances.base.agent.errors import AgentError
from appliances.base.agent.operations import Operations
from appliances.base.agent.paths import Paths
from appliances.base.agent.recorder import Recorder
from appliances.base.agent.underway import Underway
from tests.unit.agent.examples import installed
from tests.unit.agent.fake_incus import FakeIncus


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return installed(tmp_path)


@pytest.fixture
def agent(paths: Paths) -> Backend:
    return Agent(paths, FakeIncus()).backend  # type: ignore[arg-type]


def entries(paths: Paths) -> list[Entry]:
    """The newest first."""
    return page(paths.audit, Wanted(), None, 50)[0]


def test_settings_stand_there_with_before_and_after_and_defaults(agent: Backend, paths: Paths) -> None:
    operation = agent.configure("auth", {"session_hours": "8", "strict": None}, "anna")
    entry = entries(paths)[0]
    assert (entry.who, entry.kind, entry.part, entry.what, entry.result) == (
        "anna", "settings", "auth", "configure", "asked",
    )  # fmt: skip
    assert entry.details == {
        "operation": operation.id,
        "settings": {
            "session_hours": {"before": 12, "after": 8},
            "strict": {"before": False, "after": False},
        },
    }


def test_the_first_plan_and_power_are_there(agent: Backend, paths: Paths) -> None:
    agent.settings("auth")
    agent.request("restart", "auth.web", "boris")
    power, plan = entries(paths)
    assert (power.who, power.kind, power.part, power.what, power.result) == (
        "boris", "power", "auth.web", "restart", "asked",
    )  # fmt: skip
    assert (plan.who, plan.kind, plan.what, plan.details) == ("installation", "plan", "in force", {"number": 1})


def test_what_was_under_way_when_the_agent_ended_is_told_as_failed(agent: Backend, paths: Paths) -> None:
    agent.request("restart", "auth", "anna")
    Agent(paths, FakeIncus())  # type: ignore[arg-type]
    last = entries(paths)[0]
    assert (last.who, last.what, last.result) == ("anna", "restart", "failed")
    assert "the agent was restarted meanwhile" in last.details["error"]


def test_what_the_agent_tries_again_and_again_is_told_once(paths: Paths) -> None:
    recorder = Recorder(Journal(paths.audit), print)
    underway = Underway(Operations(paths.operations, recorder.operation), print)
    for sentence in ("no space", "no space", "no memory"):
        with underway.recorded("auth") as failed:
            failed(sentence)
    with underway.recorded("auth"):
        pass
    found = [(one.who, one.result, one.details.get("error")) for one in reversed(entries(paths))]
    assert found == [("agent", "failed", "no space"), ("agent", "failed", "no memory"), ("agent", "done", None)]


def test_what_cannot_be_written_down_is_not_done(agent: Backend, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    agent.settings("auth")

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(AgentError, match=r"the journal of what was done cannot be written: .*No space left.*make room"):
        agent.request("stop", "auth", "anna")
    assert agent.operations() == []
