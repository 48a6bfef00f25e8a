"""One figure and its goal, and the page that shows them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

HEAD = """# Benchmarks

Written by `make bench`. Ratios compare with raw work of the same content in the same run, so that they mean the same on
another machine; seconds do not.

Measured on {where}.

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
    """docs/benchmarks.md."""
    rows = []
    for m in measures:
        goal = "–" if m.goal is None else f"≤ {m.goal:g}"
        rows.append(f"| {m.name} | {m.value:g} | {m.unit} | {goal} | {'ok' if m.ok else 'missed'} |")
    return HEAD.format(where=where) + "\n".join(rows) + "\n"
