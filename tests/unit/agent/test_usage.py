"""What a control group says, over time."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliances.base.agent.usage import KEPT, Usage

INSTANCES = {"asr_billing": "asr-billing"}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def group(
    cgroups: Path, name: str, *, cpu: int, memory: int = 300 << 20, cached: int = 100 << 20, pids: int = 9
) -> Path:
    """A control group as the kernel shows it; `cpu` in microseconds."""
    folder = cgroups / name
    folder.mkdir(exist_ok=True)
    (folder / "memory.current").write_text(f"{memory}\n")
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\nactive_file 2\n")
    (folder / "cpu.stat").write_text(f"usage_usec {cpu}\nuser_usec 1\n")
    (folder / "pids.current").write_text(f"{pids}\n")
    return folder


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def usage(tmp_path: Path, clock: Clock) -> Usage:
    return Usage(tmp_path, clock)


def test_processors_are_an_average_since_the_sample_before(usage: Usage, clock: Clock, tmp_path: Path) -> None:
    group(tmp_path, "lxc.payload.asr-billing", cpu=5_000_000)
    usage.sample(INSTANCES)
    assert usage.read("asr_billing") == []

    clock.now = 60.0
    group(tmp_path, "lxc.payload.asr-billing", cpu=95_000_000)
    usage.sample(INSTANCES)
    (sample,) = usage.read("asr_billing")
    assert (sample["memory"], sample["cpu"], sample["processes"]) == (200 << 20, 1.5, 9)


def test_a_container_that_was_started_anew_begins_anew(usage: Usage, clock: Clock, tmp_path: Path) -> None:
    old = group(tmp_path, "lxc.payload.asr-billing", cpu=90_000_000)
    usage.sample(INSTANCES)
    clock.now = 60.0
    (old / "pids.current").write_text("0\n")  # what is left of its last run
    group(tmp_path, "lxc.payload.asr-billing-1", cpu=91_000_000)
    usage.sample(INSTANCES)
    assert usage.read("asr_billing") == []

    clock.now = 120.0
    group(tmp_path, "lxc.payload.asr-billing-1", cpu=97_000_000)
    usage.sample(INSTANCES)
    assert [one["cpu"] for one in usage.read("asr_billing")] == [0.1]


def test_another_containers_group_is_not_taken(usage: Usage, clock: Clock, tmp_path: Path) -> None:
    for cpu in (1, 2):
        group(tmp_path, "lxc.payload.asr-billing-old", cpu=cpu)
        group(tmp_path, "lxc.payload.asr-billing2", cpu=cpu)
        usage.sample(INSTANCES)
        clock.now += 60.0
    assert usage.read("asr_billing") == []


def test_what_does_not_run_or_cannot_be_read_has_no_samples(usage: Usage, tmp_path: Path) -> None:
    folder = group(tmp_path, "lxc.payload.asr-billing", cpu=1)
    (folder / "memory.stat").unlink()
    for _ in range(2):
        usage.sample(INSTANCES)
    assert usage.read("asr_billing") == []
    assert usage.read("mail") == []


def test_two_hours_are_kept(usage: Usage, clock: Clock, tmp_path: Path) -> None:
    for minute in range(KEPT + 5):
        group(tmp_path, "lxc.payload.asr-billing", cpu=minute)
        clock.now = minute * 60.0
        usage.sample(INSTANCES)
    assert len(usage.read("asr_billing")) == KEPT
