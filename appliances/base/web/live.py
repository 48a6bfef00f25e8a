"""Streams for the pages, passed on from the agent: what has changed, and a log as it grows."""

from __future__ import annotations

import json
from collections.abc import Iterator

from flask import Blueprint, Response, get_template_attribute, request, stream_with_context

from appliances.base.web.journal import read_line
from appliances.base.web.upstream import Upstream
from appliances.common import sse
from appliances.common.auth import login_required
from appliances.common.client import EndpointError, Stream
from appliances.common.failures import Problem
from appliances.common.i18n import gettext as _
from appliances.common.sse import Event, Slots


def blueprint(upstream: Upstream, slots: Slots) -> Blueprint:
    """The routes, on one agent."""
    routes = Blueprint("live", __name__)

    @routes.get("/events")
    @login_required
    def events() -> Response:
        release = slots.take("events")
        try:
            stream = upstream.events()
        except EndpointError as error:
            release()
            raise as_refusal(error) from error
        return sse.response(_names(stream), stream.close, release)

    @routes.get("/appliances/<name>/logs/stream")
    @login_required
    def follow(name: str) -> Response:
        release = slots.take("logs")
        try:
            stream = upstream.follow(name, request.args.get("daemon") or None, request.args.get("cursor") or None)
        except EndpointError as error:
            release()
            raise as_refusal(error) from error
        return sse.response(iter(stream_with_context(_drawn(stream))), stream.close, release)

    return routes


def as_refusal(error: EndpointError) -> Exception:
    """What a page's script is answered when the agent does not do what it was asked for: the same status."""
    if error.status is None:
        return error
    title = _("This is not possible now") if error.status < 500 else _("The server has too much to do")
    return Problem(error.status, title, str(error.body.get("detail") or error.detail))


def _names(stream: Stream) -> Iterator[Event | None]:
    """Only that something changed: what it is now is drawn by the page that shows it."""
    for event in stream:
        yield event and Event(event.name, event.name, event.id)


def _drawn(stream: Stream) -> Iterator[Event | None]:
    """Lines as the page shows them."""
    draw = get_template_attribute("base/parts.html", "log_line")
    for event in stream:
        if event is not None and event.name == "line":
            found = json.loads(event.data)
            yield Event("line", str(draw(read_line(found["line"], found["severity"]))), event.id)
        else:
            yield event
