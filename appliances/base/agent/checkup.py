"""All checks of this host at once (checks.py), over what the agent knows; and its look at the clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliances.base.agent import checks
from appliances.base.agent.board import Board
from appliances.base.agent.clock import Clock
from appliances.base.agent.incus import Incus
from appliances.base.agent.inforce import InForce
from appliances.base.agent.paths import Paths


class Checkup:
    """Any thread may have it made. `note` hears of a clock that has jumped."""

    def __init__(
        self, paths: Paths, incus: Incus, board: Board, in_force: InForce, note: Callable[[str], None]
    ) -> None:
        self._paths = paths
        self._incus = incus
        self._board = board
        self._in_force = in_force
        self._note = note
        self._clock = Clock()

    def look_at_clock(self) -> None:
        if jump := self._clock.look():
            self._note(f"{jump}: certificates that are not valid at this time are renewed")

    def make(self) -> list[dict[str, Any]]:
        """`[{name, ok, detail}]`, as `asrctl check` shows it. Raises AgentError."""
        self.look_at_clock()
        network = self._in_force.distribution().network
        return checks.run_all(self._board.read(), self._paths, self._incus, network, self._clock)
