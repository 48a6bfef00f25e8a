"""Lines of the journal for people: our apps write JSON, everything else writes text; both become one short line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

# journalctl --output=short-iso: moment, host name, program[pid]: message
_LINE = re.compile(r"(?P<at>\S+) \S+ (?P<source>[^\s:\[]+)(?:\[\d+\])?: (?P<text>.*)", re.DOTALL)
_WORSE = {"warning": "warn", "error": "bad", "critical": "bad"}


@dataclass(frozen=True)
class Line:
    """`at` is ISO 8601 as the journal wrote it, or empty; tone is bad, warn or empty."""

    at: str
    source: str
    text: str
    tone: str = ""

    @property
    def clock(self) -> str:
        """The time of day, without date and zone."""
        return self.at[11:19]


def read_line(line: str) -> Line:
    """One line of the journal. What has another form is shown as it is."""
    found = _LINE.fullmatch(line)
    if found is None:
        return Line("", "", line)
    at, source, text = found["at"], found["source"], found["text"]
    try:
        entry = json.loads(text)
    except ValueError:
        return Line(at, source, text)
    if not isinstance(entry, dict) or "message" not in entry:
        return Line(at, source, text)
    told = [str(entry["message"])]
    if "status" in entry:
        told.append(f"→ {entry['status']}, {entry.get('ms')} ms")
    if entry.get("login"):
        told.append(f"· {entry['login']}")
    if entry.get("request_id"):
        told.append(f"· {entry['request_id']}")
    text = " ".join(told)
    if entry.get("traceback"):
        text += "\n" + str(entry["traceback"])
    return Line(at, source, text, _WORSE.get(str(entry.get("level")), ""))
