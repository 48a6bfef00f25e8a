"""Entries of the journal as journalctl writes them in JSON, and as people read them."""

from __future__ import annotations

import json

import pytest

from appliances.base.agent import journal
from appliances.base.agent.errors import AgentError
from tests.unit.agent.local_shell import Journalctl

ENTRY = {
    "__CURSOR": "s=1;i=7",
    "__REALTIME_TIMESTAMP": "1795341600123456",
    "MESSAGE": "Started.",
    "PRIORITY": "6",
    "SYSLOG_IDENTIFIER": "systemd",
    "_PID": "1",
    "_HOSTNAME": "auth",
}


def line(**changes: object) -> str:
    return json.dumps({key: value for key, value in {**ENTRY, **changes}.items() if value is not None})


def test_an_entry_reads_like_a_line_of_short_iso() -> None:
    found = journal.read(line())

    assert found == journal.Entry("2026-11-22T10:00:00+00:00 auth systemd[1]: Started.", "info", "s=1;i=7")


@pytest.mark.parametrize(("priority", "severity"), [("0", "error"), ("3", "error"), ("4", "warning"), ("5", "info")])
def test_severities(priority: str, severity: str) -> None:
    found = journal.read(line(PRIORITY=priority))

    assert found is not None
    assert found.severity == severity


@pytest.mark.parametrize(
    ("message", "text"),
    [(list("Тест".encode()), "Тест"), ([255, 65], "�A"), (["a", "b"], "a b"), (None, ""), ("two\nlines", "two\nlines")],
)
def test_messages_that_are_no_plain_text(message: object, text: str) -> None:
    found = journal.read(line(MESSAGE=message, _PID=None))

    assert found is not None
    assert found.line.endswith(f" auth systemd: {text}")


def test_what_is_no_entry_is_left_out_and_the_last_cursor_counts() -> None:
    output = f"{line()}\nnot JSON\n[]\n{line(__CURSOR='s=1;i=8', PRIORITY='4')}\n"

    answer = journal.answer(output, "s=0")

    assert (len(answer["lines"]), answer["severities"], answer["cursor"]) == (2, ["info", "warning"], "s=1;i=8")
    assert journal.answer("", "s=0") == {"lines": [], "severities": [], "cursor": "s=0"}


def test_a_cursor_is_no_way_to_give_journalctl_other_arguments() -> None:
    assert journal.command("a.service", lines=5, cursor="s=1;i=7")[-2:] == [
        "--unit=a.service",
        "--after-cursor=s=1;i=7",
    ]
    with pytest.raises(AgentError, match="is no cursor of a journal"):
        journal.command(None, lines=5, cursor="x\n--file=/etc/shadow")


def test_a_followed_journal_puts_lines_together_and_drops_what_has_no_end() -> None:
    session = Journalctl()
    followed = journal.Follow(session)  # type: ignore[arg-type]
    text = (line() + "\n").encode()
    for piece in (text[:10], text[10:] + text[:5], text[5:], b"x" * (journal.LONGEST + 1), text, None):
        session.output.put(piece)

    assert [len(followed.read(0.1) or ()) for _ in range(5)] == [0, 1, 1, 0, 1]
    assert followed.read(0.1) is None
