"""A build, and the agent, on a disk that is really full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliances.base.agent.alarms import Alarms
from appliances.base.agent.errors import AgentError
from appliances.base.agent.operations import Operations, Order
from builder import engine
from builder.errors import AsrboxError
from builder.step import Step, Work
from builder.store import Store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_no_space_left_is_one_sentence_and_leaves_nothing_half_made(small_disk: Path, tmp_path: Path) -> None:
    def write_much(work: Work, _: object) -> None:
        (work.out / "much").write_bytes(bytes(8 << 20))

    store = Store(small_disk / "store")
    told = "much: there is no space left on the disk of .*\n  hint: free some space"
    with store.writing(), pytest.raises(AsrboxError, match=told):
        engine.build([Step("much", write_much, 1, tmp_path)], store, tmp_path / "logs")
    assert list(store.tmp.iterdir()) == []
    assert list(store.objects.iterdir()) == []


def test_the_agent_goes_on_with_a_full_disk_says_so_and_takes_orders_again_when_there_is_space(
    small_disk: Path,
) -> None:
    operations, alarms = Operations(small_disk / "operations"), Alarms(small_disk / "alarms.json")
    one = operations.begin(Order("restart", "auth", "anna"))
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))

    operations.say(one, "stopping auth")
    operations.finish(one)
    assert one.status == "done"
    with pytest.raises(AgentError, match="No space left on device.*asrctl check"):
        operations.begin(Order("start", "auth", "anna"))
    assert operations.newest_first() == [one]
    red = [{"name": "disk", "ok": False, "detail": "100% used"}]
    assert [message.kind for message in alarms.consider(red, 0, ["mail"])] == ["raised"]

    filler.unlink()
    two = operations.begin(Order("start", "auth", "anna"))
    operations.finish(two)
    assert alarms.consider([{**red[0], "ok": True}], 0, ["mail"])[0].kind == "cleared"
    assert [found.target for found in Operations(small_disk / "operations").newest_first()] == ["auth", "auth"]
    assert Alarms(small_disk / "alarms.json").read()["waiting"] == 2
