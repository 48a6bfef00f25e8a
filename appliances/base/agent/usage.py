"""What the appliances use of the machine: read from their control groups (cgroup v2), without asking the containers."""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliances.base.agent.distribution import Distribution
from appliances.base.agent.errors import AgentError
from appliances.base.agent.plan import Plan

EVERY = 60.0  # seconds between samples
KEPT = 120  # samples of an appliance: two hours
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Sample:
    """One moment: ISO 8601 in UTC; bytes that cannot be given back at once; processors used on average since the sample
    before; processes and threads.
    """

    at: str
    memory: int
    cpu: float
    processes: int


@dataclass(frozen=True)
class _Reading:
    group: Path
    moment: float
    cpu_usec: int
    memory: int
    processes: int


class Usage:
    """The last two hours of each appliance. Safe to use from threads. `clock` is in seconds."""

    def __init__(self, cgroups: Path = CGROUPS, clock: Callable[[], float] = time.monotonic) -> None:
        self._cgroups = cgroups
        self._clock = clock
        self._lock = threading.Lock()
        self._before: dict[str, _Reading] = {}
        self._samples: dict[str, deque[Sample]] = {}

    def sample(self, instances: Mapping[str, str]) -> None:
        """Take a sample of each; `instances` is appliance → container. One that does not run has none."""
        for appliance, instance in instances.items():
            now = self._read(instance)
            before = self._before.pop(appliance, None)
            if now is None:
                continue
            self._before[appliance] = now
            if before is None or before.group != now.group or now.cpu_usec < before.cpu_usec:
                continue  # its first, or it was started anew: nothing to compare with
            cpu = (now.cpu_usec - before.cpu_usec) / 1e6 / max(now.moment - before.moment, 0.001)
            at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            with self._lock:
                kept = self._samples.setdefault(appliance, deque(maxlen=KEPT))
                kept.append(Sample(at, now.memory, round(cpu, 3), now.processes))

    def start(self, instances: Callable[[], Mapping[str, str]]) -> None:
        """Sample what `instances` names, for ever, in a thread of its own; nothing while it raises AgentError."""
        threading.Thread(target=self._run, args=[instances], name="usage", daemon=True).start()

    def _run(self, instances: Callable[[], Mapping[str, str]]) -> None:
        while True:
            with contextlib.suppress(AgentError):
                self.sample(instances())
            time.sleep(EVERY)

    def of_all(self, shipped: Distribution, plan: Plan) -> list[dict[str, Any]]:
        """Per appliance its limits under a plan, and its samples."""
        found = []
        for one in shipped.appliances:
            limits = plan.limits(one)
            allowed = {"memory": limits.memory, "cpu": limits.cpu, "processes": limits.processes}
            found.append({"name": one.name, "limits": allowed, "samples": self.read(one.name)})
        return found

    def read(self, appliance: str) -> list[dict[str, Any]]:
        """Samples of an appliance, the oldest first."""
        with self._lock:
            return [asdict(one) for one in self._samples.get(appliance, ())]

    def _read(self, instance: str) -> _Reading | None:
        for group in _groups(self._cgroups, instance):
            try:
                memory = int((group / "memory.current").read_text())
                reclaimable = _value(group / "memory.stat", "inactive_file")
                cpu = _value(group / "cpu.stat", "usage_usec")
                processes = int((group / "pids.current").read_text())
            except (OSError, ValueError):  # gone meanwhile, or a host without cgroup v2
                continue
            if processes:
                return _Reading(group, self._clock(), cpu, max(0, memory - reclaimable), processes)
        return None


def _groups(cgroups: Path, instance: str) -> list[Path]:
    """Control groups of a container: its name with a number behind it when that of its last run was still there."""
    name = f"lxc.payload.{instance}"
    return [one for one in sorted(cgroups.glob(f"{name}*"), reverse=True) if _is_of(one.name.removeprefix(name))]


def _is_of(rest: str) -> bool:
    return rest == "" or (rest.startswith("-") and rest[1:].isdigit())


def _value(file: Path, key: str) -> int:
    for line in file.read_text().splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    raise ValueError(f"{file} has no {key}")
