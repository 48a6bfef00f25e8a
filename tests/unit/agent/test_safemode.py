"""A database that no repair helps is left alone until a person has looked; a web daemon never is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from appliances.base.agent import health, perform
from appliances.base.agent import plan as plans
from appliances.base.agent.applied import PlanStore
from appliances.base.agent.board import ApplianceStatus, Board
from appliances.base.agent.converge import Convergence
from appliances.base.agent.health import Answer
from appliances.base.agent.held import Held
from appliances.base.agent.incus import Incus, Ran
from appliances.base.agent.operations import Operation
from appliances.base.agent.safemode import SafeMode
from appliances.base.agent.watch import Backoff, Watch
from tests.unit.agent.examples import distribution, installed

SHIPPED = distribution()
BILLING = SHIPPED.appliance("asr_billing")


class Systemd:
    """An Incus with one running container whose units fail as told; `stop` and `start` work."""

    def __init__(self) -> None:
        self.states = {"firebird.service": "active", "web.service": "active"}
        self.asked: list[str] = []

    def instance(self, name: str) -> dict[str, str]:
        return {"status": "Running"}

    def run(self, instance: str, command: list[str], **more: Any) -> Ran:
        verb, *units = [word for word in command[1:] if not word.startswith("--")]
        if verb == "show":
            blocks = (f"ActiveState={self.states[one]}\nResult=exit-code\nUnitFileState=enabled\n" for one in units)
            return Ran(0, "\n".join(blocks), "")
        self.asked.append(f"{verb} {' '.join(units)}")
        if verb == "stop":
            self.states = dict.fromkeys(self.states, "inactive")
        return Ran(0, "", "")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def systemd() -> Systemd:
    return Systemd()


@pytest.fixture
def safe(tmp_path: Path) -> SafeMode:
    return SafeMode(tmp_path / "run/safe-mode.json")


@pytest.fixture
def board() -> Board:
    board = Board()
    board.introduce(SHIPPED)
    return board


@pytest.fixture
def watch(
    tmp_path: Path, systemd: Systemd, safe: SafeMode, board: Board, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Watch:
    monkeypatch.setattr(health, "ask", lambda daemon, ca: Answer(False, False, "does not answer"))
    held = Held(tmp_path / "held.json")
    return Watch(cast(Incus, systemd), board, held, safe, Path("ca.crt"), lambda text: None, Backoff(clock))


def hours(watch: Watch, clock: Clock, tmp_path: Path, number: float) -> ApplianceStatus:
    """Look again and again, for so many hours; how billing is at the end."""
    plan = plans.first(tmp_path / "seed.toml", SHIPPED)
    end = clock.now + number * 3600
    while clock.now < end:
        watch.look(BILLING, plan)
        clock.now += 10
    shown = watch._board.appliance("asr_billing")
    assert shown is not None
    return shown


def test_a_database_that_stays_broken_ends_in_safe_mode(
    watch: Watch, systemd: Systemd, safe: SafeMode, clock: Clock, tmp_path: Path
) -> None:
    systemd.states["firebird.service"] = "failed"
    hours(watch, clock, tmp_path, 0.4)
    assert safe.reason("asr_billing") is None, "it is repaired a few times first"
    assert systemd.asked.count("restart firebird.service") >= 4

    shown = hours(watch, clock, tmp_path, 0.2)
    assert systemd.states == {"firebird.service": "inactive", "web.service": "inactive"}
    assert shown.state == "error"
    assert shown.detail.startswith("safe mode: firebird: firebird.service is failed (exit-code) (since ")
    assert shown.detail.endswith(" UTC). When it is mended: asrctl start asr_billing")

    before = len(systemd.asked)
    hours(watch, clock, tmp_path, 2)
    assert len(systemd.asked) == before, "nobody touches it any more"


def test_a_web_daemon_is_tried_again_for_ever(
    watch: Watch, systemd: Systemd, safe: SafeMode, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd.states["web.service"] = "failed"
    well = Answer(True, True, "answers")
    monkeypatch.setattr(health, "ask", lambda daemon, ca: well)
    monkeypatch.setattr(Watch, "_answering", lambda *_: None)
    hours(watch, clock, tmp_path, 5)
    assert safe.reason("asr_billing") is None
    assert systemd.asked.count("restart web.service") > 25


def test_it_lasts_over_a_restart_of_the_agent(safe: SafeMode, tmp_path: Path) -> None:
    safe.enter("asr_billing", "firebird: damaged")
    again = SafeMode(tmp_path / "run/safe-mode.json")
    assert (again.reason("asr_billing") or "").startswith("firebird: damaged (since ")
    assert again.leave("asr_billing")
    assert not again.leave("asr_billing")
    assert SafeMode(tmp_path / "run/safe-mode.json").reason("asr_billing") is None


@pytest.mark.parametrize(("action", "ends"), [("start", True), ("restart", True), ("enable", True), ("disable", False)])
def test_a_person_ends_it_by_starting_the_appliance(
    action: str, ends: bool, tmp_path: Path, systemd: Systemd, safe: SafeMode, board: Board
) -> None:
    class Rounds:
        def round(self) -> bool:
            state, well = ("running", "ok") if ends else ("disabled", "unknown")
            board.show(ApplianceStatus("asr_billing", "asr-billing", {}, state, True, well, ""))  # type: ignore[arg-type]
            return True

    systemd.stop = lambda *_, **__: None  # type: ignore[attr-defined]
    paths = installed(tmp_path)
    store = PlanStore(paths.plans, paths.plan, paths.seed)
    said: list[str] = []
    incus, rounds = cast(Incus, systemd), cast(Convergence, Rounds())
    performer = perform.Performer(paths, store, incus, board, Held(paths.held), safe, rounds, said.append)
    safe.enter("asr_billing", "firebird: damaged")

    performer.perform(Operation("1", action, "asr_billing", "anna", "2026-11-23T08:00:00Z"))

    assert (safe.reason("asr_billing") is None) is ends
    assert ("start firebird.service web.service" in systemd.asked) is ends
    assert ("asr_billing leaves safe mode" in said) is ends
