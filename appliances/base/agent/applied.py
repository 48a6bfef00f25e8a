"""The plans that were applied, numbered; the newest is in force. One file each, kept over restarts."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliances.base.agent import files
from appliances.base.agent import plan as plans
from appliances.base.agent.distribution import Distribution
from appliances.base.agent.errors import AgentError
from appliances.base.agent.plan import Plan
from appliances.base.agent.settings import REFERENCE

KEPT = 100


@dataclass(frozen=True)
class Applied:
    """A plan that was brought into force: its number (from 1 on), when (UTC, ISO 8601), by whom."""

    number: int
    applied_at: str
    author: str
    plan: Plan


class PlanStore:
    """The applied plans in a folder, and the draft beside which they are looked at."""

    def __init__(
        self, folder: Path, draft: Path, seed: Path, tell: Callable[[Applied], None] = lambda applied: None
    ) -> None:
        """`tell` hears of every plan that comes into force."""
        self._tell = tell
        self._folder = folder
        self._draft = draft
        self._seed = seed

    def current(self, distribution: Distribution) -> Applied:
        """The plan in force. On a host that never had one it is the draft, else made from the installation's answers.

        Raises AgentError for a draft that is wrong while nothing is in force yet.
        """
        found = self._newest()
        if found is None:
            if not self._draft.exists():
                plans.save(self._draft, plans.first(self._seed, distribution))
            return self.apply(plans.load(self._draft, distribution), "installation")
        return found

    def draft(self, distribution: Distribution) -> Plan:
        """What people have written. Raises AgentError with file, line or key, and what to do."""
        return plans.load(self._draft, distribution)

    def apply(self, plan: Plan, author: str) -> Applied:
        """Bring a plan into force; a power cut leaves the earlier one in force or this one."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        applied = Applied(max((int(path.stem) for path in self._files()), default=0) + 1, now, author, plan)
        files.folder(self._folder, mode=0o700)
        record = {"applied_at": now, "author": author, "plan": plan.model_dump(exclude_none=True)}
        files.write_json(self._folder / f"{applied.number:06}.json", record, mode=0o600)
        for old in self._files()[:-KEPT]:
            old.unlink()
        self._tell(applied)
        return applied

    def change(self, distribution: Distribution, author: str, change: Callable[[Plan], None]) -> Applied:
        """Apply a single change (a function that edits a plan), and write it into the draft beside what is there."""
        plan = self.changed(distribution, change)
        self.note(distribution, change)
        return self.apply(plan, author)

    def changed(self, distribution: Distribution, change: Callable[[Plan], None]) -> Plan:
        """The plan in force with a single change; it is not applied."""
        plan = self.current(distribution).plan.model_copy(deep=True)
        change(plan)
        return plan

    def note(self, distribution: Distribution, change: Callable[[Plan], None]) -> None:
        """Write a single change into the draft, beside what people have edited there."""
        with contextlib.suppress(AgentError):  # somebody is in the middle of editing: it is not ours to overwrite
            draft = self.draft(distribution)
            change(draft)
            plans.save(self._draft, draft)

    def restore(self, distribution: Distribution, number: int | None = None) -> Applied:
        """Make the draft what is in force, or what the plan of that number was. Raises AgentError for no such plan."""
        if number is None:
            wanted = self.current(distribution)
        elif (path := self._folder / f"{number:06}.json").exists():
            wanted = _read(path)
        else:
            known = ", ".join(path.stem.lstrip("0") for path in self._files()[-10:])
            raise AgentError(f"there is no plan {number}", hint=f"the newest are: {known}")
        plans.save(self._draft, wanted.plan)
        return wanted

    def history(self) -> list[Applied]:
        """All that are kept and can be read, the newest first."""
        found = []
        for path in reversed(self._files()):
            with contextlib.suppress(AgentError):
                found.append(_read(path))
        return found

    def references(self, distribution: Distribution) -> set[str]:
        """The secrets that the kept plans and the draft name."""
        kept = [one.plan for one in self.history()]
        with contextlib.suppress(AgentError):
            kept.append(self.draft(distribution))
        return {
            value
            for plan in kept
            for planned in plan.appliances.values()
            for value in planned.settings.values()
            if isinstance(value, str) and REFERENCE.fullmatch(value)
        }

    def _newest(self) -> Applied | None:
        files = self._files()
        return _read(files[-1]) if files else None

    def _files(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("*.json") if path.stem.isdigit())


def _read(path: Path) -> Applied:
    """Raises AgentError for a file that is no applied plan."""
    try:
        record = json.loads(path.read_text())
        when, author, plan = record["applied_at"], record["author"], record["plan"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = f"bring the plan file into force: delete {path}, then asrctl apply"
        raise AgentError(f"{path} cannot be read: {error}", step="plan", hint=hint) from error
    return Applied(int(path.stem), when, author, plans.parse(plan, path))
