"""The host's own conditions, as `asrctl check` tells them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from appliances.base.agent import checks, firewall
from appliances.base.agent.errors import AgentError
from appliances.base.agent.incus import Incus
from appliances.base.agent.paths import Paths
from tests.unit.agent.fake_incus import FakeIncus


@pytest.mark.parametrize(("available", "ok"), [(6, True), (4, False)])
def test_memory_is_reported_when_hardly_any_is_left(tmp_path: Path, available: int, ok: bool) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal: {100 << 20} kB\nMemFree: 1 kB\nMemAvailable: {available << 20} kB\n")

    told = checks._memory(meminfo)

    assert (told["ok"], told["detail"]) == (ok, f"{100 - available}% of 100.0 GiB used")


@pytest.mark.parametrize(("left", "ok"), [(20, True), (5, False)])
def test_a_disk_runs_out_of_files_as_well_as_of_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int, ok: bool
) -> None:
    paths = Paths(tmp_path)
    paths.var.mkdir(parents=True)
    usage, numbers = SimpleNamespace(used=1 << 30, total=10 << 30), SimpleNamespace(f_files=100, f_favail=left)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(checks.os, "statvfs", lambda path: numbers)

    disk, files = checks._disk(paths)

    assert (disk["ok"], disk["detail"]) == (True, "10% of 10.0 GiB used")
    assert (files["ok"], files["detail"]) == (ok, f"{100 - left}% of 100 possible files exist")


def test_missing_rules_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall, "dropped", lambda: None)
    assert checks._firewall()["ok"] is False

    monkeypatch.setattr(firewall, "dropped", lambda: {"between": 2, "host": 1, "routed": 0})
    assert checks._firewall()["detail"] == "3 packets dropped that no appliance declares"


def test_a_pool_is_reported_in_good_time_with_the_command_that_enlarges_it() -> None:
    incus = FakeIncus()
    incus.room = (1 << 40) // 5
    assert checks._storage(cast(Incus, incus)) == [
        {"name": "storage pool", "ok": True, "detail": "80% of 1024.0 GiB used"}
    ]

    incus.room = (1 << 40) // 10
    [told] = checks._storage(cast(Incus, incus))

    assert not told["ok"]
    assert told["detail"].startswith("90% of 1024.0 GiB used: enlarge it (incus storage set asrbox size=")


def test_a_volume_runs_full_by_itself() -> None:
    incus = FakeIncus()
    incus.stored_volumes = {
        "auth-data": {"size": str(1 << 30), "used": 95 << 20},
        "billing-database": {"size": str(4 << 30), "used": 3800 << 20},
        "unlimited": {},
    }

    _, data, database = checks._storage(cast(Incus, incus))

    assert data == {"name": "volume auth-data", "ok": True, "detail": "9% of 1.0 GiB used"}
    assert not database["ok"]
    assert "incus storage volume set asrbox billing-database size=6GiB" in database["detail"]


def test_a_daemon_that_is_away_is_told_as_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(pool: str) -> None:
        raise AgentError("Incus does not answer")

    incus = FakeIncus()
    monkeypatch.setattr(incus, "pool_space", away)

    assert checks._storage(cast(Incus, incus)) == [
        {"name": "storage pool", "ok": False, "detail": "Incus does not answer"}
    ]
