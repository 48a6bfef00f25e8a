"""At shutdown consumers end before those that they consume, and one that will not stop does not keep the others up."""

from __future__ import annotations

from typing import Any

from appliances.base.agent.errors import AgentError
from appliances.base.agent.shutdown import stop_all
from tests.unit.agent.examples import distribution


class Stopping:
    """An Incus that remembers what was stopped."""

    def __init__(self, running: set[str], stubborn: str = "") -> None:
        self.running = running
        self.stubborn = stubborn
        self.stopped: list[str] = []

    def instances(self) -> dict[str, Any]:
        known = ("auth", "asr-billing")
        return {name: {"status": "Running" if name in self.running else "Stopped"} for name in known}

    def stop(self, name: str, *, appliance: str) -> None:
        if name == self.stubborn:
            raise AgentError("did not end within 30 s", appliance=appliance, step="stop")
        self.stopped.append(name)


def stop(incus: Stopping) -> tuple[bool, list[str]]:
    said: list[str] = []
    return stop_all(distribution().stop_levels(), lambda: incus, said.append), said  # type: ignore[arg-type, return-value]


def test_who_consumes_stops_first() -> None:
    assert [[one.name for one in level] for level in distribution().stop_levels()] == [["asr_billing"], ["auth"]]
    incus = Stopping({"auth", "asr-billing"})

    assert stop(incus) == (True, ["stopped asr_billing", "stopped auth"])
    assert incus.stopped == ["asr-billing", "auth"]


def test_what_does_not_run_is_left_alone() -> None:
    incus = Stopping({"auth"})
    assert stop(incus) == (True, ["stopped auth"])


def test_one_that_will_not_stop_is_told_and_the_others_stop() -> None:
    incus = Stopping({"auth", "asr-billing"}, stubborn="asr-billing")
    done, said = stop(incus)

    assert not done
    assert "asr_billing: stop: did not end within 30 s" in said[0]
    assert incus.stopped == ["auth"]
