"""The appliances' network as a drawing: who consumes stands left of what is consumed, the host at the right end."""

from __future__ import annotations

from dataclasses import dataclass

from appliances.base.web.agent import AGENT_ENDPOINT, Appliance, Network
from appliances.common.i18n import pick

COLUMN, BOX = 300, 200  # distance between the left edges of columns; width of a box
HEAD, ROW, GAP, EDGE = 34, 22, 24, 10  # heights of title and daemon; between boxes; around the drawing


@dataclass(frozen=True)
class Box:
    """An appliance, or the host. `rows` are its daemons: title, and address with port."""

    name: str
    title: str
    x: int
    y: int
    height: int
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Drawing:
    """`lines` are SVG paths, each with what it says in words."""

    width: int
    height: int
    boxes: list[Box]
    lines: list[tuple[str, str]]


def draw(appliances: list[Appliance], network: Network) -> Drawing:
    """The same network gives the same drawing."""
    owners = {
        one.name: {owner_of(way.endpoint) for way in network.passes if way.appliance == one.name} for one in appliances
    }
    column = {one.name: 0 for one in appliances} | {"": 0}
    for _ in appliances:  # as often as the longest chain has members
        for name, providers in owners.items():
            for provider in providers:
                column[provider] = max(column.get(provider, 0), column[name] + 1)
    contents = [
        (one.name, pick(one.title), tuple((pick(d.title), f"{d.address}:{d.port}") for d in one.daemons))
        for one in appliances
    ]
    if any("" in providers for providers in owners.values()):
        column[""] = max(column.values())
        contents.append(("", network.hostname, (("", network.host),)))
    below: dict[int, int] = {}
    boxes = []
    for name, title, rows in contents:
        height = HEAD + ROW * len(rows)
        y = below.get(column[name], EDGE)
        below[column[name]] = y + height + GAP
        boxes.append(Box(name, title, EDGE + column[name] * COLUMN, y, height, rows))
    places = {box.name: box for box in boxes}
    lines = []
    for way in network.passes:
        start, end = places[way.appliance], places[owner_of(way.endpoint)]
        lines.append((_curve(start, end), f"{start.title} → {end.title}: {way.address}:{way.port}"))
    width = max(box.x for box in boxes) + BOX + EDGE if boxes else 2 * EDGE
    return Drawing(width, max(below.values(), default=EDGE) - GAP + EDGE, boxes, lines)


def owner_of(endpoint: str) -> str:
    """The appliance behind an endpoint; empty for the host itself."""
    return "" if endpoint == AGENT_ENDPOINT else endpoint.partition(".")[2]


def _curve(start: Box, end: Box) -> str:
    x1, y1, x2, y2 = start.x + BOX, start.y + HEAD // 2, end.x, end.y + HEAD // 2
    if x2 <= x1:  # the same column, or back: around the right side
        x2 = end.x + BOX
        return f"M{x1},{y1} C{x1 + 60},{y1} {x2 + 60},{y2} {x2},{y2}"
    middle = (x1 + x2) // 2
    return f"M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}"
