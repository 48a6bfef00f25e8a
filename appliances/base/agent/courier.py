"""Brings alarms to the people: a thread of its own, since a mail server may take its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from appliances.base.agent.alarms import Alarms, Channel

PAUSE = 30.0  # seconds until a channel that took nothing is asked again; doubles each time
LONGEST = 600.0  # seconds


class Courier:
    """Delivers what waits in `alarms`; `channels` says by what ways, each time anew, and `say` hears of trouble."""

    def __init__(
        self, alarms: Alarms, channels: Callable[[], Mapping[str, Channel]], say: Callable[[str], None]
    ) -> None:
        self._alarms = alarms
        self._channels = channels
        self._say = say
        self._news = threading.Event()
        self._pause = PAUSE

    def start(self) -> None:
        threading.Thread(target=self._run, name="courier", daemon=True).start()

    def nudge(self) -> None:
        """There is something new to tell: do not wait for the end of the pause."""
        self._pause = PAUSE
        self._news.set()

    def round(self) -> bool:
        """Deliver what waits; returns whether everything was taken."""
        before = dict(self._alarms.trouble)
        self._alarms.deliver(self._channels())
        for channel, why in self._alarms.trouble.items():
            if before.get(channel) != why:
                self._say(f"alarms by {channel} do not get through: {why}")
        return not self._alarms.trouble

    def _run(self) -> None:
        while True:
            self._news.wait(self._pause)
            self._news.clear()
            try:
                taken = self.round()
            except Exception as error:  # noqa: BLE001  whatever a channel raises must not end the thread
                self._say(f"alarms do not get through: {type(error).__name__}: {error}")
                taken = False
            self._pause = PAUSE if taken else min(self._pause * 2, LONGEST)
            time.sleep(1.0)
