"""A change of the network on trial: confirmed, or back by itself, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from appliances.base.agent import hosttrial
from appliances.base.agent.errors import AgentError
from appliances.base.agent.hosttrial import Change, Trial

NETWORK = "etc/systemd/network/10-asrbox.network"
NEW = "etc/systemd/timesyncd.conf.d/asrbox.conf"


class World:
    """A machine: its clock, which boot it is, what was activated, and what is heard of trials."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 1000.0
        self.boot = "first"
        self.refuses: set[str] = set()
        self.activated: list[str] = []
        self.told: list[tuple[str, str]] = []
        (root / NETWORK).parent.mkdir(parents=True)
        (root / NETWORK).write_text("old")

    def activate(self, changed: Sequence[str], hostname: str | None, time_service: str | None) -> None:
        text = (self.root / NETWORK).read_text()
        self.activated.append(text)
        if text in self.refuses:
            raise AgentError("networkctl reload: no")

    def agent(self) -> Trial:
        """The trial as an agent finds it that has just started."""

        def told(author: str, what: str, details: dict[str, Any]) -> None:
            self.told.append((author, what))

        trial = Trial(self.root / "state/trial.json", self.root, self, told, lambda: self.now, lambda: self.boot)
        trial.resume()
        return trial

    @property
    def text(self) -> str:
        return (self.root / NETWORK).read_text()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


CHANGE = Change({NETWORK: "new", NEW: "time"}, None, None, {"method": "static"}, "anna")


def tried(world: World) -> Trial:
    trial = world.agent()
    trial.begin(CHANGE)
    assert world.text == "old"  # the answer is still on its way
    assert trial.work() == pytest.approx(hosttrial.GRACE)
    world.now += hosttrial.GRACE
    assert trial.work() == pytest.approx(hosttrial.TRIAL)
    assert world.text == "new"
    return trial


def test_what_is_confirmed_stays(world: World) -> None:
    trial = tried(world)
    world.now += 89
    assert trial.read() == {"wanted": {"method": "static"}, "author": "anna", "applied": True, "seconds": 1}
    assert trial.confirm("boris") == {"method": "static"}
    world.now += 500
    assert trial.work() is None
    assert (world.text, trial.read(), world.activated) == ("new", None, ["new"])
    assert world.told == [("boris", "network confirmed")]


def test_what_is_not_confirmed_goes_with_the_files_it_brought(world: World) -> None:
    trial = tried(world)
    assert (world.root / NEW).exists()
    world.now += 90
    assert trial.work() is None
    assert (world.text, trial.read(), world.activated) == ("old", None, ["new", "old"])
    assert not (world.root / NEW).exists()
    assert world.told == [("asrbox", "network not confirmed")]
    with pytest.raises(AgentError, match="no change of the network waits to be confirmed"):
        trial.confirm("anna")


def test_too_late_is_too_late_also_before_it_was_brought_back(world: World) -> None:
    trial = tried(world)
    world.now += 91
    with pytest.raises(AgentError, match="no change of the network waits to be confirmed"):
        trial.confirm("anna")


def test_it_can_be_taken_back_at_once(world: World) -> None:
    trial = tried(world)
    trial.revert("anna")
    assert (world.text, trial.read(), world.told) == ("old", None, [("anna", "network taken back")])
    with pytest.raises(AgentError, match="no change of the network is on trial"):
        trial.revert("anna")


def test_only_one_at_a_time(world: World) -> None:
    trial = tried(world)
    with pytest.raises(AgentError, match=r"on trial already \(first: asrctl host network confirm"):
        trial.begin(CHANGE)


def test_an_agent_that_was_killed_goes_on_with_it(world: World) -> None:
    tried(world)
    world.now += 60
    again = world.agent()
    assert again.work() == pytest.approx(30)
    world.now += 30
    again.work()
    assert world.text == "old"


def test_an_agent_that_was_away_for_long_brings_back_what_was(world: World) -> None:
    tried(world)
    world.now += 1000
    world.agent().work()
    assert world.text == "old"


def test_after_a_reboot_nobody_can_have_confirmed_it(world: World) -> None:
    tried(world)
    world.boot, world.now = "second", 5.0
    trial = world.agent()
    assert trial.read() == {"wanted": {"method": "static"}, "author": "anna", "applied": True, "seconds": 0}
    trial.work()
    assert (world.text, world.activated[-1]) == ("old", "old")


def test_killed_between_two_files_it_is_applied_whole(world: World) -> None:
    tried(world)
    (world.root / NEW).unlink()
    (world.root / NETWORK).write_text("old")  # as if the agent had been killed before it wrote them
    world.agent()
    assert (world.text, (world.root / NEW).read_text(), world.activated[-1]) == ("new", "time", "new")


def test_killed_before_it_began_it_is_tried_then(world: World) -> None:
    trial = world.agent()
    trial.begin(CHANGE)
    world.now += 30
    assert world.agent().work() == pytest.approx(hosttrial.TRIAL + hosttrial.GRACE - 30)
    assert world.text == "new"


def test_what_the_system_refuses_is_taken_back_at_once_and_said(world: World) -> None:
    world.refuses.add("new")
    trial = world.agent()
    trial.begin(CHANGE)
    world.now += hosttrial.GRACE
    assert trial.work() is None
    assert (world.text, trial.read(), trial.trouble) == ("old", None, "networkctl reload: no")
    assert world.told == [("asrbox", "network failed")]


def test_what_cannot_be_brought_back_is_tried_again(world: World) -> None:
    trial = tried(world)
    world.refuses.add("old")
    world.now += 90
    with pytest.raises(AgentError):
        trial.work()
    world.refuses.clear()
    trial.work()
    assert (world.text, trial.read()) == ("old", None)


def test_the_real_clock_and_boot_are_those_of_the_kernel(tmp_path: Path) -> None:
    world = World(tmp_path)
    trial = Trial(tmp_path / "trial.json", tmp_path, world, lambda *_: None)
    trial.begin(CHANGE)
    found = trial.read()
    assert found is not None and 85 < found["seconds"] <= 92
