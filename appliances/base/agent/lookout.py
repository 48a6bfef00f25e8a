"""What becomes an alarm, and by what ways people are told of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from appliances.base.agent import channels
from appliances.base.agent.alarms import Alarms, Channel
from appliances.base.agent.checkup import Checkup
from appliances.base.agent.courier import Courier
from appliances.base.agent.errors import AgentError
from appliances.base.agent.inforce import InForce
from appliances.base.agent.paths import Paths
from appliances.base.agent.reporter import Reporter

BETWEEN_CHECKS = 60.0  # seconds between looks at everything that may become an alarm


class Lookout:
    """Looks at all checks now and then. `changed` is called when other alarms stand, `note` hears of trouble."""

    def __init__(
        self,
        paths: Paths,
        in_force: InForce,
        checkup: Checkup,
        changed: Callable[[], None],
        note: Callable[[str], None],
    ) -> None:
        self._paths = paths
        self._in_force = in_force
        self._checkup = checkup
        self._note = note
        self._alarms = Alarms(paths.alarms, changed=changed)
        self._courier = Courier(self._alarms, self._channels, note)
        self._reporter = Reporter(self._alarms, self._channels, note)
        self._checked = 0.0

    def start(self) -> None:
        """Begin to deliver, also what an earlier agent left."""
        self._courier.start()
        self._reporter.start()

    def consider(self) -> None:
        """Now and then, let what stays broken become an alarm. The first start has its own way to tell."""
        now = time.monotonic()
        if now - self._checked < BETWEEN_CHECKS or not self._paths.first_boot.exists():
            return
        self._checked = now
        try:
            settings = self._in_force.settings_with(channels.OWNER)
            after = float(settings.get("alarm_after_minutes", 5)) * 60
            found = self._checkup.make()
            if self._alarms.consider(found, after, list(self._channels())):
                self._courier.nudge()
            self._reporter.see(found)
        except (AgentError, OSError) as error:
            self._note(f"the checks for alarms could not be made: {error}")

    def read(self) -> dict[str, Any]:
        """Alarms that stand (Alarms.read), and the `channels` that are told of them."""
        return {**self._alarms.read(), "channels": list(self._channels())}

    def try_out(self) -> list[str]:
        """Send by every channel a message that shows that it arrives; returns their names. AgentError: none."""
        wanted = list(self._channels())
        if not wanted:
            raise AgentError(
                "nobody is to be told of alarms",
                hint="name somebody first: asrctl config base alarm_mail noc@example.net",
            )
        self._alarms.try_out(wanted)
        self._courier.nudge()
        return wanted

    def _channels(self) -> dict[str, Channel]:
        settings = self._in_force.settings_with(channels.OWNER)
        return channels.wanted(settings, socket.gethostname()) if settings else {}
