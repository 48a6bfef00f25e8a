"""The page of the benchmarks: figures are written anew, what people wrote around them stays."""

from __future__ import annotations

import pytest

from tests.bench.measure import BEGIN, END, measured, page
from tests.conftest import ROOT

FOUND = [measured("a ratio", 1.204, "×", 1.3), measured("a time", 12.5, "s"), measured("another", 9, "s", 2)]


def test_only_the_table_between_its_marks_is_written() -> None:
    before = f"# Benchmarks\n\nWhat they mean.\n\n{BEGIN}\n\nold\n\n{END}\n\nMissed, and known: all.\n"

    after = page(before, FOUND, "a machine")

    assert after == (
        f"# Benchmarks\n\nWhat they mean.\n\n{BEGIN}\n\n"
        "Measured on a machine.\n\n| what | value | unit | goal | |\n|---|---|---|---|---|\n"
        "| a ratio | 1.2 | × | ≤ 1.3 | ok |\n| a time | 12.5 | s | – | ok |\n| another | 9 | s | ≤ 2 | missed |\n"
        f"\n{END}\n\nMissed, and known: all.\n"
    )
    assert page(after, FOUND, "a machine") == after


def test_the_page_of_this_project_has_the_marks_and_text_behind_them() -> None:
    text = (ROOT / "docs/benchmarks.md").read_text()
    written = page(text, FOUND, "a machine")
    assert written.split(BEGIN)[0] == text.split(BEGIN)[0]
    assert written.split(END)[1] == text.split(END)[1] != "\n"


@pytest.mark.parametrize("text", ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n"])
def test_a_page_without_its_marks_is_not_overwritten(text: str) -> None:
    with pytest.raises(ValueError, match="needs one line"):
        page(text, FOUND, "a machine")
