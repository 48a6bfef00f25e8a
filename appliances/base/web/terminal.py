"""The page of a terminal, and what its script asks for. Only administrators get here; the agent writes down who did."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Annotated, Any

from flask import Blueprint, Response, flash, g, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field

from appliances.base.web.agent import Agent
from appliances.base.web.live import as_refusal
from appliances.base.web.pages import find
from appliances.base.web.upstream import Upstream
from appliances.common import security, sse
from appliances.common.auth import roles_required
from appliances.common.bodies import json_body
from appliances.common.client import EndpointError
from appliances.common.failures import Problem
from appliances.common.i18n import gettext as _
from appliances.common.i18n import pick
from appliances.common.sse import Slots

FIRST_SIZE = (80, 24)  # columns and rows, until the page has measured itself
OPENED = "terminals"  # in the session of this browser: appliance → the terminal opened last


class Input(BaseModel):
    """What was typed or pasted."""

    data: Annotated[str, Field(min_length=1, max_length=65536)]


class Size(BaseModel):
    """The window in characters."""

    columns: Annotated[int, Field(ge=2, le=500)]
    rows: Annotated[int, Field(ge=2, le=300)]


def blueprint(agent: Agent, upstream: Upstream, slots: Slots) -> Blueprint:
    """The routes, on one agent."""
    routes = Blueprint("terminal", __name__)

    @routes.context_processor
    def helpers() -> dict[str, Any]:
        return {"pick": pick}

    @routes.get("/appliances/<name>/terminal")
    @roles_required("administrator")
    def ask(name: str) -> ResponseReturnValue:
        part = find(agent.status().appliances, name)
        return render_template("base/terminal_ask.html", appliance=part, earlier=session.get(OPENED, {}).get(name))

    @routes.post("/appliances/<name>/terminal")
    @roles_required("administrator")
    def begin(name: str) -> ResponseReturnValue:
        try:
            identity = upstream.open(name, FIRST_SIZE)
        except EndpointError as error:
            if not error.refused:
                raise
            flash(_("The agent refused: %(reason)s", reason=error.body.get("detail") or error.detail), "error")
            return redirect(url_for("terminal.ask", name=name), 303)
        session[OPENED] = {**session.get(OPENED, {}), name: identity}
        return redirect(url_for("terminal.show", name=name, identity=identity), 303)

    @routes.get("/appliances/<name>/terminals/<identity>")
    @roles_required("administrator")
    def show(name: str, identity: str) -> Response:
        _known(identity)
        part = find(agent.status().appliances, name)
        # xterm.js writes its measures and colours into <style> elements, which no hash can foresee: on this page alone,
        # style elements that carry this nonce are let through. Styles in attributes stay refused.
        nonce = secrets.token_urlsafe(16)
        page = make_response(render_template("base/terminal.html", appliance=part, identity=identity, nonce=nonce))
        page.headers["Content-Security-Policy"] = security.content_policy(nonce)
        return page

    @routes.get("/terminals/<identity>/output")
    @roles_required("administrator")
    def output(identity: str) -> Response:
        offset = request.args.get("offset", "0")
        if not re.fullmatch(r"[0-9]{1,15}", offset):
            raise Problem(400, _("The request is not understood"))
        release = slots.take("terminals")
        try:
            stream = upstream.output(_known(identity), int(offset))
        except EndpointError as error:
            release()
            raise as_refusal(error) from error
        except BaseException:
            release()
            raise
        return sse.response(iter(stream), stream.close, release)

    @routes.post("/terminals/<identity>/input")
    @roles_required("administrator")
    def enter(identity: str) -> ResponseReturnValue:
        typed = json_body(Input)
        g.quiet = True  # a line in the log for every key would drown the others
        return _asked(lambda: upstream.enter(_known(identity), typed.data))

    @routes.post("/terminals/<identity>/size")
    @roles_required("administrator")
    def resize(identity: str) -> ResponseReturnValue:
        size = json_body(Size)
        return _asked(lambda: upstream.resize(_known(identity), size.columns, size.rows))

    @routes.post("/terminals/<identity>/end")
    @roles_required("administrator")
    def end(identity: str) -> ResponseReturnValue:
        return _asked(lambda: upstream.end(_known(identity)))

    return routes


def _asked(order: Callable[[], None]) -> ResponseReturnValue:
    try:
        order()
    except EndpointError as error:
        raise as_refusal(error) from error
    return "", 204


def _known(identity: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}", identity):
        raise Problem(404, _("There is no such page"))
    return identity
