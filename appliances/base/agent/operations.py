"""Operations: what somebody asked the agent to do, with its log and result; one JSON file each, kept over restarts."""

from __future__ import annotations

import contextlib
import datetime
import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from appliances.base.agent import files
from appliances.base.agent.errors import of_disk

Tell = Callable[["Operation", dict[str, Any]], None]
KEPT = 200
LOG_LINES = 500
_MOMENT = "%Y%m%d-%H%M%S-%f"
AGENT = "agent"  # who does what nobody asked for
TERMINAL = "terminal"  # an operation that lasts as long as somebody's terminal
ENDED_WITH_AGENT = "ended together with the agent"
INTERRUPTED = "the agent was restarted meanwhile; what is missing is made up for by itself"


@dataclass(frozen=True)
class Order:
    """What somebody asks for. `note` is for who is told of the operation that it becomes, and is not kept with it."""

    action: str
    target: str
    author: str
    arguments: dict[str, Any] = field(default_factory=dict)
    note: dict[str, Any] = field(default_factory=dict)


@dataclass
class Operation:
    """One request. Times are UTC in ISO 8601; `target` is `<appliance>` or `<appliance>.<daemon>`."""

    id: str
    action: str
    target: str
    author: str
    started_at: str
    status: Literal["running", "done", "failed"] = "running"
    ended_at: str | None = None
    log: list[str] = field(default_factory=list)
    arguments: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


class Operations:
    """The operations in a folder. Safe to use from several threads. `changed` is told the id of one that is another."""

    def __init__(
        self,
        folder: Path,
        tell: Tell = lambda operation, note: None,
        changed: Callable[[str], None] = lambda identity: None,
    ) -> None:
        """`tell` hears of each one before it begins (with what is worth noting beside it), and of its end."""
        self._changed = changed
        self._tell = tell
        self._told: dict[str, str | None] = {}  # operation that failed → the error that was told
        self._folder = files.folder(folder, mode=0o700)
        self._lock = threading.RLock()
        self._all: dict[str, Operation] = {}
        for path in sorted(folder.glob("*.json")):
            operation = _read(path)
            if operation is None:
                path.unlink()
            else:
                self._all[operation.id] = operation
        for operation in self._all.values():
            if operation.status == "running" and operation.action == TERMINAL:
                self.say(operation, ENDED_WITH_AGENT)
                self.finish(operation)
            elif operation.status == "running":
                self.fail(operation, INTERRUPTED)

    def begin(self, order: Order) -> Operation:
        """A new running operation, already on the disk. Raises AgentError when the disk does not take it."""
        with self._lock:
            now = datetime.datetime.now(datetime.UTC)
            identity = self._identity(now)
            operation = Operation(
                identity, order.action, order.target, order.author, _text(now), arguments=order.arguments
            )
            try:
                self._tell(operation, order.note)
                self._save(operation)
            except OSError as error:
                raise of_disk(error) from error
            self._all[identity] = operation
            for old in sorted(self._all)[:-KEPT]:
                if self._all[old].status != "running":
                    del self._all[old]
                    self._told.pop(old, None)
                    (self._folder / f"{old}.json").unlink(missing_ok=True)
            return operation

    def _identity(self, now: datetime.datetime) -> str:
        """Sorts behind every other, also when the clock was set back: the newest are kept, and shown first."""
        moment = f"{now:{_MOMENT}}"
        newest = max(self._all, default="")[: len(moment)]
        if moment <= newest:
            later = datetime.datetime.strptime(newest, _MOMENT) + datetime.timedelta(microseconds=1)  # noqa: DTZ007
            moment = f"{later:{_MOMENT}}"
        return f"{moment}-{secrets.token_hex(2)}"

    def say(self, operation: Operation, text: str) -> None:
        """Add a line to the log of an operation."""
        with self._lock:
            if operation.log[-1:] != [text]:
                operation.log = [*operation.log, text][-LOG_LINES:]
                self._note(operation)

    def resume(self, operation: Operation) -> None:
        """What has failed is tried again: the operation runs on."""
        with self._lock:
            operation.status, operation.error, operation.ended_at = "running", None, None
            self._note(operation)

    def finish(self, operation: Operation) -> None:
        self._end(operation, "done", None)

    def fail(self, operation: Operation, error: str) -> None:
        self._end(operation, "failed", error)

    def get(self, identity: str) -> Operation | None:
        with self._lock:
            return self._all.get(identity)

    def newest_first(self) -> list[Operation]:
        with self._lock:
            return sorted(self._all.values(), key=lambda one: one.id, reverse=True)

    def _end(self, operation: Operation, status: Literal["done", "failed"], error: str | None) -> None:
        with self._lock:
            operation.status = status
            operation.error = error
            operation.ended_at = _text(datetime.datetime.now(datetime.UTC))
            self._note(operation)
            # What the agent tries again and again fails with the same words each time: that is told once.
            if status == "done" or self._told.get(operation.id) != error:
                self._told[operation.id] = error
                with contextlib.suppress(OSError):
                    self._tell(operation, {})
            if status == "done":
                self._told.pop(operation.id, None)

    def _note(self, operation: Operation) -> None:
        """Save it if that is possible: what is being done goes on without a line about it."""
        with contextlib.suppress(OSError):
            self._save(operation)

    def _save(self, operation: Operation) -> None:
        files.write_json(self._folder / f"{operation.id}.json", asdict(operation), mode=0o600)
        self._changed(operation.id)


def _read(path: Path) -> Operation | None:
    try:
        return Operation(**json.loads(path.read_text()))
    except (ValueError, TypeError):
        return None


def _text(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
