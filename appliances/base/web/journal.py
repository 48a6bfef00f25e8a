"""Lines of the journal for people: our apps write JSON, everything else writes text; both become one short line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

# journalctl --output=short-iso: moment, host name, program[pid]: message
_LINE = re.compile(r"(?P<at>\S+) \S+ (?P<source>[^\s:\[]+)(?:\[\d+\])?: (?P<text>.*)", re.DOTALL)
_TONES = {"warning": "warn", "error": "bad", "critical": "bad"}


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


def read_line(line: str, severity: str = "info") -> Line:
    """One line of the journal, with the severity that the journal knows. What has another form is shown as it is."""
    tone = _TONES.get(severity, "")
    found = _LINE.fullmatch(line)
    if found is None:
        return Line("", "", line, tone)
    at, source, text = found["at"], found["source"], found["text"]
    try:
        entry = json.loads(text)
    except ValueError:
        return Line(at, source, text, tone)
    if not isinstance(entry, dict) or "message" not in entry:
        return Line(at, source, text, tone)
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
    return Line(at, source, text, _TONES.get(str(entry.get("level")), tone))
