"""What people see inside of a container: the journals of its daemons, and terminals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliances.base.agent import journal
from appliances.base.agent.errors import AgentError
from appliances.base.agent.incus import Incus
from appliances.base.agent.inforce import InForce
from appliances.base.agent.operations import Operations
from appliances.base.agent.terminals import SHELL, Shell, Terminal, Terminals

READING = "read the journal"


class Inside:
    """Asks Incus, for the API's threads. UnknownName: there is no such appliance or daemon."""

    def __init__(self, incus: Incus, in_force: InForce, operations: Operations, note: Callable[[str], None]) -> None:
        """A terminal is one of `operations`; `note` hears when it begins and ends."""
        self._incus = incus
        self._in_force = in_force
        self._terminals = Terminals(self._shell, operations, note)

    def logs(self, appliance: str, daemon: str | None, lines: int, cursor: str | None) -> dict[str, Any]:
        """The journal of an appliance, or of one daemon, from `cursor` on if given (journal.answer)."""
        instance, unit = self._place(appliance, daemon)
        command = journal.command(unit, lines=lines, cursor=cursor)
        ran = self._incus.run(instance, command, appliance=appliance, step=READING)
        if ran.code != 0:
            raise AgentError(ran.stderr.strip() or "journalctl failed", appliance=appliance, step=READING)
        return journal.answer(ran.stdout, cursor)

    def follow(self, appliance: str, daemon: str | None, cursor: str | None) -> journal.Follow:
        """The same as it grows: from `cursor` on, by default from now on."""
        instance, unit = self._place(appliance, daemon)
        command = journal.command(unit, lines=None if cursor else 0, cursor=cursor, follow=True)
        return journal.Follow(self._incus.attach(instance, command, appliance=appliance, step=READING))

    def open_terminal(self, appliance: str, size: tuple[int, int], author: str) -> Terminal:
        """A root shell in a container; it and its end are an operation."""
        return self._terminals.open(appliance, self._in_force.target(appliance).instance, size, author)

    def terminal(self, identity: str, author: str) -> Terminal:
        """One that this author opened. Raises NoTerminal."""
        return self._terminals.get(identity, author)

    def _place(self, appliance: str, daemon: str | None) -> tuple[str, str | None]:
        """Container and unit."""
        owner = self._in_force.target(f"{appliance}.{daemon}" if daemon else appliance)
        return owner.instance, owner.daemon(daemon).unit if daemon else None

    def _shell(self, appliance: str, instance: str, size: tuple[int, int]) -> Shell:
        return self._incus.attach(instance, SHELL, appliance=appliance, step="open a terminal", size=size)
