"""Looks after running appliances: asks how their daemons are, says so on the board, and repairs what stays broken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from appliances.base.agent import health
from appliances.base.agent.board import WELL_ENOUGH, ApplianceStatus, Board, DaemonStatus, State, Well, daemon_status
from appliances.base.agent.distribution import AGENT_ENDPOINT, Appliance, Daemon
from appliances.base.agent.errors import AgentError
from appliances.base.agent.held import Held
from appliances.base.agent.incus import Incus
from appliances.base.agent.plan import Plan
from appliances.base.agent.safemode import SafeMode

FIRST_REPAIR = 30.0  # seconds that something must stay broken before it is repaired for the first time
IDLE_REPAIR = 60.0  # the same for a unit that is not running: its container may be busy booting
SILENT_REPAIR = 180.0  # the same for a running unit that does not answer: it may be busy starting
LONGEST = 600.0  # seconds between repairs that do not help


@dataclass
class Backoff:
    """When to try again what did not help: after e.g. 30 s, 60 s, 120 s … 600 s. `clock` is in seconds."""

    clock: Callable[[], float] = time.monotonic
    _due: dict[str, tuple[float, float]] = field(default_factory=dict)

    def due(self, target: str, first: float = FIRST_REPAIR) -> bool:
        """Whether to act now on `target`, which is broken; each time it says yes, the pause doubles."""
        now = self.clock()
        moment, pause = self._due.setdefault(target, (now + first, first))
        if now < moment:
            return False
        pause = min(pause * 2, LONGEST)
        self._due[target] = (now + pause, pause)
        return True

    def spent(self, target: str) -> bool:
        """Whether the pause can get no longer: nothing that was tried has helped."""
        return self._due.get(target, (0.0, 0.0))[1] >= LONGEST

    def well(self, target: str) -> None:
        """`target` works, or is to be looked at with new eyes: forget its past."""
        self._due.pop(target, None)


class Watch:
    """One look at a running appliance at a time; keeps nothing but the back-off between looks."""

    def __init__(
        self,
        incus: Incus,
        board: Board,
        held: Held,
        safe: SafeMode,
        ca: Path,
        say: Callable[[str], None],
        backoff: Backoff | None = None,
    ) -> None:
        self._incus = incus
        self._board = board
        self._held = held
        self._safe = safe
        self._ca = ca
        self._say = say
        self._backoff = backoff or Backoff()

    def look(self, appliance: Appliance, plan: Plan) -> bool:
        """Look at an appliance, put the result on the board, repair what is due; returns whether all is well."""
        status = self._status(appliance, plan)
        self._board.show(status)
        return status.health in WELL_ENOUGH or not status.enabled or status.state == "stopped"

    def _status(self, appliance: Appliance, plan: Plan) -> ApplianceStatus:
        found = self._incus.instance(appliance.instance)
        enabled = plan.enabled(appliance.name)
        if found is None:
            return _all_down(appliance, plan, "absent" if enabled else "disabled")
        if found["status"] != "Running":
            stopped: State = "stopped" if enabled else "disabled"
            return _all_down(appliance, plan, stopped if found["status"] == "Stopped" else "error")
        if reason := self._safe.reason(appliance.name):
            return self._kept_off(appliance, plan, reason)
        daemons = self._answering(appliance, plan)
        if daemons is None:
            try:
                units = health.units(self._incus, appliance)
            except AgentError as error:
                return _all_down(appliance, plan, "starting", error.message)
            daemons = tuple(self._daemon(appliance, one, plan, units[one.name]) for one in appliance.daemons)
        state, well, detail = summary(daemons)
        return ApplianceStatus(
            appliance.name, appliance.instance, appliance.title, state, enabled, well, detail, daemons
        )

    def _answering(self, appliance: Appliance, plan: Plan) -> tuple[DaemonStatus, ...] | None:
        """All daemons, when each is to run and says that it is well: nobody has to go in and ask systemd."""
        found = []
        for daemon in appliance.daemons:
            target = f"{appliance.name}.{daemon.name}"
            if not plan.daemon_enabled(appliance.name, daemon.name) or target in self._held:
                return None
            answer = health.ask(daemon, self._ca)
            if not answer.ok:
                return None
            self._backoff.well(target)
            found.append(daemon_status(daemon, "running", True, "ok", answer.detail))
        return tuple(found)

    def _daemon(self, appliance: Appliance, daemon: Daemon, plan: Plan, unit: health.Unit) -> DaemonStatus:
        target = f"{appliance.name}.{daemon.name}"
        enabled = plan.daemon_enabled(appliance.name, daemon.name)
        if not enabled or target in self._held:
            self._switch_off(appliance, daemon, unit, for_good=not enabled)
            return daemon_status(daemon, "stopped" if enabled else "disabled", enabled, "unknown", "")
        if unit.file == "disabled":
            self.systemctl(appliance, "enable", "--now", daemon.unit)
        if unit.active != "active":
            return self._not_active(appliance, daemon, unit)
        answer = health.ask(daemon, self._ca)
        if answer.reached:
            self._backoff.well(target)
        else:
            self._mend(appliance, daemon, SILENT_REPAIR, answer.detail)
        well, detail = judge(answer, self._switched_off(appliance, plan))
        return daemon_status(daemon, "running" if answer.reached else "starting", enabled, well, detail)

    def _switched_off(self, appliance: Appliance, plan: Plan) -> set[str]:
        """Endpoints that the appliance consumes and that somebody stopped or disabled."""
        others = [endpoint for endpoint in appliance.consumes if endpoint != AGENT_ENDPOINT]
        return {endpoint for endpoint in others if self._is_off(endpoint, plan)}

    def _is_off(self, endpoint: str, plan: Plan) -> bool:
        daemon, _, owner = endpoint.partition(".")
        held = owner in self._held or f"{owner}.{daemon}" in self._held
        return held or not plan.enabled(owner) or not plan.daemon_enabled(owner, daemon)

    def _not_active(self, appliance: Appliance, daemon: Daemon, unit: health.Unit) -> DaemonStatus:
        failed = unit.active == "failed"
        detail = f"{daemon.unit} is {unit.active}" + (f" ({unit.result})" if failed else "")
        if unit.active in ("failed", "inactive"):
            self._mend(appliance, daemon, FIRST_REPAIR if failed else IDLE_REPAIR, detail)
        return daemon_status(daemon, "error" if failed else "starting", True, "failing", detail)

    def _mend(self, appliance: Appliance, daemon: Daemon, first: float, why: str) -> None:
        """Repair when it is time. One that holds data and that no repair helps is given up: safe mode."""
        target = f"{appliance.name}.{daemon.name}"
        spent = self._backoff.spent(target)
        if not self._backoff.due(target, first):
            return
        if daemon.critical and spent:
            self._say(f"{appliance.name} goes into safe mode: {daemon.name} stays broken: {why}")
            self._safe.enter(appliance.name, f"{daemon.name}: {why}")
        else:
            self._repair(appliance, daemon, why)

    def _kept_off(self, appliance: Appliance, plan: Plan, reason: str) -> ApplianceStatus:
        """In safe mode no daemon runs; the container does, and nobody touches the data."""
        for daemon in appliance.daemons:
            self._backoff.well(f"{appliance.name}.{daemon.name}")
        try:
            if any(unit.active not in ("inactive", "failed") for unit in health.units(self._incus, appliance).values()):
                self.systemctl(appliance, "stop", *(daemon.unit for daemon in appliance.daemons))
        except AgentError as error:
            self._say(error.sentence())
        detail = f"safe mode: {reason}. When it is mended: asrctl start {appliance.name}"
        return _all_down(appliance, plan, "error", detail)

    def begin_anew(self, appliance: Appliance, daemon: Daemon, plan: Plan) -> None:
        """Restart a daemon for its new settings, also one that failed with the old ones; not one that is off."""
        target = f"{appliance.name}.{daemon.name}"
        if plan.daemon_enabled(appliance.name, daemon.name) and target not in self._held:
            self._backoff.well(target)
            self.systemctl(appliance, "reset-failed", daemon.unit)
            self.systemctl(appliance, "restart", daemon.unit)

    def _repair(self, appliance: Appliance, daemon: Daemon, why: str) -> None:
        self._say(f"restarting {daemon.name} of {appliance.name}: {why}")
        self.systemctl(appliance, "reset-failed", daemon.unit)
        self.systemctl(appliance, "restart", "--no-block", daemon.unit)

    def _switch_off(self, appliance: Appliance, daemon: Daemon, unit: health.Unit, *, for_good: bool) -> None:
        if for_good and unit.file == "enabled":
            self.systemctl(appliance, "disable", "--now", daemon.unit)
        elif unit.active in ("active", "activating", "reloading"):
            self.systemctl(appliance, "stop", daemon.unit)

    def systemctl(self, appliance: Appliance, *arguments: str) -> None:
        """Run systemctl in the container; a failure is said, not raised: the next look sees the state anyway."""
        try:
            ran = self._incus.run(
                appliance.instance,
                ["systemctl", *arguments],
                appliance=appliance.name,
                step=f"systemctl {arguments[0]}",
                timeout=120,
            )
        except AgentError as error:
            self._say(error.sentence())
            return
        if ran.code != 0 and arguments[0] != "reset-failed":
            self._say(f"{appliance.name}: systemctl {' '.join(arguments)}: {ran.stderr.strip()}")


def judge(answer: health.Answer, switched_off: set[str]) -> tuple[Well, str]:
    """Health and detail of a daemon that answered so, while these endpoints that it consumes are off on purpose."""
    if answer.ok:
        return "ok", answer.detail
    if answer.failing and answer.failing <= switched_off:
        return "degraded", f"without {', '.join(sorted(answer.failing))}, switched off on purpose"
    return "failing", answer.detail


def summary(daemons: tuple[DaemonStatus, ...]) -> tuple[State, Well, str]:
    """State, health and detail of an appliance out of those of its daemons: the worst that is switched on counts."""
    counted = [one for one in daemons if one.state not in ("stopped", "disabled")]
    detail = "; ".join(f"{one.name}: {one.detail}" for one in counted if one.health != "ok")
    state: State = "running"
    for worst in ("starting", "error"):
        if any(one.state == worst for one in counted):
            state = worst
    well: Well = "ok"
    if detail:
        well = "degraded" if all(one.health in WELL_ENOUGH for one in counted) else "failing"
    return state, well, detail


def _all_down(appliance: Appliance, plan: Plan, state: State, detail: str = "") -> ApplianceStatus:
    enabled = plan.enabled(appliance.name)
    daemons = tuple(
        daemon_status(one, state, plan.daemon_enabled(appliance.name, one.name), "unknown", "")
        for one in appliance.daemons
    )
    well: Well = "failing" if state in ("error", "starting") else "unknown"
    return ApplianceStatus(appliance.name, appliance.instance, appliance.title, state, enabled, well, detail, daemons)
