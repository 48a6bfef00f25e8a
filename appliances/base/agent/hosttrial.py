"""A change of the host's network on trial, as `netplan try` does it: confirmed in time, or what was before comes back.

What was before is on the disk before anything changes. So it comes back also when the agent is killed (its next start
sees to it) and after a reboot in between (nobody can have seen to it then that the new state works).
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from appliances.base.agent import files
from appliances.base.agent.errors import AgentError

TRIAL = 90.0  # seconds
GRACE = 1.5  # seconds between the answer to who asked for it and the change: it may cut that connection
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STEP = "host network"


class System(Protocol):
    """What brings files into force. Raises AgentError."""

    def activate(self, changed: Sequence[str], hostname: str | None, time_service: str | None) -> None: ...


class Networkd:
    """systemd-networkd, the host's name, and the unit that sets the clock."""

    def activate(self, changed: Sequence[str], hostname: str | None, time_service: str | None) -> None:
        """`changed` are the paths below the root that are other than before."""
        if hostname is not None:
            socket.sethostname(hostname)
        if any(path.endswith(".network") for path in changed):
            _run(["networkctl", "reload"])
        if time_service is not None:
            _run(["systemctl", "try-restart", time_service])


@dataclass(frozen=True)
class Change:
    """Files by their path below the root with their new text (None: gone), the new host name, the unit to restart."""

    files: dict[str, str | None]
    hostname: str | None
    time_service: str | None
    wanted: dict[str, Any]
    author: str


class Trial:
    """At most one change on trial. `clock` counts seconds since the machine was switched on, also while it sleeps."""

    def __init__(
        self,
        path: Path,
        root: Path,
        system: System,
        told: Callable[[str, str, dict[str, Any]], None],
        clock: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        boot: Callable[[], str] = lambda: BOOT_ID.read_text().strip(),
    ) -> None:
        """`told(author, what, details)` hears how a trial ended."""
        self._path = path
        self._root = root
        self._system = system
        self._told = told
        self._clock = clock
        self._boot = boot
        self._lock = threading.RLock()
        self._news = threading.Event()
        self.trouble: str | None = None  # why the last one was not even tried

    def read(self) -> dict[str, Any] | None:
        """What is on trial: `wanted`, `author`, whether it is `applied`, `seconds` left; None when nothing is."""
        with self._lock:
            state = self._state()
            if state is None:
                return None
            left = max(0.0, state["until"] - self._clock()) if state["boot"] == self._boot() else 0.0
            known = {key: state[key] for key in ("wanted", "author", "applied")}
            return {**known, "seconds": round(left)}

    def begin(self, change: Change) -> None:
        """Take a change; `work()` tries it after a moment. Raises AgentError when one is on trial already."""
        with self._lock:
            if self._state() is not None:
                raise AgentError(
                    "a change of the network is on trial already",
                    step=STEP,
                    hint="first: asrctl host network confirm, or asrctl host network revert",
                )
            self.trouble = None
            before = {path: _read(self._root / path) for path in change.files}
            state = {
                "boot": self._boot(),
                "begins": self._clock() + GRACE,
                "until": self._clock() + GRACE + TRIAL,
                "applied": False,
                "before": before,
                "after": change.files,
                "hostname_before": socket.gethostname() if change.hostname is not None else None,
                "hostname": change.hostname,
                "time_service": change.time_service,
                "wanted": change.wanted,
                "author": change.author,
            }
            self._save(state)
            self._news.set()

    def confirm(self, author: str) -> dict[str, Any]:
        """Keep what is on trial. Raises AgentError when nothing is, or no longer."""
        with self._lock:
            state = self._state()
            if state is None or not state["applied"] or self._is_over(state):
                raise AgentError(
                    "no change of the network waits to be confirmed",
                    step=STEP,
                    hint="after 90 seconds the one before comes back; see: asrctl host network",
                )
            self._forget()
            self._told(author, "network confirmed", {"network": state["wanted"]})
            return dict(state["wanted"])

    def revert(self, author: str) -> None:
        """Bring back at once what was before. Raises AgentError when nothing is on trial."""
        with self._lock:
            state = self._state()
            if state is None:
                raise AgentError("no change of the network is on trial", step=STEP)
            self._back(state, author, "network taken back")

    def work(self) -> float | None:
        """Do what is due; returns after how many seconds something will be again, None: not before `begin()`."""
        with self._lock:
            state = self._state()
            if state is None:
                return None
            if self._is_over(state):
                self._back(state, "asrbox", "network not confirmed")
                return None
            if not state["applied"]:
                if self._clock() < state["begins"]:
                    return float(state["begins"] - self._clock())
                self._try(state)
                return self.work()
            return max(0.1, float(state["until"] - self._clock()))

    def resume(self) -> None:
        """At the start of the agent: what was cut off while it was applied is applied whole."""
        with self._lock:
            state = self._state()
            if state is not None and state["applied"] and not self._is_over(state):
                self._try(state)

    def run(self) -> None:
        """`work()` for ever."""
        with contextlib.suppress(AgentError, OSError):
            self.resume()
        while True:
            self._news.clear()
            pause: float | None = 5.0
            with contextlib.suppress(AgentError, OSError):  # bringing back failed: again in a moment
                pause = self.work()
            self._news.wait(pause)

    def _try(self, state: dict[str, Any]) -> None:
        self._save({**state, "applied": True})
        try:
            self._write(state["after"])
            self._system.activate(list(state["after"]), state["hostname"], state["time_service"])
        except (AgentError, OSError) as error:
            self.trouble = str(error)
            self._back(state, "asrbox", "network failed", str(error))

    def _back(self, state: dict[str, Any], author: str, what: str, error: str | None = None) -> None:
        self._write(state["before"])
        self._system.activate(list(state["before"]), state["hostname_before"], state["time_service"])
        self._forget()
        details = {"network": state["wanted"], **({"error": error} if error else {})}
        self._told(author, what, details)

    def _write(self, texts: dict[str, str | None]) -> None:
        for name, text in texts.items():
            path = self._root / name
            if text is None:
                path.unlink(missing_ok=True)
            else:
                files.folder(path.parent)
                files.write(path, text)

    def _is_over(self, state: dict[str, Any]) -> bool:
        return bool(state["boot"] != self._boot() or self._clock() >= state["until"])

    def _state(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._path.read_text())
        except FileNotFoundError:
            return None
        return found

    def _save(self, state: dict[str, Any]) -> None:
        files.folder(self._path.parent)
        files.write_json(self._path, state, mode=0o600)

    def _forget(self) -> None:
        self._path.unlink(missing_ok=True)
        files.sync_folder(self._path.parent)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _run(argv: list[str]) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise AgentError(f"{' '.join(argv)}: {error}", step=STEP) from error
    if done.returncode != 0:
        raise AgentError(f"{' '.join(argv)}: {done.stderr.strip() or f'exit {done.returncode}'}", step=STEP)
