"""Whether the journal of what was done is as it was written: each line hashed, and tied to the one before it."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from appliances.base.agent import audit
from appliances.base.agent.audit import Entry

FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = ("number", "at", "who", "kind", "part", "what", "result", "details")


@dataclass(frozen=True)
class Problem:
    """`file` and `line` (from 1; 0: the file as a whole) say where, `text` what is wrong."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


@dataclass(frozen=True)
class Verdict:
    """How many lines there are, number and hash of the newest, and what is wrong."""

    lines: int
    number: int
    hash: str
    problems: tuple[Problem, ...]


def verify(folder: Path) -> Verdict:
    """Read all of it. What another machine noted of an earlier verdict (number, hash) can be looked for by hand."""
    problems: list[Problem] = []
    before, number, lines = audit.FIRST, 0, 0
    last = ""
    for path in audit.months(folder):
        last = path.name
        for at, line, whole in _lines(path):
            if not whole:
                problems.append(Problem(path.name, at, "the line is not whole: it is being written, or was cut"))
                continue
            lines += 1
            parts, entry = audit.split(line), audit.read(line)
            if parts is None or entry is None:
                problems.append(Problem(path.name, at, "this is no entry of the journal: the line was changed"))
                number, before = number + 1, ""
                continue
            body, own = parts
            if hashlib.sha256(body).hexdigest() != own:
                problems.append(Problem(path.name, at, f"entry {entry.number} was changed after it was written"))
            if entry.number != number + 1:
                problems.append(Problem(path.name, at, _gap(number + 1, entry.number)))
                if entry.number <= number:
                    continue  # put in: what follows belongs to what stood before
            elif before and json.loads(body)["before"] != before:
                problems.append(Problem(path.name, at, f"entry {entry.number} does not follow the one before it"))
            number, before = entry.number, own
    head = audit.read_head(folder)
    if head is None:
        if lines:
            problems.append(Problem("head.json", 0, "it is missing or damaged: lines may be missing at the end"))
    elif head[0] > number:
        problems.append(Problem(last or "head.json", 0, f"entries {number + 1} to {head[0]} are missing at the end"))
    elif head[0] == number and head[1] != before:
        problems.append(Problem(last, 0, f"the newest entry is not the one that was written as number {number}"))
    return Verdict(lines, number, before, tuple(problems))


def as_csv(entries: Iterator[Entry], out: IO[str]) -> None:
    """A table for a spreadsheet; a text that one would take for a formula gets an apostrophe in front."""
    table = csv.writer(out)
    table.writerow(COLUMNS)
    for one in entries:
        details = json.dumps(one.details, ensure_ascii=False) if one.details else ""
        row = (one.at, one.who, one.kind, one.part, one.what, one.result, details)
        table.writerow([one.number, *(f"'{cell}" if cell.startswith(FORMULA) else cell for cell in row)])


def _gap(expected: int, found: int) -> str:
    if found < expected:
        return f"entry {found} stands here a second time or out of order (expected was {expected})"
    if found == expected + 1:
        return f"entry {expected} before this line was removed"
    return f"entries {expected} to {found - 1} before this line were removed"


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Number, content without newline, and whether there was one."""
    with path.open("rb") as file:
        for at, line in enumerate(file, start=1):
            yield at, line.rstrip(b"\n"), line.endswith(b"\n")
