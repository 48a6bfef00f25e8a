"""What can be wrong: a mistake in a file that a person wrote, or an installation that cannot go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake in a text: what, where (line counted from 1, dotted key) and what to do about it.

    `file` names an included file; None means the text that was checked.
    """

    message: str
    hint: str
    line: int | None = None
    key: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        place = ", ".join(part for part in (self.file, f"line {self.line}" if self.line else None, self.key) if part)
        return f"{place}: {self.message} — {self.hint}" if place else f"{self.message} — {self.hint}"


class InstallError(Exception):
    """The installation stops: one sentence that says what failed, what to do, and lines worth reading before it."""

    def __init__(self, what: str, remedy: str, details: Sequence[str] = ()) -> None:
        super().__init__(f"{what} — {remedy}")
        self.what = what
        self.remedy = remedy
        self.details = tuple(details)
