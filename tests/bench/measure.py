"""One figure and its goal, and the page that shows them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# What is between these lines of docs/benchmarks.md is written by `make bench`; the rest is people's.
BEGIN = "<!-- make bench: begin -->"
END = "<!-- make bench: end -->"
HEAD = """Measured on {where}.

| what | value | unit | goal | |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Measure:
    """`value` in `unit`; `goal` is the most that it may be (None: only watched)."""

    name: str
    value: float
    unit: str
    goal: float | None
    ok: bool

    def as_row(self) -> dict[str, object]:
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        goal = "" if self.goal is None else f", goal at most {self.goal:g}"
        return f"{self.name}: {self.value:g} {self.unit}{goal}: {'ok' if self.ok else 'MISSED'}"


def measured(name: str, value: float, unit: str, goal: float | None = None) -> Measure:
    """A figure, judged."""
    return Measure(name, round(value, 2), unit, goal, goal is None or value <= goal)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call, in seconds."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def table(measures: Sequence[Measure], where: str) -> str:
    """The figures as Markdown. `where` says on what machine."""
    rows = []
    for m in measures:
        goal = "–" if m.goal is None else f"≤ {m.goal:g}"
        rows.append(f"| {m.name} | {m.value:g} | {m.unit} | {goal} | {'ok' if m.ok else 'missed'} |")
    return HEAD.format(where=where) + "\n".join(rows) + "\n"


def page(text: str, measures: Sequence[Measure], where: str) -> str:
    """docs/benchmarks.md with these figures; what people have written around them stays.

    Raises ValueError when the lines that mark their place are not there, once each and in order.
    """
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _old, end, after = rest.partition(f"{END}\n")
    if not begin or not end or BEGIN in _old + after or END in before + after:
        raise ValueError(f"the page of the benchmarks needs one line {BEGIN!r} and after it one line {END!r}")
    return f"{before}{begin}\n{table(measures, where)}\n{end}{after}"
