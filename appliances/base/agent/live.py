"""The part of the API that goes on while one looks: events, a journal as it grows, terminals."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, Protocol

from flask import Blueprint, Response, jsonify, request

from appliances.base.agent.errors import AgentError
from appliances.base.agent.events import Change, Events
from appliances.base.agent.journal import Follow
from appliances.base.agent.operations import Operation
from appliances.base.agent.terminals import COLUMNS, LONGEST_INPUT, ROWS, Ending, Terminal
from appliances.common import sse
from appliances.common.sse import Event


class Backend(Protocol):
    """What these paths need of the agent."""

    events: Events

    def status(self) -> dict[str, Any]: ...
    def operation(self, identity: str) -> Operation | None: ...
    def alarms(self) -> dict[str, Any]: ...
    def follow(self, appliance: str, daemon: str | None, cursor: str | None) -> Follow: ...
    def open_terminal(self, appliance: str, size: tuple[int, int], author: str) -> Terminal: ...
    def terminal(self, identity: str, author: str) -> Terminal: ...


def blueprint(agent: Backend, author: Callable[[], str], life: float) -> Blueprint:
    """The routes. `author` tells who asks, `life` is how many seconds a stream lasts."""
    routes = Blueprint("live", __name__)
    slots = sse.Slots()

    @routes.get("/api/v1/events")
    def events() -> Response:
        release = slots.take("events")
        return sse.response(_changes(agent, request.headers.get("Last-Event-ID", "")), release, life=life)

    @routes.get("/api/v1/appliances/<appliance>/logs/stream")
    def follow(appliance: str) -> Response:
        cursor = request.headers.get("Last-Event-ID") or request.args.get("cursor")
        release = slots.take("logs")
        try:
            journal = agent.follow(appliance, request.args.get("daemon"), cursor)
        except BaseException:
            release()
            raise
        return sse.response(_lines(journal), journal.close, release, life=life)

    @routes.post("/api/v1/appliances/<appliance>/terminals")
    def open_terminal(appliance: str) -> tuple[Response, int]:
        terminal = agent.open_terminal(appliance, _size(), author())
        return jsonify(id=terminal.id, operation=terminal.operation), 201

    @routes.get("/api/v1/terminals/<identity>/output")
    def output(identity: str) -> Response:
        terminal = agent.terminal(identity, author())
        offset = request.headers.get("Last-Event-ID") or request.args.get("offset", "0")
        if not re.fullmatch(r"[0-9]{1,15}", offset):
            raise AgentError(f"offset: {offset[:40]!r} is not a number of bytes")
        release = slots.take("terminals")
        reader = object()
        return sse.response(_output(terminal, reader, int(offset)), lambda: terminal.leave(reader), release, life=life)

    @routes.post("/api/v1/terminals/<identity>/input")
    def enter(identity: str) -> tuple[str, int]:
        terminal = agent.terminal(identity, author())
        given = _body().get("data")
        try:
            data = given.encode() if isinstance(given, str) else b""
        except UnicodeEncodeError:  # half of a surrogate pair
            data = b""
        if not 0 < len(data) <= LONGEST_INPUT:
            raise AgentError(f'expected {{"data": "…"}} with 1 to {LONGEST_INPUT} bytes of text')
        terminal.type(data)
        return "", 204

    @routes.post("/api/v1/terminals/<identity>/size")
    def resize(identity: str) -> tuple[str, int]:
        agent.terminal(identity, author()).resize(*_size())
        return "", 204

    @routes.delete("/api/v1/terminals/<identity>")
    def end(identity: str) -> tuple[str, int]:
        agent.terminal(identity, author()).end(Ending("closed"))
        return "", 204

    return routes


def _changes(agent: Backend, mark: str) -> Iterator[Event | None]:
    """First what a watcher does not know yet, which without a mark is the state as a whole; then what changes."""
    number = agent.events.number(mark)
    if number is None:
        number = agent.events.now()
        beginning: tuple[Change, ...] = ((number, "status", ""), (number, "alarms", ""))
        for change in beginning:
            yield _event(agent, change)
    for changes in agent.events.watch(number, sse.TICK):
        if not changes:
            yield None
        for change in changes:
            yield _event(agent, change)


def _event(agent: Backend, change: Change) -> Event | None:
    """A change with what is now. Of an operation its log is left out, which can be long."""
    number, kind, subject = change
    what: dict[str, Any]
    if kind == "operation":
        operation = agent.operation(subject)
        if operation is None:
            return None
        what = {**asdict(operation), "log": len(operation.log)}
    else:
        what = agent.status() if kind == "status" else agent.alarms()
    return Event(kind, json.dumps(what, ensure_ascii=False), agent.events.mark(number))


def _lines(journal: Follow) -> Iterator[Event | None]:
    """Lines as they come, and an `end` when no more will."""
    while (entries := journal.read(sse.TICK)) is not None:
        if not entries:
            yield None
        for entry in entries:
            what = {"line": entry.line, "severity": entry.severity}
            yield Event("line", json.dumps(what, ensure_ascii=False), entry.cursor)
    yield Event("end", json.dumps({"reason": journal.complaint()}))


def _output(terminal: Terminal, reader: object, offset: int) -> Iterator[Event | None]:
    """Output in base64, since it is bytes; its id is the place where reading goes on. `lost` says what is missing."""
    while (got := terminal.read(reader, offset, sse.TICK)) is not None:
        if got.lost:
            yield Event("lost", json.dumps({"bytes": got.lost}), str(got.begin))
        yield Event("output", base64.b64encode(got.data).decode(), str(got.end)) if got.data else None
        offset = got.end
    ended = terminal.ended
    if ended is not None:
        yield Event("end", json.dumps({"reason": ended.reason, "code": ended.code}))


def _body() -> dict[str, Any]:
    given = request.get_json(silent=True)
    return given if isinstance(given, dict) else {}


def _size() -> tuple[int, int]:
    """Columns and rows out of the body. Raises AgentError."""
    given = _body()
    columns, rows = given.get("columns"), given.get("rows")
    if type(columns) is int and type(rows) is int and columns in COLUMNS and rows in ROWS:
        return columns, rows
    raise AgentError(
        f'expected {{"columns": {COLUMNS[0]} to {COLUMNS[-1]}, "rows": {ROWS[0]} to {ROWS[-1]}}}, whole numbers'
    )
