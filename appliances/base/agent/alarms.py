"""Alarms: a check that stays red is told to people elsewhere, once, and once more when it is well again.

What stands and what is still to be told is kept on disk: neither a restart of the agent nor a mail server that is away
loses an alarm, or tells it twice after it was taken.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from appliances.base.agent import files

Kind = Literal["raised", "cleared", "test"]
MOST_WAITING = 200  # messages; of a channel that is away for weeks the oldest are forgotten


@dataclass(frozen=True)
class Alarm:
    """A check that has been red for so long that somebody should know; `since` is ISO 8601 in UTC."""

    name: str
    detail: str
    since: str


@dataclass(frozen=True)
class Message:
    """What is to be told by one channel: `at` is when it happened, ISO 8601 in UTC."""

    channel: str
    kind: Kind
    alarm: Alarm
    at: str


class Channel(Protocol):
    """A way to people. `send` raises OSError (or a subclass) when the message was not taken."""

    def send(self, message: Message) -> None: ...


class Alarms:
    """What stands, and what is still to be told. `clock` counts seconds that a jump of the time of day leaves alone.

    `changed` is called when what stands has become another.
    """

    def __init__(
        self, path: Path, clock: Callable[[], float] = time.monotonic, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._changed = changed
        self._last_standing: list[dict[str, str]] = []
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._red: dict[str, float] = {}
        self._standing: dict[str, Alarm] = {}
        self._waiting: list[Message] = []
        self.trouble: dict[str, str] = {}  # channel → why it did not take a message the last time
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads(path.read_text())
            self._standing = {one["name"]: Alarm(**one) for one in found["standing"]}
            self._waiting = [Message(**{**one, "alarm": Alarm(**one["alarm"])}) for one in found["waiting"]]

    def consider(self, checks: list[dict[str, Any]], after: float, channels: list[str]) -> list[Message]:
        """Take in what all checks say now; one that is red for `after` seconds becomes an alarm.

        Returns what has been noted down to be told, one message for each channel.
        """
        now = self._clock()
        failing = {one["name"]: one["detail"] for one in checks if not one["ok"]}
        with self._lock:
            self._red = {name: self._red.get(name, now) for name in failing}
            new: list[Message] = []
            for name, alarm in list(self._standing.items()):
                if name not in failing:
                    del self._standing[name]
                    new += self._messages("cleared", alarm, channels)
                elif alarm.detail != failing[name]:
                    self._standing[name] = replace(alarm, detail=failing[name])
            for name, detail in failing.items():
                if name not in self._standing and now - self._red[name] >= after:
                    self._standing[name] = alarm = Alarm(name, detail, _text_of_now())
                    new += self._messages("raised", alarm, channels)
            self._keep(new)
        return new

    def try_out(self, channels: list[str]) -> None:
        """Note down a message that only says that it arrived."""
        with self._lock:
            self._keep(self._messages("test", Alarm("test", "", _text_of_now()), channels))

    def deliver(self, channels: Mapping[str, Channel]) -> None:
        """Tell what waits, in its order; one that a channel does not take keeps the later ones of that channel waiting.

        What waits for a channel that nobody wants any more is forgotten.
        """
        with self._lock:
            waiting = list(self._waiting)
        stuck: set[str] = set()
        for message in waiting:
            channel = channels.get(message.channel)
            if message.channel in stuck:
                continue
            if channel is not None:
                try:
                    channel.send(message)
                except OSError as error:
                    with self._lock:
                        self.trouble[message.channel] = str(error) or type(error).__name__
                    stuck.add(message.channel)
                    continue
            with self._lock:
                if channel is not None:
                    self.trouble.pop(message.channel, None)
                self._waiting.remove(message)
                self._save()

    def report_trouble(self, prefix: str, troubles: Mapping[str, str]) -> list[str]:
        """Keep these troubles, and no others whose name begins with `prefix`; returns the names of the new."""
        with self._lock:
            new = [name for name, why in troubles.items() if self.trouble.get(name) != why]
            kept = {name: why for name, why in self.trouble.items() if not name.startswith(prefix)}
            self.trouble = {**kept, **troubles}
            return new

    def read(self) -> dict[str, Any]:
        """`standing` alarms, how many messages are `waiting`, and the `trouble` of each channel that takes none."""
        with self._lock:
            standing = sorted(self._standing.values(), key=lambda alarm: alarm.since)
            return {
                "standing": [asdict(alarm) for alarm in standing],
                "waiting": len(self._waiting),
                "trouble": dict(self.trouble),
            }

    def _messages(self, kind: Kind, alarm: Alarm, channels: list[str]) -> list[Message]:
        return [Message(channel, kind, alarm, _text_of_now()) for channel in channels]

    def _keep(self, new: list[Message]) -> None:
        self._waiting = [*self._waiting, *new][-MOST_WAITING:]
        self._save()

    def _save(self) -> None:
        standing = [asdict(alarm) for alarm in self._standing.values()]
        waiting = [asdict(message) for message in self._waiting]
        with contextlib.suppress(OSError):  # a full disk is just what has to be told
            files.folder(self._path.parent, mode=0o700)
            files.write_json(self._path, {"standing": standing, "waiting": waiting}, mode=0o600)
        if standing != self._last_standing:
            self._last_standing = standing
            self._changed()


def _text_of_now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
