"""Shows how all checks are to those channels that draw that: a thread of its own, since a server may take its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from appliances.base.agent.alarms import Alarms, Channel
from appliances.base.agent.zabbix import Zabbix

PATIENCE = 600.0  # seconds in which a Zabbix has to have made the items of a check that is new to it


class Reporter:
    """Gives what `see()` was told last to every Zabbix among `channels()`; `say` hears of trouble, as `alarms` does."""

    def __init__(
        self,
        alarms: Alarms,
        channels: Callable[[], Mapping[str, Channel]],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._alarms = alarms
        self._channels = channels
        self._say = say
        self._clock = clock
        self._checks: Sequence[Mapping[str, Any]] = ()
        self._news = threading.Event()
        self._refused_since: dict[str, float] = {}

    def start(self) -> None:
        threading.Thread(target=self._run, name="reporter", daemon=True).start()

    def see(self, checks: Sequence[Mapping[str, Any]]) -> None:
        """What all checks say now; what was not reported of the time before is forgotten."""
        self._checks = checks
        self._news.set()

    def round(self) -> None:
        """Report once, to each."""
        standing = [one["name"] for one in self._alarms.read()["standing"]]
        found = {name: one for name, one in self._channels().items() if isinstance(one, Zabbix)}
        for name in set(self._refused_since) - set(found):
            del self._refused_since[name]
        troubles = {}
        for name, channel in found.items():
            try:
                refused = channel.report(self._checks, standing)
            except OSError as error:
                troubles[_values_of(name)] = str(error) or type(error).__name__
                continue
            if not refused:
                self._refused_since.pop(name, None)
            elif self._clock() - self._refused_since.setdefault(name, self._clock()) > PATIENCE:
                troubles[_values_of(name)] = (
                    f"{channel.server} does not take {refused} values of single checks: see in Zabbix whether the "
                    "discovery rule of the asrbox template is enabled"
                )
        for told in self._alarms.report_trouble(_values_of(""), troubles):
            self._say(f"what the checks found does not get through by {told}: {troubles[told]}")

    def _run(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            try:
                self.round()
            except Exception as error:  # noqa: BLE001  whatever a channel raises must not end the thread
                self._say(f"what the checks found does not get through: {type(error).__name__}: {error}")


def _values_of(channel: str) -> str:
    """The name under which trouble with the values of a channel is kept, beside that with its messages."""
    return f"values:{channel}"
