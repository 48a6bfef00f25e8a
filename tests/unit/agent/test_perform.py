"""Plans are brought into force whole, or taken back."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from appliances.base.agent import files, perform
from appliances.base.agent import plan as plans
from appliances.base.agent.applied import PlanStore
from appliances.base.agent.board import ApplianceStatus, Board, State, Well
from appliances.base.agent.converge import Convergence
from appliances.base.agent.errors import AgentError
from appliances.base.agent.held import Held
from appliances.base.agent.incus import Incus
from appliances.base.agent.operations import Operation
from appliances.base.agent.plan import Plan
from appliances.base.agent.safemode import SafeMode
from tests.unit.agent.examples import distribution, distribution_ipv6, distribution_json_ipv6, installed

SHIPPED = distribution()


class Rounds:
    """A convergence that shows auth as the plan in force makes it: with more than 100 hours it does not come up."""

    def __init__(self, store: PlanStore, board: Board) -> None:
        self.store = store
        self.board = board
        self.refuses: str | None = None
        self.bridge: str | None = None
        self.broken: State = "running"

    def round(self) -> bool:
        plan = self.store.current(SHIPPED).plan
        auth = SHIPPED.appliance("auth")
        if self.bridge and plan.network.ipv6:
            raise AgentError(self.bridge, step="bridge")
        if self.refuses and plan.limits(auth).memory != auth.limits.memory:
            raise AgentError(self.refuses, appliance="auth", step="configure the container")
        well: Well = "ok" if int(plan.settings(auth)["session_hours"]) <= 100 else "failing"
        state: State = self.broken if well == "failing" else "running"
        self.board.show(ApplianceStatus("auth", "auth", auth.title, state, True, well, "web is down"))
        return well == "ok"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path) -> PlanStore:
    paths = installed(tmp_path)
    store = PlanStore(paths.plans, paths.plan, paths.seed)
    store.current(SHIPPED)
    return store


@pytest.fixture
def rounds(store: PlanStore) -> Rounds:
    board = Board()
    board.introduce(SHIPPED)
    return Rounds(store, board)


@pytest.fixture
def performer(
    store: PlanStore, rounds: Rounds, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> perform.Performer:
    monkeypatch.setattr(perform, "SETTLING", 0.0)
    monkeypatch.setattr(perform, "LOOK", 0.0)
    paths = perform.Paths(tmp_path)
    incus, convergence = cast(Incus, None), cast(Convergence, rounds)
    return perform.Performer(
        paths, store, incus, rounds.board, Held(paths.held), SafeMode(paths.safe_mode), convergence, said.append
    )


def order(action: str, target: str, **arguments: Any) -> Operation:
    return Operation("1", action, target, "anna", "2026-11-23T08:00:00Z", arguments=arguments)


def hours(plan: Plan) -> object:
    return plan.settings(SHIPPED.appliance("auth"))["session_hours"]


def test_a_setting_that_works_is_in_force_and_in_the_file(
    performer: perform.Performer, store: PlanStore, said: list[str]
) -> None:
    performer.perform(order("configure", "auth", session_hours=8))

    assert (store.current(SHIPPED).number, hours(store.current(SHIPPED).plan), hours(store.draft(SHIPPED))) == (2, 8, 8)
    assert said == ["auth: session_hours 12 → 8", "plan 2 is in force"]


def test_a_setting_that_does_not_work_is_taken_back(
    performer: perform.Performer, store: PlanStore, said: list[str]
) -> None:
    with pytest.raises(AgentError, match="plan 2 was taken back: auth is running: web is down .*asrctl logs auth"):
        performer.perform(order("configure", "auth", session_hours=168))

    assert (store.current(SHIPPED).number, hours(store.current(SHIPPED).plan)) == (3, 12)
    assert hours(store.draft(SHIPPED)) == 12, "the file does not say what did not work"
    assert said[-1] == "auth is running: web is down: what plan 1 said is in force again, as plan 3"


def test_what_settings_need_of_one_another_counts_when_it_is_carried_out(
    performer: perform.Performer, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = distribution()
    settings = shipped.appliance("auth").settings
    settings[0] = settings[0].model_copy(update={"needs": {"strict": True}})
    monkeypatch.setattr(perform, "load_distribution", lambda path: shipped)
    with pytest.raises(AgentError, match="auth: session_hours needs strict to be yes"):
        performer.perform(order("configure", "auth", session_hours=8))
    assert store.current(SHIPPED).number == 1

    performer.perform(order("configure", "auth", session_hours=8, strict=True))
    assert store.current(SHIPPED).number == 2


def test_what_has_failed_for_good_is_not_waited_for(
    performer: perform.Performer, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perform, "SETTLING", 3600.0)
    monkeypatch.setattr(perform, "HOPELESS", 0.0)
    rounds.broken = "error"
    with pytest.raises(AgentError, match="plan 2 was taken back: auth is error: web is down"):
        performer.perform(order("configure", "auth", session_hours=168))


def test_a_plan_that_the_host_refuses_is_taken_back_at_once(
    performer: perform.Performer, store: PlanStore, rounds: Rounds
) -> None:
    rounds.refuses = "no such memory"
    draft = store.draft(SHIPPED)
    draft.appliances["auth"].limits.memory = 1 << 40
    plans.save(store._draft, draft)

    with pytest.raises(AgentError, match="plan 2 was taken back: auth: configure the container: no such memory"):
        performer.perform(order("apply", "plan"))

    assert store.current(SHIPPED).plan.limits(SHIPPED.appliance("auth")).memory == 400 << 20
    assert store.draft(SHIPPED).limits(SHIPPED.appliance("auth")).memory == 1 << 40, "what people wrote stays theirs"


class Killed(BaseException):
    """The agent is gone. Not an Exception, since nothing of it gets to handle this."""


@pytest.mark.parametrize("wanted", [8, 150])
def test_killed_at_any_step_of_a_change_the_next_agent_ends_with_the_new_plan_or_the_one_before(
    wanted: int, performer: perform.Performer, store: PlanStore, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8 hours work, 150 do not come up. Each write of a file of the agent is a step, and each round."""
    left = 0

    def step(work: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return work(*arguments, **options)

        return counted

    ends = set()
    for after in range(100):
        store.apply(plans.load(store._draft, SHIPPED), "test")
        before = hours(store.current(SHIPPED).plan)
        left = after
        with monkeypatch.context() as patches:
            for owner, name in ((files, "write"), (rounds, "round"), (performer._trial, "end")):
                patches.setattr(owner, name, step(getattr(owner, name)))
            try:
                performer.perform(order("configure", "auth", session_hours=wanted))
                killed = False
            except AgentError:
                killed = False
            except Killed:
                killed = True
        if performer.on_trial():
            with contextlib.suppress(AgentError):
                performer.perform(order("apply", "plan", resumed=True))
        found = hours(store.current(SHIPPED).plan)
        assert found == before or (found, wanted) == (8, 8), f"killed after {after} steps"
        assert not performer.on_trial()
        ends.add(found)
        store._draft.write_text(store._draft.read_text().replace(f"session_hours: {wanted}", "session_hours: 12"))
        if not killed:
            break
    else:
        pytest.fail("it never came to its end")
    assert ends == ({12, 8} if wanted == 8 else {12})


def test_ipv6_that_the_host_cannot_have_is_taken_back(
    tmp_path: Path, rounds: Rounds, store: PlanStore, performer: perform.Performer
) -> None:
    perform.Paths(tmp_path).distribution.write_text(json.dumps(distribution_json_ipv6()))
    rounds.bridge = "fd34:ed37:338c::1 is used already"
    shipped = distribution_ipv6()
    draft = store.draft(shipped)
    draft.network.ipv6 = True
    plans.save(store._draft, draft)

    with pytest.raises(AgentError, match=r"plan 2 was taken back: bridge: fd34:.* is used already \(see: asrctl check"):
        performer.perform(order("apply", "plan"))

    assert store.current(shipped).plan.network.ipv6 is False


def test_switching_ipv6_waits_for_every_appliance(
    tmp_path: Path, rounds: Rounds, store: PlanStore, performer: perform.Performer, said: list[str]
) -> None:
    perform.Paths(tmp_path).distribution.write_text(json.dumps(distribution_json_ipv6()))
    shipped = distribution_ipv6()
    draft = store.draft(shipped)
    draft.network.ipv6 = True
    plans.save(store._draft, draft)
    billing = shipped.appliance("asr_billing")
    failing = ApplianceStatus("asr_billing", "asr-billing", billing.title, "error", True, "failing", "web is down")
    rounds.board.show(failing)

    with pytest.raises(AgentError, match="plan 2 was taken back: asr_billing is error: web is down"):
        performer.perform(order("apply", "plan"))

    assert said[:2] == ["network: ipv6 enabled", "plan 2 is in force"]


def test_a_round_that_restarts_everything_may_take_longer_than_a_daemon_has_to_get_well(
    performer: perform.Performer, store: PlanStore, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perform, "SETTLING", 60.0)
    clock = itertools.count(0.0, 1000.0)
    monkeypatch.setattr(perform.time, "monotonic", lambda: next(clock))
    made, good = [], rounds.round

    def slowly() -> bool:
        made.append("round")
        healthy = good()
        if len(made) == 1:
            shown = rounds.board.appliance("auth")
            assert shown is not None
            rounds.board.show(dataclasses.replace(shown, state="starting", health="failing"))
        return healthy

    monkeypatch.setattr(rounds, "round", slowly)
    performer.perform(order("configure", "auth", session_hours=8))

    assert (len(made), hours(store.current(SHIPPED).plan)) == (2, 8)
