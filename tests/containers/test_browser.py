"""Every page of a running host in a real browser: nothing sticks out, nothing is unreadable, nothing is nameless.

The pictures stay in build/test-logs/pages for people to look at.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.containers.gallery import LANGUAGES, PAGES, SIZES
from tests.containers.incus_host import IncusHost

PICTURES = ROOT / "build" / "test-logs" / "pages"


@pytest.fixture(scope="module")
def gallery(host: IncusHost, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What was seen of each page, in each language, at each width."""
    shutil.rmtree(PICTURES, ignore_errors=True)
    password = host.run(["cat", "/var/lib/asrbox/secrets/auth/administrator-password"]).stdout
    program = [sys.executable, "-m", "tests.containers.gallery", str(PICTURES), str(tmp_path_factory.mktemp("profile"))]
    done = subprocess.run(
        host.in_its_network(program), cwd=ROOT, input=password, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-5000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def noted(gallery: list[dict[str, Any]], what: str) -> list[Any]:
    """What was noted under this name, in the order in which it was seen."""
    return [one[what] for one in gallery if what in one]


def test_every_page_was_seen_in_both_languages_at_both_widths(gallery: list[dict[str, Any]]) -> None:
    pages = sum(len(paths) for _, paths in PAGES.values())
    seen = {Path(one["picture"]).stem for one in gallery}
    assert len(seen) >= (pages + 1) * len(LANGUAGES) * len(SIZES)
    for language in LANGUAGES:
        for width in SIZES:
            assert f"base-login-{language}-{width}" in seen


def test_the_languages_differ_on_every_page(gallery: list[dict[str, Any]]) -> None:
    titles = {Path(one["picture"]).stem: one["title"] for one in gallery if one["picture"]}
    same = [name for name, title in titles.items() if "-ru-" in name and title == titles[name.replace("-ru-", "-en-")]]
    # a subscriber's own page is titled with the name, which nobody translates
    assert [name for name in same if "card" not in name] == []


def test_nothing_sticks_out_of_the_screen(gallery: list[dict[str, Any]]) -> None:
    assert {one["picture"]: one["too_wide"] for one in gallery if one.get("too_wide")} == {}


def test_axe_finds_nothing_serious(gallery: list[dict[str, Any]]) -> None:
    assert {one["picture"]: one["violations"] for one in gallery if one.get("violations")} == {}


def test_a_terminal_in_the_page_is_root_in_the_container(gallery: list[dict[str, Any]]) -> None:
    screens = noted(gallery, "text")

    assert len(screens) == len(LANGUAGES) * len(SIZES)
    assert all("uid=0(root)" in screen for screen in screens)
    assert noted(gallery, "refused") == [[]] * len(LANGUAGES), "the policy of the page fits xterm.js"


def test_the_keyboard_gets_out_of_a_terminal_though_tab_belongs_to_the_shell(gallery: list[dict[str, Any]]) -> None:
    assert noted(gallery, "still_inside") == [True] * len(LANGUAGES)
    assert noted(gallery, "left") == [""] * len(LANGUAGES), "on the button that ends it"


def test_a_log_follows_what_is_written_until_it_is_told_to_pause(gallery: list[dict[str, Any]]) -> None:
    assert noted(gallery, "followed")[0] >= 1
    assert noted(gallery, "paused") == [True]


def test_an_operation_shows_up_at_once(gallery: list[dict[str, Any]]) -> None:
    assert noted(gallery, "seconds")[0] < 15, "while it has a stream, a page asks by itself only every 30 seconds"
