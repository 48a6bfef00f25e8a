"""What is being carried out: somebody's operation, or one of the agent's own. Its log takes what is said meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from appliances.base.agent.errors import AgentError, of_disk
from appliances.base.agent.operations import AGENT, Operation, Operations, Order

OWN_ACTION = "converge"  # what the agent does unasked


class Underway:
    """At most one operation at a time, in the agent's thread. `note` writes into the journal of the system."""

    def __init__(self, operations: Operations, note: Callable[[str], None]) -> None:
        self._operations = operations
        self._note = note
        self._current: Operation | None = None
        self._own: Operation | None = None

    def say(self, text: str) -> None:
        """Into the journal, and into the log of the operation that is being carried out."""
        self._note(text)
        if self._current is not None:
            self._operations.say(self._current, text)

    def carry_out(self, operation: Operation, perform: Callable[[Operation], None]) -> None:
        """Do what was asked for. What fails (AgentError, OSError) is the result of the operation."""
        self._current = operation
        try:
            perform(operation)
            self._operations.finish(operation)
        except AgentError as error:
            self._operations.fail(operation, error.sentence())
        except OSError as error:
            self._operations.fail(operation, of_disk(error).sentence())
        finally:
            self._current = None

    @contextlib.contextmanager
    def recorded(self, target: str) -> Iterator[Callable[[str], None]]:
        """What is done in here as an operation of the agent's own; inside of somebody's operation it belongs to that.

        Gives the function that takes the sentence of what failed. A failed one that is tried again goes on.
        """
        if self._current is not None:
            yield lambda sentence: None
            return
        if self._own is None or self._own.target != target or self._own.status != "failed":
            self._own = self._operations.begin(Order(OWN_ACTION, target, AGENT))
        else:
            self._operations.resume(self._own)
        self._current = operation = self._own
        failures: list[str] = []
        try:
            yield failures.append
        except AgentError as error:
            failures.append(error.sentence())
            raise
        finally:
            self._current = None
            if failures:
                self._operations.fail(operation, failures[0])
            else:
                self._operations.finish(operation)
