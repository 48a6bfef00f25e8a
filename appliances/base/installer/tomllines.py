"""Which line of a TOML text a key stands on: tomllib tells values, but not where they were written."""

from __future__ import annotations

import re

Key = tuple[str, ...]

_HEADER = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$")
_ASSIGNMENT = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_STRING = re.compile(r'"(?:\\.|[^"\\])*"|' + r"'[^']*'")


def key_lines(text: str) -> dict[Key, int]:
    """Map every table and key of a valid TOML text to its line, counted from 1: `("network", "dns") → 7`."""
    lines: dict[Key, int] = {}
    table: Key = ()
    depth = 0
    inside: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if inside is not None:
            if inside in line:
                inside = None
            continue
        if depth == 0:
            if header := _HEADER.match(line):
                table = _parts(header.group(1))
                lines[table] = number
                continue
            if assignment := _ASSIGNMENT.match(line):
                lines[table + _parts(assignment.group(1))] = number
        for quotes in ('"""', "'''"):
            if line.count(quotes) % 2 == 1:
                inside = quotes
        bare = _STRING.sub("", line).split("#")[0]
        depth += bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")
    return lines


def line_of(lines: dict[Key, int], key: Key) -> int | None:
    """The line of `key`, or of the nearest table or value that holds it; None when not even that is written."""
    while key:
        if key in lines:
            return lines[key]
        key = key[:-1]
    return None


def _parts(dotted: str) -> Key:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
