"""The journal of an appliance: what to ask journalctl for, and its entries as lines for people."""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from appliances.base.agent.errors import AgentError
from appliances.base.agent.session import Session

Severity = Literal["error", "warning", "info"]
FIELDS = "MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_COMM,_PID,_HOSTNAME"
LONGEST = 1 << 20  # bytes of an entry that is followed; a longer one is dropped
_CURSOR = re.compile(r"[0-9A-Za-z=;_-]{1,512}")


@dataclass(frozen=True)
class Entry:
    """An entry as `journalctl --output=short-iso` would write it, in UTC; reading goes on behind `cursor`."""

    line: str
    severity: Severity
    cursor: str


def command(unit: str | None, *, lines: int | None, cursor: str | None, follow: bool = False) -> list[str]:
    """journalctl's arguments: the newest `lines` (None: all that there are), from `cursor` on if that is given.

    Raises AgentError for what cannot be a cursor.
    """
    found = ["journalctl", "--no-pager", "--quiet", "--all", "--output=json", f"--output-fields={FIELDS}"]
    found.append(f"--lines={'all' if lines is None else lines}")
    if unit:
        found.append(f"--unit={unit}")
    if cursor:
        if not _CURSOR.fullmatch(cursor):
            raise AgentError(f"{cursor[:80]!r} is no cursor of a journal", hint="take the one that came with the lines")
        found.append(f"--after-cursor={cursor}")
    if follow:
        found.append("--follow")
    return found


def read(line: str | bytes) -> Entry | None:
    """One entry as journalctl writes it in JSON; None for what is none."""
    try:
        found: dict[str, Any] = json.loads(line)
        moment = datetime.datetime.fromtimestamp(int(found["__REALTIME_TIMESTAMP"]) / 1e6, datetime.UTC)
        cursor = str(found["__CURSOR"])
    except (ValueError, KeyError, TypeError):
        return None
    source = _text(found.get("SYSLOG_IDENTIFIER")) or _text(found.get("_COMM")) or "unknown"
    pid = f"[{_text(found['_PID'])}]" if "_PID" in found else ""
    host, message = _text(found.get("_HOSTNAME")) or "-", _text(found.get("MESSAGE"))
    text = f"{moment.isoformat(timespec='seconds')} {host} {source}{pid}: {message}"
    return Entry(text, _severity(_text(found.get("PRIORITY"))), cursor)


def answer(output: str, before: str | None) -> dict[str, Any]:
    """What GET …/logs answers; without a new entry the cursor stays."""
    entries = [entry for line in output.split("\n") if line and (entry := read(line))]
    return {
        "lines": [entry.line for entry in entries],
        "severities": [entry.severity for entry in entries],
        "cursor": entries[-1].cursor if entries else before,
    }


class Follow:
    """A journal that is followed, until it is closed or its container stops."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rest = b""

    def read(self, timeout: float) -> list[Entry] | None:
        """New entries, none after `timeout` seconds without; None when nothing will come any more."""
        got = self._session.read(timeout)
        if got is None:
            return None
        *whole, self._rest = (self._rest + got).split(b"\n")
        if len(self._rest) > LONGEST:
            self._rest = b""
        return [entry for line in whole if (entry := read(line))]

    def complaint(self) -> str:
        """Why it ended, in journalctl's words; empty when it said nothing."""
        return self._session.complaint.strip()

    def close(self) -> None:
        """End the program in the container."""
        self._session.close()


def _severity(priority: str) -> Severity:
    """Of the priorities of syslog (RFC 5424, 6.2.1)."""
    if priority in ("0", "1", "2", "3"):
        return "error"
    return "warning" if priority == "4" else "info"


def _text(value: Any) -> str:
    """A field: text, bytes as a list of numbers when it is not UTF-8, or a list of several values."""
    if isinstance(value, list) and value and all(isinstance(one, int) for one in value):
        return bytes(one & 0xFF for one in value).decode(errors="replace")
    if isinstance(value, list):
        return " ".join(_text(one) for one in value)
    return "" if value is None else str(value)
