"""SQL from files: statements with a name and :parameters, turned into what the driver takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "sql"
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
# Strings, quoted names and comments are passed over; a colon before a letter is a parameter.
_TOKEN = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|:([a-z_]\w*)")


@dataclass(frozen=True)
class Statement:
    """SQL with a ? for each parameter, and the names of the parameters in that order."""

    sql: str
    names: tuple[str, ...]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of the statement. Raises KeyError when one is missing."""
        return [values[name] for name in self.names]


@cache
def compiled(text: str) -> Statement:
    """Replace every :name in `text`."""
    names: list[str] = []

    def question_mark(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        names.append(found[1])
        return "?"

    return Statement(_TOKEN.sub(question_mark, text), tuple(names))


@cache
def texts(file: str) -> Mapping[str, str]:
    """The statements of sql/<file>.sql, each below its line `-- name: <name>`."""
    parts = _NAME.split((FOLDER / f"{file}.sql").read_text(encoding="utf-8"))
    bare = (re.sub(r"^--.*\n?", "", text, flags=re.MULTILINE).strip().removesuffix(";") for text in parts[2::2])
    return dict(zip(parts[1::2], bare, strict=True))


def statement(name: str) -> Statement:
    """The statement `<file>.<name>`."""
    file, _, one = name.partition(".")
    return compiled(texts(file)[one])
