"""What a caller sees when something goes wrong: problem+json (RFC 9457) under /api/, a page elsewhere."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, Response, g, json, render_template, request
from werkzeug.exceptions import HTTPException

from appliances.common.client import EndpointError
from appliances.common.i18n import gettext as _
from appliances.common.sse import Full

_log = logging.getLogger(__name__)


class Problem(Exception):
    """A refusal with an HTTP status. `detail` says what to do; `extra` goes into the problem document."""

    def __init__(self, status: int, title: str, detail: str = "", **extra: Any) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.extra = extra
        self.headers: dict[str, str] = {}


def install(app: Flask) -> None:
    """Register the handlers: every failure leaves the app in one of the two shapes."""

    @app.errorhandler(Problem)
    def refused(problem: Problem) -> Response:
        return answer(problem)

    @app.errorhandler(EndpointError)
    def away(error: EndpointError) -> Response:
        return unreachable(error)

    @app.errorhandler(Full)
    def no_more_streams(error: Full) -> Response:
        problem = Problem(503, _("Too many pages are open"), _("This one renews itself less often until others close."))
        problem.headers["Retry-After"] = str(error.retry_after)
        return answer(problem)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        if error.code is None or error.code < 400:
            return Response(error.get_body(), error.code or 500, error.get_headers())
        title, detail = _known(error.code)
        problem = Problem(error.code, title or error.name, detail or error.description or "")
        if error.code == 405:
            problem.headers = dict(error.get_headers(request.environ))
            problem.headers.pop("Content-Type", None)
        return answer(problem)

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        _log.error("%s %s failed: %s", request.method, request.path, error, exc_info=error)
        return answer(Problem(500, *_known(500)))


def unreachable(error: EndpointError) -> Response:
    """The response when another part of the system is needed and does not answer."""
    _log.warning("%s", error)
    if error.endpoint == "web.auth":
        title = _("Sign-in does not answer")
        meaning = _("Nobody can be recognised without it, so this page stays closed. Try again in a minute.")
    else:
        title = _("A part of the system does not answer")
        meaning = _("%(endpoint)s is not reachable now. Try again in a minute.", endpoint=error.endpoint)
    return answer(Problem(503, title, meaning))


def answer(problem: Problem) -> Response:
    """The response of one problem, in the shape that the caller of this path expects."""
    if request.path.startswith("/api/"):
        document = {
            "type": "about:blank",
            "title": str(problem.title),
            "status": problem.status,
            "detail": str(problem.detail),
            "instance": request.script_root + request.path,
            "request_id": g.get("request_id"),
            **problem.extra,
        }
        body = json.dumps(document, ensure_ascii=False)
        return Response(body, problem.status, problem.headers, content_type="application/problem+json")
    page = render_template("ui/error.html", problem=problem)
    return Response(page, problem.status, problem.headers, content_type="text/html; charset=utf-8")


def _known(status: int) -> tuple[str, str]:
    texts = {
        400: (_("The request is not understood"), _("Go back, reload the page and send it again.")),
        403: (_("Not allowed"), _("Your account does not have the role that this needs. Ask an administrator.")),
        404: (_("There is no such page"), _("The address may be mistyped, or the thing was removed.")),
        405: (_("This address does not do that"), _("Use the buttons of the page.")),
        413: (_("Too much was sent at once"), _("Send less and try again.")),
        500: (
            _("Something broke on our side"),
            _("The failure was written to the log under the request number below. Nothing else is needed from you."),
        ),
    }
    return texts.get(status, ("", ""))
