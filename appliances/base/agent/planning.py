"""Plan and settings as the API asks for them: what they say, what a change would do, the orders to change them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from appliances.base.agent import secretstore
from appliances.base.agent.applied import PlanStore
from appliances.base.agent.distribution import Appliance
from appliances.base.agent.errors import AgentError, WrongSettings
from appliances.base.agent.inforce import InForce
from appliances.base.agent.operations import Operation, Order
from appliances.base.agent.orders import Orders
from appliances.base.agent.paths import Paths
from appliances.base.agent.perform import PLAN
from appliances.base.agent.plan import Plan, changes
from appliances.base.agent.settings import Value, unmet


class Planning:
    """Looks at drafts and settings before they are ordered; the thread of the agent brings them into force."""

    def __init__(
        self,
        paths: Paths,
        plans: PlanStore,
        in_force: InForce,
        orders: Orders,
        refuse: Callable[[Mapping[str, Value]], None],
        preview: Callable[[Plan], list[str]],
    ) -> None:
        """`refuse` raises AgentError for settings that cannot be now; `preview` says what a plan would do."""
        self._paths = paths
        self._plans = plans
        self._in_force = in_force
        self._orders = orders
        self._refuse = refuse
        self._preview = preview

    def plan(self) -> dict[str, Any]:
        """The plan in force, and what the draft would change: `error` says why it cannot be applied."""
        shipped = self._in_force.shipped()
        applied = self._in_force.applied(shipped)
        answer: dict[str, Any] = {
            "number": applied.number,
            "applied_at": applied.applied_at,
            "author": applied.author,
            "file": str(self._paths.plan),
            "changes": [],
            "actions": [],
            "drift": self._preview(applied.plan),
            "error": None,
        }
        try:
            draft = self._plans.draft(shipped)
        except AgentError as error:
            return {**answer, "error": error.sentence()}
        if draft != applied.plan:
            answer["changes"] = list(itertools.chain(*changes(applied.plan, draft, shipped).values()))
            answer["actions"] = self._preview(draft)
        return answer

    def plans(self) -> list[dict[str, Any]]:
        """The plans that were applied, the newest first."""
        return [
            {"number": one.number, "applied_at": one.applied_at, "author": one.author} for one in self._plans.history()
        ]

    def apply(self, author: str) -> Operation:
        """Take the order to bring the draft into force. Raises AgentError, and changes nothing, when it is wrong."""
        shipped = self._in_force.shipped()
        draft = self._plans.draft(shipped)
        for appliance in shipped.appliances:
            self._refuse(draft.settings(appliance))
        return self._orders.take(Order("apply", PLAN, author))

    def restore(self, number: int | None) -> int:
        """Make the draft what is in force, or what an earlier plan said; returns its number."""
        return self._plans.restore(self._in_force.shipped(), number).number

    def settings(self, appliance: str) -> list[dict[str, Any]]:
        """What an appliance lets people choose, with the values in force; of a secret only whether there is one."""
        shipped = self._in_force.shipped()
        owner = shipped.appliance(appliance)
        values = self._in_force.applied(shipped).plan.settings(owner)
        shown = {one.key: bool(values[one.key]) if one.kind == "secret" else values[one.key] for one in owner.settings}
        return [{**one.model_dump(), "value": shown[one.key]} for one in owner.settings]

    def configure(self, appliance: str, wanted: dict[str, Any], author: str) -> Operation:
        """Take the order to change settings; None brings a default back. Raises WrongSettings, UnknownName."""
        shipped = self._in_force.shipped()
        owner = shipped.appliance(appliance)
        checked, wrong = _checked(owner, wanted)
        if not wrong:
            plan = self._in_force.applied(shipped).plan.model_copy(deep=True)
            plan.set(owner, checked)
            wrong = unmet(owner.settings, plan.settings(owner))
            self._refuse(plan.settings(owner))
        if wrong:
            raise WrongSettings(wrong, appliance=appliance)
        for key, value in checked.items():  # an operation is kept, with its arguments
            if value is not None and owner.setting(key).kind == "secret":
                checked[key] = secretstore.enter(self._paths.secrets, appliance, value)
        before = self._in_force.applied(shipped).plan.settings(owner)
        note = {"settings": _differences(owner, before, checked)}
        return self._orders.take(Order("configure", appliance, author, checked, note))


def _checked(owner: Appliance, wanted: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Values as the settings take them, and why others are not taken. Raises UnknownName."""
    checked: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for key, value in wanted.items():
        setting = owner.setting(key)
        try:
            checked[key] = None if value is None else setting.check(value)
        except ValueError as error:
            wrong[key] = str(error)
    return checked, wrong


def _differences(owner: Appliance, before: Mapping[str, Value], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What these settings are and are to be, for the journal."""
    after = {key: owner.setting(key).default if value is None else value for key, value in wanted.items()}
    return {key: {"before": before[key], "after": after[key]} for key in wanted}
