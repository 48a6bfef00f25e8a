"""Lines of the journal as the log page shows them."""

from __future__ import annotations

import json

import pytest

from appliances.base.web.journal import Line, read_line

AT = "2026-11-22T10:00:00+0000"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"{AT} auth systemd[1]: Started the app: now.", Line(AT, "systemd", "Started the app: now.")),
        (f"{AT} auth kernel: [1, 2]", Line(AT, "kernel", "[1, 2]")),
        ("-- Boot 1234 --", Line("", "", "-- Boot 1234 --")),
    ],
)
def test_text_stays_text(line: str, expected: Line) -> None:
    assert read_line(line) == expected


def test_a_request_of_our_apps_becomes_one_short_line() -> None:
    entry = {"message": "GET /", "level": "info", "status": 200, "ms": 3.5, "login": "anna", "request_id": "ab12"}
    assert read_line(f"{AT} auth gunicorn[7]: {json.dumps(entry)}") == Line(
        AT, "gunicorn", "GET / → 200, 3.5 ms · anna · ab12"
    )


def test_a_failure_is_marked_and_unfolds_its_traceback() -> None:
    entry = {"message": "GET / failed", "level": "error", "traceback": "Traceback …\nKeyError"}
    found = read_line(f"{AT} auth gunicorn[7]: {json.dumps(entry)}")
    assert found.tone == "bad"
    assert found.text == "GET / failed\nTraceback …\nKeyError"
    assert found.clock == "10:00:00"
