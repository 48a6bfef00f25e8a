"""The journal of what was done: nothing gets lost, nothing can be changed unnoticed."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from appliances.base.agent import audit, auditcheck
from appliances.base.agent.audit import Journal, Wanted, page


class Clock:
    """Says the moment that it is given."""

    def __init__(self, text: str = "2026-11-23T10:00:00+00:00") -> None:
        self.text = text

    def __call__(self) -> datetime.datetime:
        return datetime.datetime.fromisoformat(self.text)


def filled(folder: Path, count: int = 5) -> Journal:
    journal = Journal(folder, Clock())
    for number in range(1, count + 1):
        journal.add("anna", "power", "auth", "restart", details={"operation": str(number)})
    return journal


def numbers(folder: Path, before: int | None = None, size: int = 50, **wanted: str) -> list[int]:
    return [one.number for one in page(folder, Wanted(**wanted), before, size)[0]]


def problems(folder: Path) -> list[str]:
    return [str(one) for one in auditcheck.verify(folder).problems]


def test_entries_are_numbered_and_survive_a_restart(tmp_path: Path) -> None:
    filled(tmp_path, 2)
    Journal(tmp_path, Clock()).add("root", "plan", "", "in force", details={"number": 3})
    entries, following = page(tmp_path, Wanted(), None, 50)
    assert [(one.number, one.who, one.what) for one in entries] == [
        (3, "root", "in force"), (2, "anna", "restart"), (1, "anna", "restart"),
    ]  # fmt: skip
    assert following is None
    found = auditcheck.verify(tmp_path)
    assert (found.lines, found.number, found.problems) == (3, 3, ())
    assert (tmp_path / "2026-11.jsonl").stat().st_mode & 0o777 == 0o600


def test_pages_go_on_where_the_last_one_ended(tmp_path: Path) -> None:
    filled(tmp_path)
    entries, following = page(tmp_path, Wanted(), None, 2)
    assert [one.number for one in entries] == [5, 4]
    assert following == 4
    assert numbers(tmp_path, before=following, size=2) == [3, 2]
    assert page(tmp_path, Wanted(), 2, 1) == (page(tmp_path, Wanted(), None, 5)[0][-1:], None)


def test_a_new_month_is_a_new_file_and_a_clock_that_is_set_back_is_none(tmp_path: Path) -> None:
    clock = Clock("2026-11-30T23:59:59+00:00")
    journal = Journal(tmp_path, clock)
    journal.add("anna", "power", "auth", "stop")
    clock.text = "2026-12-01T00:00:01+00:00"
    journal.add("anna", "power", "auth", "start")
    clock.text = "2026-10-01T00:00:00+00:00"
    journal.add("boris", "power", "auth", "start")
    assert [path.name for path in audit.months(tmp_path)] == ["2026-11.jsonl", "2026-12.jsonl"]
    assert numbers(tmp_path) == [3, 2, 1]
    assert problems(tmp_path) == []
    assert numbers(tmp_path, since="2026-12-01") == [2]
    assert numbers(tmp_path, until="2026-11-30") == [3, 1]


def test_filters(tmp_path: Path) -> None:
    journal = Journal(tmp_path, Clock())
    journal.add("anna", "power", "auth", "stop")
    journal.add("boris", "power", "auth.web", "start")
    journal.add("anna", "settings", "authority", "configure")
    assert numbers(tmp_path, who="anna") == [3, 1]
    assert numbers(tmp_path, part="auth") == [2, 1]
    assert numbers(tmp_path, kind="settings") == [3]
    assert numbers(tmp_path, who="anna", kind="power") == [1]
    assert numbers(tmp_path, who="nobody") == []


def test_a_long_search_stops_and_says_where_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path)
    monkeypatch.setattr(audit, "MOST_LINES", 2)
    assert page(tmp_path, Wanted(who="nobody"), None, 50) == ([], 4)


def test_secrets_are_masked(tmp_path: Path) -> None:
    reference = "secret:0123456789abcdef"
    details = {"settings": {"pw": {"before": "", "after": reference}}}
    entry = Journal(tmp_path, Clock()).add("anna", "settings", "base", "configure", details=details)
    assert entry.details == {"settings": {"pw": {"before": "", "after": "•••"}}}
    assert "0123456789abcdef" not in (tmp_path / "2026-11.jsonl").read_text()


def test_long_files_are_read_from_their_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path, 40)
    whole = (tmp_path / "2026-11.jsonl").read_bytes()
    for block in (1, 7, 100, 4096):
        monkeypatch.setattr(audit, "BLOCK", block)
        assert list(audit.reversed_lines(tmp_path / "2026-11.jsonl")) == whole.splitlines()[::-1]
        with (tmp_path / "half").open("wb") as file:
            file.write(whole + b"half a line")
        assert list(audit.reversed_lines(tmp_path / "half")) == whole.splitlines()[::-1]


@pytest.mark.parametrize("half", [b"{", b'{"number":6,"at":"2026', b"x" * 200_000])
def test_a_half_written_line_is_cut_off_and_that_is_an_entry(tmp_path: Path, half: bytes) -> None:
    filled(tmp_path)
    with (tmp_path / "2026-11.jsonl").open("ab") as file:
        file.write(half)
    assert numbers(tmp_path) == [5, 4, 3, 2, 1]
    assert problems(tmp_path) == ["2026-11.jsonl:6: the line is not whole: it is being written, or was cut"]

    Journal(tmp_path, Clock())
    newest = page(tmp_path, Wanted(), None, 1)[0][0]
    assert (newest.number, newest.kind, newest.what, newest.details) == (6, "journal", "cut", {"bytes": len(half)})
    assert problems(tmp_path) == []


def test_a_head_that_a_power_cut_left_behind_is_no_problem(tmp_path: Path) -> None:
    filled(tmp_path, 4)
    head = (tmp_path / "head.json").read_bytes()
    Journal(tmp_path, Clock()).add("anna", "power", "auth", "stop")
    (tmp_path / "head.json").write_bytes(head)
    assert problems(tmp_path) == []
    assert Journal(tmp_path, Clock()).add("anna", "power", "auth", "stop").number == 6
    assert problems(tmp_path) == []


def lines_changed(folder: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path = folder / "2026-11.jsonl"
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda lines: [*lines[:2], lines[2].replace(b"anna", b"boris"), *lines[3:]],
            ["2026-11.jsonl:3: entry 3 was changed after it was written"],
        ),
        (
            lambda lines: [*lines[:1], *lines[2:]],
            ["2026-11.jsonl:2: entry 2 before this line was removed"],
        ),
        (
            lambda lines: lines[3:],
            ["2026-11.jsonl:1: entries 1 to 3 before this line were removed"],
        ),
        (
            lambda lines: lines[:3],
            ["2026-11.jsonl: entries 4 to 5 are missing at the end"],
        ),
        (
            lambda lines: [*lines[:3], b"something\n", *lines[4:]],
            ["2026-11.jsonl:4: this is no entry of the journal: the line was changed"],
        ),
        (
            lambda lines: [*lines[:3], lines[1], *lines[3:]],
            ["2026-11.jsonl:4: entry 2 stands here a second time or out of order (expected was 4)"],
        ),
    ],
)
def test_what_was_tampered_with_is_named(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], expected: list[str]
) -> None:
    filled(tmp_path)
    lines_changed(tmp_path, change)
    found = problems(tmp_path)
    assert found == expected

    # the journal goes on, and what was done to it stays to be seen
    Journal(tmp_path, Clock()).add("anna", "power", "auth", "stop")
    assert expected[0].partition(": ")[2].split(" are missing")[0].split(" before")[0] in " ".join(problems(tmp_path))


def test_a_line_that_was_hashed_anew_does_not_fit_its_neighbours(tmp_path: Path) -> None:
    filled(tmp_path)

    def forge(lines: list[bytes]) -> list[bytes]:
        body, _ = audit.split(lines[2].rstrip(b"\n")) or (b"", "")
        forged = body.replace(b"anna", b"boris")
        own = hashlib.sha256(forged).hexdigest()
        return [*lines[:2], forged[:-1] + f',"hash":"{own}"}}\n'.encode(), *lines[3:]]

    lines_changed(tmp_path, forge)
    assert problems(tmp_path) == ["2026-11.jsonl:4: entry 4 does not follow the one before it"]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = filled(tmp_path, 2)
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:10]))
    with pytest.raises(OSError, match="only 10 of"):
        journal.add("anna", "power", "auth", "stop")
    monkeypatch.undo()
    assert problems(tmp_path) == []
    assert journal.add("anna", "power", "auth", "stop").number == 3
    assert problems(tmp_path) == []


def test_kill_9_at_any_moment_loses_no_entry_that_was_promised(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from appliances.base.agent.audit import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "details = {'x': 'y' * 5000}\n"
        "while True: print(journal.add('anna', 'power', 'auth', 'stop', details=details).number, flush=True)\n"
    )
    promised = 0
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        for _ in range(15):
            promised = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        promised = max([promised, *(int(line) for line in process.stdout)])
        process.wait()
        assert auditcheck.verify(tmp_path).number >= promised
    Journal(tmp_path)
    assert problems(tmp_path) == []


def test_the_table_for_a_spreadsheet_has_no_formulas(tmp_path: Path) -> None:
    Journal(tmp_path, Clock()).add("=cmd()", "power", "", "stop", details={"a": "ü"})
    with (tmp_path / "out.csv").open("w+", newline="") as out:
        auditcheck.as_csv(iter(page(tmp_path, Wanted(), None, 5)[0]), out)
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "number,at,who,kind,part,what,result,details"
    assert lines[1].startswith("1,2026-11-23T10:00:00.000Z,'=cmd(),power,,stop,done,")
    assert json.dumps({"a": "ü"}, ensure_ascii=False).replace('"', '""') in lines[1]
