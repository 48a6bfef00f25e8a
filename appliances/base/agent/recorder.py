"""Writes what happens into the journal of what was done (audit.py): operations, plans, and acts that are neither."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliances.base.agent import audit, certificates
from appliances.base.agent.applied import Applied
from appliances.base.agent.errors import AgentError
from appliances.base.agent.operations import AGENT, Operation
from appliances.base.agent.perform import PLAN

OF_HOST = (PLAN, certificates.TARGET)  # targets that are no part of it
NO_ROOM = "make room on the disk: df -h /var/lib/asrbox"


class Recorder:
    """Keeps `journal`. `note` hears of what could not be written down."""

    def __init__(self, journal: audit.Journal, note: Callable[[str], None]) -> None:
        self._journal = journal
        self._note = note

    def operation(self, operation: Operation, note: dict[str, Any]) -> None:
        """An operation that begins or has ended; `note` is what is worth noting beside it.

        Raises AgentError when it begins and that cannot be written: what is asked for is refused then.
        """
        asked = operation.status == "running"
        if asked and operation.author == AGENT:
            return  # how it went is enough
        details: dict[str, Any] = {"operation": operation.id, **note}
        if asked and operation.arguments and not note:
            details["arguments"] = operation.arguments
        if not asked:
            details |= {"log": operation.log[-audit.LOG_LINES :]} if operation.log else {}
            details |= {"error": operation.error} if operation.error else {}
        result: audit.Result = "asked" if operation.status == "running" else operation.status
        kind = audit.OF_ACTIONS.get(operation.action, "other")
        part = "" if operation.target in OF_HOST else operation.target
        try:
            self._journal.add(operation.author, kind, part, operation.action, result, details)
        except OSError as error:
            if asked:
                raise AgentError(_unwritten(error), hint=NO_ROOM) from error
            self._note(_unwritten(error))

    def plan(self, applied: Applied) -> None:
        """A plan that has come into force."""
        self.act(applied.author, "plan", "", "in force", {"number": applied.number})

    def act(self, who: str, kind: str, part: str, what: str, details: dict[str, Any]) -> None:
        """What has been done and was no operation."""
        try:
            self._journal.add(who, kind, part, what, details=details)
        except OSError as error:
            self._note(_unwritten(error))


def _unwritten(error: OSError) -> str:
    return f"the journal of what was done cannot be written: {error}"
