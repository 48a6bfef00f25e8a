"""How far the host is, told on the board, on the console and above the log-in prompt."""

from __future__ import annotations

import time

from appliances.base.agent import files, outside
from appliances.base.agent.board import Board, Phase
from appliances.base.agent.console import Console
from appliances.base.agent.distribution import Distribution
from appliances.base.agent.firstpassword import FirstPassword
from appliances.base.agent.incus import Incus
from appliances.base.agent.paths import Paths

PREPARED = 2  # steps before the actions: secrets and CA; Incus
ALL_WELL = "all appliances are healthy"


class Progress:
    """Counts steps: those that prepare the host, the actions, an appliance each that gets healthy.

    Routine of a host that is ready is not announced, only what is done to containers.
    """

    def __init__(self, paths: Paths, incus: Incus, board: Board, console: Console) -> None:
        self._paths = paths
        self._board = board
        self._console = console
        self._password = FirstPassword(paths, incus, board)
        self._began = time.monotonic()
        self._steps = PREPARED
        self._ready = False
        self.prepared = False  # whether the host has been prepared once

    def preparing(self, done: int, text: str) -> None:
        """Step `done` of the preparation; told the first time alone."""
        if not self.prepared:
            self._tell(done, text)

    def expect(self, actions: int, appliances: int) -> None:
        """So much is to be done, and so many are to get healthy."""
        self._steps = max(self._steps, PREPARED + actions + appliances)

    def acting(self, done: int, text: str, shipped: Distribution) -> None:
        """Action number `done` begins."""
        self._tell(PREPARED + done, text, acting=True)
        self.refresh(shipped)

    def waiting(self, names: list[str]) -> None:
        """These appliances are not healthy yet."""
        self._tell(self._steps - len(names), f"waiting for {', '.join(names)}")

    def waiting_for_entry(self) -> None:
        self._tell(self._steps, "waiting for the entry")

    def healthy(self, shipped: Distribution) -> None:
        """Everybody is. The first time, that is the end of the start."""
        total = len(shipped.appliances)
        seconds = time.monotonic() - self._began
        first = not self._ready
        if first and not self._paths.first_boot.exists():
            files.write_json(self._paths.first_boot, {"seconds": round(seconds, 1)})
        self._ready = True
        self._board.progress("running", total, total, ALL_WELL)
        if first:
            self.refresh(shipped)
            self._console.milestone(f"ready in {seconds:.1f} s")

    def refresh(self, shipped: Distribution) -> None:
        """Bring the text above the log-in prompt up to date, without a question to a container."""
        seen = outside.look(shipped.network.bridge)
        self._console.show(shipped, seen, self._password.read(shipped, ask=False))

    def show(self, shipped: Distribution, seen: outside.Outside) -> None:
        """The same at the end of a round: auth is asked whether the first password was changed."""
        self._console.show(shipped, seen, self._password.read(shipped))

    def _tell(self, done: int, text: str, *, acting: bool = False) -> None:
        if self._ready and not acting:
            return
        phase: Phase = "converging" if self._paths.first_boot.exists() else "first-boot"
        self._board.progress(phase, done, self._steps, text)
        self._console.milestone(f"phase {phase} {done}/{self._steps} {text}")
