"""Zabbix as a channel of alarms, and what it is told of every check: values for trapper items, by zabbix-utils.

| key | value |
|---|---|
| `asrbox.event` | a line for each alarm that was raised or is over, and for each test |
| `asrbox.alarms` | how many alarms stand; comes every minute, so its silence is an alarm of its own |
| `asrbox.checks.discovery` | low-level discovery: a `{#CHECK}` for each check |
| `asrbox.alarm[CHECK]` | 1 while an alarm stands for that check, else 0 |
| `asrbox.detail[CHECK]` | what the check found last |

The items are in host/zabbix-template.yaml. The connection is in the clear: TLS with a pre-shared key needs
`set_psk_client_callback` of Python 3.13's ssl, and the hosts of the EL bases have an older Python.
"""

from __future__ import annotations

import datetime
import json
import re
import socket
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliances.base.agent.alarms import Message

TEMPLATE = Path(__file__).with_name("host") / "zabbix-template.yaml"
LIMIT = 20  # seconds for one connection
EVENT, ALARMS, DISCOVERY = "asrbox.event", "asrbox.alarms", "asrbox.checks.discovery"


class NotTaken(OSError):
    """The server answered, and did not take what it was sent."""


@dataclass(frozen=True)
class Zabbix:
    """A Zabbix server or proxy, `server` as `name:port`, that knows this host as `known_as`."""

    server: str
    known_as: str
    words: Mapping[str, str]  # of a message's kind, in its language

    def send(self, message: Message) -> None:
        """Tell of one event. Raises OSError when it was not taken."""
        alarm = message.alarm
        text = self.words[message.kind].format(name=alarm.name)
        at = int(datetime.datetime.fromisoformat(message.at).timestamp())
        self._need([(EVENT, f"{text}: {alarm.detail}" if alarm.detail else text, at)])

    def report(self, checks: Sequence[Mapping[str, Any]], standing: Sequence[str]) -> int:
        """Tell how all checks are; `standing` are the names of those that are alarms.

        Returns how many values of single checks were not taken: Zabbix makes the items of a check that is new to it
        only some time after the discovery. Raises OSError when the rest was not taken.
        """
        names = list(dict.fromkeys(str(one["name"]) for one in checks))
        found = json.dumps([{"{#CHECK}": name} for name in names], ensure_ascii=False)
        self._need([(DISCOVERY, found, None), (ALARMS, str(len(standing)), None)])
        values = [(key("asrbox.alarm", name), "1" if name in standing else "0", None) for name in names]
        values += [(key("asrbox.detail", str(one["name"])), str(one["detail"]), None) for one in checks]
        return self._send(values)

    def _need(self, values: Sequence[tuple[str, str, int | None]]) -> None:
        refused = self._send(values)
        if refused:
            keys = ", ".join(one[0] for one in values)
            raise NotTaken(
                f"{self.server} did not take {refused} of {len(values)} values ({keys}) for the host "
                f"{self.known_as!r}: make a host of that name in Zabbix and link the template to it that "
                "`asrctl alarms zabbix-template` prints; a proxy hears of it with its next configuration"
            )

    def _send(self, values: Sequence[tuple[str, str, int | None]]) -> int:
        """Send values (key, value, moment in seconds of the epoch); returns how many were not taken."""
        # Here, since few hosts have a Zabbix, and the library brings asyncio and urllib into memory.
        from zabbix_utils import ItemValue, Sender
        from zabbix_utils.exceptions import ModuleBaseException

        name, _, port = self.server.partition(":")
        try:
            families = {one[0] for one in socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM)}
        except socket.gaierror as error:
            raise OSError(f"{name}: {error.strerror}") from error
        sender = Sender(name, int(port), timeout=LIMIT, use_ipv6=socket.AF_INET not in families)
        try:
            answer = sender.send([ItemValue(self.known_as, item, value, at) for item, value, at in values])
        # What the library does not expect in an answer goes through it as Python's own errors.
        except (ModuleBaseException, ValueError, AttributeError, TypeError, RecursionError, zlib.error) as error:
            raise OSError(f"{self.server} did not answer as Zabbix does: {error}") from error
        return int(answer.failed)


def key(name: str, parameter: str) -> str:
    """An item's key with one parameter, quoted where Zabbix wants that (manual, "Item key")."""
    if not re.search(r'^[ "\[]|[,\]]', parameter):
        return f"{name}[{parameter}]"
    return f"{name}[" + '"' + parameter.replace('"', '\\"') + '"]'
