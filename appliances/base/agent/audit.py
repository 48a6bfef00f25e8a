"""The journal of what was done on this host: one line of JSON for each entry, one file for each month, only added to.

Each line has the hash of the line before it and one of its own, so that a line that was changed, removed or put in
shows (`auditcheck.py`). `head.json` beside them names the newest line, so that lines missing at the end show too. Who
is root can write all of it anew: what must hold against root is exported to another machine (`asrctl audit export`).
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from appliances.base.agent import files
from appliances.base.agent.settings import REFERENCE

Result = Literal["asked", "done", "failed"]
Record = Callable[[str, str, str, str, dict[str, Any]], None]  # who, kind, part, what, details
KINDS = ("power", "settings", "plan", "certificate", "host", "terminal", "alarms", "repair", "journal", "other")
OF_ACTIONS = {
    **dict.fromkeys(("start", "stop", "restart", "enable", "disable"), "power"),
    "configure": "settings",
    "apply": "plan",
    "converge": "repair",
    "terminal": "terminal",
    "renew": "certificate",
}
FIRST = "0" * 64  # what the first line of all has for the hash of the one before
MASK = "•••"
BLOCK = 1 << 16  # bytes that are read at once
MOST_LINES = 200_000  # lines that one call looks at; the next call goes on from there
LOG_LINES = 50
_TAIL = re.compile(rb',"hash":"([0-9a-f]{64})"\}')
_TAIL_LENGTH = len(',"hash":""}') + 64


@dataclass(frozen=True)
class Entry:
    """One thing that was done. `number` counts from 1; `at` is UTC in ISO 8601; `part` is `<appliance>[.<daemon>]`, or
    "" for the host.

    `details` never hold a secret.
    """

    number: int
    at: str
    who: str
    kind: str
    part: str
    what: str
    result: Result
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """Which entries: days are `2026-11-23` in UTC, both included; a part stands for its daemons too."""

    who: str | None = None
    kind: str | None = None
    part: str | None = None
    since: str | None = None
    until: str | None = None

    def takes(self, entry: Entry) -> bool:
        day = entry.at[:10]
        return (
            (self.who is None or entry.who == self.who)
            and (self.kind is None or entry.kind == self.kind)
            and (self.part is None or entry.part == self.part or entry.part.startswith(f"{self.part}."))
            and (self.since is None or day >= self.since)
            and (self.until is None or day <= self.until)
        )


class Journal:
    """Writes the journal; one in the whole system. Safe to use from several threads."""

    def __init__(self, folder: Path, now: Callable[[], datetime.datetime] | None = None) -> None:
        """Goes on after what is there. A line that a power cut left half written is cut off, and that is an entry."""
        self._folder = files.folder(folder, mode=0o700)
        self._now = now or (lambda: datetime.datetime.now(datetime.UTC))
        self._lock = threading.Lock()
        cut = _cut_half_line(months(folder)[-1]) if months(folder) else 0
        self._number, self._hash = _newest(folder)
        if cut:
            self.add("asrbox", "journal", "", "cut", details={"bytes": cut})

    def add(
        self,
        who: str,
        kind: str,
        part: str,
        what: str,
        result: Result = "done",
        details: dict[str, Any] | None = None,
    ) -> Entry:
        """Write an entry down, on the disk when this returns. Raises OSError, and then nothing was written."""
        with self._lock:
            now = self._now()
            at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            entry = Entry(self._number + 1, at, who, kind, part, what, result, masked(details or {}))
            body = json.dumps({**asdict(entry), "before": self._hash}, ensure_ascii=False, separators=(",", ":"))
            own = hashlib.sha256(body.encode()).hexdigest()
            # A clock that was set back must not bring entries into a file before the newest.
            newest = max([path.stem for path in months(self._folder)], default="")
            path = self._folder / f"{max(newest, f'{now:%Y-%m}')}.jsonl"
            _append(path, f'{body[:-1]},"hash":"{own}"}}\n'.encode())
            self._number, self._hash = entry.number, own
            with contextlib.suppress(OSError):  # the entry is written; a head that is behind is no harm
                files.write_json(self._folder / "head.json", {"number": entry.number, "hash": own}, mode=0o600)
            return entry


def page(folder: Path, wanted: Wanted, before: int | None, size: int) -> tuple[list[Entry], int | None]:
    """At most `size` entries, the newest first, from before entry number `before` on; and where the next page begins.

    After a long search that number may come with fewer entries, or with none.
    """
    found: list[Entry] = []
    looked = 0
    for path in reversed(months(folder)):
        if wanted.since is not None and path.stem < wanted.since[:7]:
            return found, None
        if before is not None and (_first_number(path) or 0) >= before:
            continue
        for line in reversed_lines(path):
            entry = read(line)
            looked += 1
            if entry is None or (before is not None and entry.number >= before):
                continue
            if wanted.takes(entry):
                if len(found) == size:
                    return found, found[-1].number
                found.append(entry)
            if looked >= MOST_LINES:
                return found, entry.number
    return found, None


def months(folder: Path) -> list[Path]:
    """The files of the journal, the oldest first."""
    return sorted(path for path in folder.glob("*.jsonl") if re.fullmatch(r"\d{4}-\d{2}", path.stem))


def read(line: bytes) -> Entry | None:
    """The entry of a line; None for a line that is none."""
    try:
        known = json.loads(line)
        del known["before"], known["hash"]
        return Entry(**known)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def split(line: bytes) -> tuple[bytes, str] | None:
    """What a line hashes, and the hash that it says; None when it has none."""
    found = _TAIL.fullmatch(line[-_TAIL_LENGTH:])
    return (line[:-_TAIL_LENGTH] + b"}", found[1].decode()) if found else None


def masked(value: Any) -> Any:
    """The same without references of secrets (settings.py): these name files, and are of no use to a reader."""
    if isinstance(value, dict):
        return {name: masked(one) for name, one in value.items()}
    if isinstance(value, list):
        return [masked(one) for one in value]
    return MASK if isinstance(value, str) and REFERENCE.fullmatch(value) else value


def reversed_lines(path: Path) -> Iterator[bytes]:
    """The whole lines of a file, the last one first, without reading all of it into memory."""
    with path.open("rb") as file:
        at = file.seek(0, os.SEEK_END)
        rest = b""
        ended = False
        while at > 0:
            step = min(BLOCK, at)
            at -= step
            file.seek(at)
            lines = (file.read(step) + rest).split(b"\n")
            if not ended:
                lines.pop()  # behind the last newline: nothing, or half a line that is being written
                ended = bool(lines)
            rest = lines.pop(0) if lines else b""
            yield from reversed(lines)
        if rest:
            yield rest


def _append(path: Path, data: bytes) -> None:
    new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        before = os.fstat(descriptor).st_size
        try:
            written = os.write(descriptor, data)
            if written != len(data):
                raise OSError(f"{path}: only {written} of {len(data)} bytes fit on the disk")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)
    if new:
        files.sync_folder(path.parent)


def _cut_half_line(path: Path) -> int:
    """Remove what stands behind the last newline of a file; returns how many bytes that were."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end > 0:
            start = max(0, end - BLOCK)
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                end = start + at + 1
                break
            end = start
        if end != size:
            file.truncate(end)
            os.fsync(file.fileno())
        return size - end


def _newest(folder: Path) -> tuple[int, str]:
    """Number and hash of the newest line: of the last one, or of the head when the last one is damaged or missing."""
    number, own = 0, FIRST
    for path in reversed(months(folder)):
        line = next(reversed_lines(path), None)
        if line is not None:
            entry, parts = read(line), split(line)
            if entry is not None and parts is not None:
                number, own = entry.number, parts[1]
            break
    head = read_head(folder)
    return head if head is not None and head[0] > number else (number, own)


def read_head(folder: Path) -> tuple[int, str] | None:
    """Number and hash of the newest line, as head.json has them; None when it cannot be read."""
    try:
        head = json.loads((folder / "head.json").read_text())
        return int(head["number"]), str(head["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _first_number(path: Path) -> int | None:
    with path.open("rb") as file:
        entry = read(file.readline().rstrip(b"\n"))
    return entry.number if entry else None
