"""The agent's notice board: what it knows right now, for the API, the console and itself. Safe to use from threads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from appliances.base.agent.distribution import Appliance, Daemon, Distribution

Phase = Literal["starting", "first-boot", "converging", "running", "failed"]
State = Literal["running", "stopped", "starting", "error", "disabled", "absent"]
# degraded: does what it can without something that it consumes and that was switched off on purpose
Well = Literal["ok", "degraded", "failing", "unknown"]
WELL_ENOUGH: tuple[Well, ...] = ("ok", "degraded")


@dataclass(frozen=True)
class DaemonStatus:
    name: str
    title: dict[str, str]
    address: str
    address6: str | None
    port: int
    protocol: str
    hostname: str
    state: State
    enabled: bool
    health: Well
    detail: str


@dataclass(frozen=True)
class ApplianceStatus:
    name: str
    instance: str
    title: dict[str, str]
    state: State
    enabled: bool
    health: Well
    detail: str
    daemons: tuple[DaemonStatus, ...] = ()


@dataclass
class Status:
    """The body of GET /api/v1/status (docs/architecture.md)."""

    distribution: dict[str, str]
    phase: Phase
    progress: dict[str, Any]
    appliances: list[ApplianceStatus]
    error: str | None = None


@dataclass
class Board:
    """Holds the current Status; readers get a copy as plain data. `changed` is called when it has become another."""

    changed: Callable[[], None] = lambda: None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _status: Status = field(
        default_factory=lambda: Status({"name": "", "version": ""}, "starting", {"done": 0, "total": 0, "text": ""}, [])
    )

    def introduce(self, distribution: Distribution) -> None:
        """Show the appliances of this distribution and no others; what is known of one stays."""
        with self._changing():
            self._status.distribution = {"name": distribution.name, "version": distribution.version}
            known = {one.name: one for one in self._status.appliances}
            self._status.appliances = [known.get(one.name) or absent(one) for one in distribution.appliances]

    def progress(self, phase: Phase, done: int, total: int, text: str) -> None:
        with self._changing():
            self._status.phase = phase
            self._status.progress = {"done": done, "total": total, "text": text}
            self._status.error = None

    def fail(self, sentence: str) -> None:
        with self._changing():
            self._status.phase = "failed"
            self._status.error = sentence

    def show(self, status: ApplianceStatus) -> None:
        with self._changing():
            listed = self._status.appliances
            self._status.appliances = [status if one.name == status.name else one for one in listed]

    def busy(self, name: str, text: str) -> None:
        """An appliance is being worked at: what was known of its health no longer holds."""
        known = self.appliance(name)
        if known is not None:
            daemons = tuple(replace(one, health="unknown", detail="") for one in known.daemons)
            self.show(replace(known, state="starting", health="unknown", detail=text, daemons=daemons))

    def appliance(self, name: str) -> ApplianceStatus | None:
        with self._lock:
            return next((one for one in self._status.appliances if one.name == name), None)

    def appliances(self) -> list[ApplianceStatus]:
        with self._lock:
            return list(self._status.appliances)

    def read(self) -> dict[str, Any]:
        with self._lock:
            return asdict(self._status)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            before = replace(self._status)
            yield
            new = before != self._status
        if new:
            self.changed()


def absent(appliance: Appliance) -> ApplianceStatus:
    """An appliance of which there is no container (yet)."""
    daemons = tuple(daemon_status(daemon, "absent", True, "unknown", "") for daemon in appliance.daemons)
    return ApplianceStatus(appliance.name, appliance.instance, appliance.title, "absent", True, "unknown", "", daemons)


def daemon_status(daemon: Daemon, state: State, enabled: bool, health: Well, detail: str) -> DaemonStatus:
    return DaemonStatus(
        name=daemon.name,
        title=daemon.title,
        address=str(daemon.address),
        address6=None if daemon.address6 is None else str(daemon.address6),
        port=daemon.port,
        protocol=daemon.protocol,
        hostname=daemon.hostname,
        state=state,
        enabled=enabled,
        health=health,
        detail=detail,
    )
