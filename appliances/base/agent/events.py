"""What has changed, for those that watch: not what it was or is, only that it is another, and of which.

A watcher that is slow, or was away, hears once of everything that changed meanwhile: the newest state is what counts,
so nothing has to be kept for it. Numbers begin anew with each start of the agent; `mark` says of which start they are.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from typing import Literal

Kind = Literal["status", "operation", "alarms"]
Change = tuple[int, Kind, str]  # number, kind, and of operations the id
MOST = 256  # subjects that are remembered; operations that were kept longest are forgotten


class Events:
    """Numbered changes. Safe to use from several threads."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._number = 0
        self._last: dict[tuple[Kind, str], int] = {}  # the oldest change first
        self._start = secrets.token_hex(4)

    def tell(self, kind: Kind, subject: str = "") -> None:
        """Something has changed."""
        with self._news:
            self._number += 1
            self._last.pop((kind, subject), None)
            self._last[kind, subject] = self._number
            if len(self._last) > MOST:
                del self._last[next(one for one in self._last if one[0] == "operation")]
            self._news.notify_all()

    def now(self) -> int:
        """The number of the newest change."""
        with self._news:
            return self._number

    def mark(self, number: int) -> str:
        """What a watcher that has seen everything up to `number` shows when it comes back."""
        return f"{self._start}-{number}"

    def number(self, mark: str) -> int | None:
        """Up to where the watcher with this mark has seen everything; None for a mark of another start, or of none."""
        start, _, number = mark.partition("-")
        return int(number) if start == self._start and number.isdecimal() and len(number) < 16 else None

    def after(self, number: int, timeout: float) -> list[Change]:
        """The changes since `number`, waited for at most `timeout` seconds."""
        with self._news:
            self._news.wait_for(lambda: self._number > number, timeout)
            return [(at, kind, subject) for (kind, subject), at in self._last.items() if at > number]

    def watch(self, number: int, tick: float) -> Iterator[list[Change]]:
        """The changes from `number` on as they come, for ever; an empty list after `tick` seconds without one."""
        while True:
            changes = self.after(number, tick)
            if changes:
                number = changes[-1][0]
            yield changes
