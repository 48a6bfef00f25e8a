"""The host's own conditions, as `asrctl check` tells them."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliances.base.agent import checks, firewall
from appliances.base.agent.paths import Paths


@pytest.mark.parametrize(("available", "ok"), [(6, True), (4, False)])
def test_memory_is_reported_when_hardly_any_is_left(tmp_path: Path, available: int, ok: bool) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal: {100 << 20} kB\nMemFree: 1 kB\nMemAvailable: {available << 20} kB\n")

    told = checks._memory(meminfo)

    assert (told["ok"], told["detail"]) == (ok, f"{100 - available}% of 100.0 GiB used")


def test_a_disk_has_space_and_files(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.var.mkdir(parents=True)

    assert [one["name"] for one in checks._disk(paths)][0] == "disk"


def test_missing_rules_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall, "dropped", lambda: None)
    assert checks._firewall()["ok"] is False

    monkeypatch.setattr(firewall, "dropped", lambda: {"between": 2, "host": 1, "routed": 0})
    assert checks._firewall()["detail"] == "3 packets dropped that no appliance declares"
