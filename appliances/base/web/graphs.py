"""What an appliance used in the last two hours, as lines that a page can draw without a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from appliances.base.web.agent import Usage
from appliances.common.i18n import gettext as _
from appliances.common.ui.filters import bytes_of, number

WIDTH, HEIGHT = 240.0, 48.0  # of the SVG's own units


@dataclass(frozen=True)
class Graph:
    """One line over time: `points` for an SVG of 240 × 48, and in words what it is now, of what, and at most."""

    title: str
    now: str
    limit: str
    most: str
    points: str


def of(usage: Usage | None) -> list[Graph]:
    """Memory, processors and processes of an appliance; none while nothing was measured."""
    if usage is None or not usage.samples:
        return []
    samples, limits = usage.samples, usage.limits
    return [
        _graph(_("Memory"), [one.memory for one in samples], limits.memory, bytes_of),
        _graph(
            _("Processors"), [one.cpu for one in samples], limits.cpu, lambda value: number(Decimal(f"{value:.2f}"))
        ),
        _graph(_("Processes"), [one.processes for one in samples], limits.processes, number),
    ]


def _graph(title: str, values: Sequence[float], limit: int, text: Callable[[Any], str]) -> Graph:
    # The top is the limit, or less while everything is far below it: else a small load would be a flat line.
    top = min(float(limit), max(2 * max(values), limit / 20)) or 1.0
    step = WIDTH / max(len(values) - 1, 1)
    points = " ".join(
        f"{at * step:.1f},{HEIGHT - min(value / top, 1.0) * HEIGHT:.1f}" for at, value in enumerate(values)
    )
    return Graph(str(title), text(values[-1]), text(limit), text(max(values)), points)
