"""The clock of this machine: whether it jumped, and what people should know of it.

Nothing in the agent that waits or measures goes by it (time.monotonic does that). Certificates have to.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

LIMIT = 60.0  # seconds; a time server that moves the clock gently stays far below
TOLD = 3600.0  # seconds after a jump for which the check tells of it


@dataclass(frozen=True)
class Jump:
    """By how many seconds (negative: back), at which new time (UTC), and when by a clock that does not jump."""

    seconds: float
    to: datetime.datetime
    moment: float

    def __str__(self) -> str:
        way = "forward" if self.seconds > 0 else "back"
        return f"the clock jumped {_span(abs(self.seconds))} {way}, to {self.to:%Y-%m-%d %H:%M} UTC"


def since_boot() -> float:
    """Seconds since the machine was switched on, those in which it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """Compares the time of day with a clock that only runs. Safe to use from threads."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = since_boot) -> None:
        self._wall = wall
        self._steady = steady
        self._lock = threading.Lock()
        self._offset = wall() - steady()
        self._last: Jump | None = None

    def look(self) -> Jump | None:
        """The jump since the last look, if there was one."""
        with self._lock:
            wall, steady = self._wall(), self._steady()
            moved = wall - steady - self._offset
            self._offset = wall - steady
            if abs(moved) < LIMIT:
                return None
            self._last = Jump(moved, datetime.datetime.fromtimestamp(wall, datetime.UTC), steady)
            return self._last

    def recent(self) -> Jump | None:
        """The last jump, as long as people should know of it."""
        with self._lock:
            found = self._last
            return found if found is not None and self._steady() - found.moment < TOLD else None


def judge(now: datetime.datetime, released: datetime.date, jump: Jump | None, synchronised: bool) -> tuple[bool, str]:
    """Whether the clock can be right, and what to say of it."""
    told = f"{jump}. " if jump else ""
    if now.date() < released - datetime.timedelta(days=1):
        told += f"It says {now:%Y-%m-%d}, and this version was released on {released}"
        return False, f"{told}: set it (timedatectl set-time '{released} 12:00'), or let it reach a time server"
    if synchronised:
        return True, f"{told}Set by a time server"
    if jump:
        return False, f"{told}No time server did that: compare it with another clock (timedatectl)"
    return True, f"{now:%Y-%m-%d %H:%M} UTC; no time server has set it"


def _span(seconds: float) -> str:
    """A length of time in its two largest units."""
    units = (("years", 365 * 86400), ("days", 86400), ("h", 3600), ("min", 60), ("s", 1))
    left, parts = round(seconds), []
    for name, length in units:
        if left >= length:
            parts.append(f"{left // length} {name}")
            left %= length
    return " ".join(parts[:2])
