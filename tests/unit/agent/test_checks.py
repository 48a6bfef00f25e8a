"""The host's own conditions, as `asrctl check` tells them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from appliances.base.agent import checks, firewall
from appliances.base.agent.paths import Paths


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
