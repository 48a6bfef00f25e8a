"""Plans in force: numbered, kept, never half; the draft beside them is people's."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliances.base.agent import files
from appliances.base.agent import plan as plans
from appliances.base.agent.applied import KEPT, PlanStore
from appliances.base.agent.errors import AgentError
from appliances.base.agent.plan import Plan
from tests.unit.agent.examples import distribution

SHIPPED = distribution()


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    return tmp_path / "etc/plan.yaml"


@pytest.fixture
def store(tmp_path: Path, draft: Path) -> PlanStore:
    return PlanStore(tmp_path / "plans", draft, tmp_path / "seed.toml")


def without_auth(plan: Plan) -> None:
    plan.switch_appliance("auth", False)


def test_a_new_host_gets_the_plan_of_its_installation_and_a_file_to_edit(store: PlanStore, draft: Path) -> None:
    first = store.current(SHIPPED)

    assert (first.number, first.author) == (1, "installation")
    assert plans.load(draft, SHIPPED) == first.plan
    assert store.current(SHIPPED) == first


def test_a_host_of_an_earlier_version_goes_on_with_its_file(store: PlanStore, draft: Path) -> None:
    old = plans.first(draft.parent / "seed.toml", SHIPPED)
    without_auth(old)
    plans.save(draft, old)

    assert not store.current(SHIPPED).plan.enabled("auth")


def test_an_edited_file_is_not_in_force_until_it_is_applied(store: PlanStore, draft: Path) -> None:
    store.current(SHIPPED)
    edited = store.draft(SHIPPED)
    without_auth(edited)
    plans.save(draft, edited)

    assert store.current(SHIPPED).plan.enabled("auth")

    applied = store.apply(store.draft(SHIPPED), "anna")

    assert (applied.number, applied.author) == (2, "anna")
    assert not store.current(SHIPPED).plan.enabled("auth")


def test_a_single_change_touches_neither_other_edits_nor_a_broken_file(store: PlanStore, draft: Path) -> None:
    store.current(SHIPPED)
    edited = store.draft(SHIPPED)
    edited.switch_appliance("asr_billing", False)
    plans.save(draft, edited)

    store.change(SHIPPED, "anna", without_auth)

    assert store.current(SHIPPED).plan.enabled("asr_billing"), "that edit was not applied"
    assert not store.draft(SHIPPED).enabled("asr_billing")
    assert not store.draft(SHIPPED).enabled("auth")

    draft.write_text("version: 1\nappliances: [\n")
    store.change(SHIPPED, "anna", lambda plan: plan.switch_appliance("auth", True))
    assert store.current(SHIPPED).plan.enabled("auth")
    assert draft.read_text() == "version: 1\nappliances: [\n"


def test_an_earlier_plan_can_be_brought_back_into_the_file(store: PlanStore) -> None:
    store.current(SHIPPED)
    store.change(SHIPPED, "anna", without_auth)

    assert store.restore(SHIPPED, 1).number == 1
    assert store.draft(SHIPPED).enabled("auth")
    assert not store.current(SHIPPED).plan.enabled("auth"), "it has not been applied"

    assert store.restore(SHIPPED).number == 2
    assert not store.draft(SHIPPED).enabled("auth")

    with pytest.raises(AgentError, match=r"there is no plan 7 \(the newest are: 1, 2\)"):
        store.restore(SHIPPED, 7)


def test_a_power_cut_while_applying_leaves_the_plan_before(store: PlanStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = store.current(SHIPPED)

    def dark(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", dark)
    with pytest.raises(KeyboardInterrupt):
        store.change(SHIPPED, "anna", without_auth)
    monkeypatch.undo()

    assert store.current(SHIPPED) == before


def test_a_damaged_plan_is_named_and_nothing_older_takes_its_place(store: PlanStore, tmp_path: Path) -> None:
    store.current(SHIPPED)
    store.change(SHIPPED, "anna", without_auth)
    (tmp_path / "plans/000002.json").write_text("{")

    with pytest.raises(
        AgentError, match=r"plans/000002\.json cannot be read: .*delete .*000002.json, then asrctl apply"
    ):
        store.current(SHIPPED)
    assert [one.number for one in store.history()] == [1]


def test_the_history_is_bounded(store: PlanStore) -> None:
    plan = store.current(SHIPPED).plan
    for _ in range(KEPT + 5):
        store.apply(plan, "anna")

    numbers = [one.number for one in store.history()]
    assert (len(numbers), numbers[0]) == (KEPT, KEPT + 6)
