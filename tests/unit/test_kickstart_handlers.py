"""The table of differences between pykickstart's handlers, and that the page shows it as it is today."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import kickstart_handlers
from builder.errors import AsrboxError
from builder.kickstart_handlers import Difference
from builder.resolve import Project, load

ROOT = Path(__file__).resolve().parents[2]


def test_known_differences_are_found() -> None:
    found = {row.command: row for row in kickstart_handlers.differences()}
    assert found["auth"] == Difference("auth", "taken", "refused")
    assert found["rdp"] == Difference("rdp", "unknown", "taken")
    assert found["vnc"] == Difference("vnc", "taken", "ignored")
    assert found["timezone"].removed == ("--isUtc", "--nontp", "--ntpservers")
    assert {"--teamconfig", "--teamslaves"} <= set(found["network"].deprecated)
    assert found["%packages"].removed == ("--excludeWeakdeps", "--instLangs")
    assert "liveimg" not in found


def test_the_page_has_the_table_of_today() -> None:
    distribution = load(Project(ROOT)).as_json()
    page = (ROOT / "docs/centos.md").read_text(encoding="utf-8")
    fresh = kickstart_handlers.written(page, kickstart_handlers.used(distribution))
    assert page == fresh, "run: python -m builder.kickstart_handlers docs/centos.md"


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(AsrboxError, match="the page has no place for the table"):
        kickstart_handlers.written("# A page\n", set())
