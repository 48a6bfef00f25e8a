"""The agent's HTTP API (docs/architecture.md, "APIs"): the same app on the unix socket and over TLS."""

from __future__ import annotations

import datetime
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import yaml
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, NotFound, Unauthorized

from appliances.base.agent import hostapi, live
from appliances.base.agent.audit import KINDS, Wanted
from appliances.base.agent.clientcerts import USUAL_DAYS
from appliances.base.agent.errors import AgentError, UnknownName, WrongSettings
from appliances.base.agent.operations import Operation
from appliances.base.agent.terminals import NoTerminal, TerminalEnded, TooManyTerminals
from appliances.base.agent.tokens import Verifier
from appliances.common import sse

DESCRIPTION = Path(__file__).with_name("openapi.yaml")
ACTIONS = ("start", "stop", "restart", "enable", "disable")
USUAL_LINES = 200
MOST_LINES = 5000
USUAL_PAGE, LARGEST_PAGE = 50, 500  # entries of the journal
# Changes that are no operations, as the journal of what was done calls them; of these it keeps the answer too.
RECORDED = {
    ("PUT", "/api/v1/certificate"): ("certificate", "install"),
    ("DELETE", "/api/v1/certificate"): ("certificate", "remove"),
    ("POST", "/api/v1/plan/restore"): ("plan", "restore"),
    ("POST", "/api/v1/alarms/test"): ("alarms", "test"),
}
STATUS = {UnknownName: 404, NoTerminal: 404, TerminalEnded: 409, TooManyTerminals: 409}


class Backend(live.Backend, Protocol):
    """What the API needs of the agent."""

    @property
    def host(self) -> hostapi.Host: ...

    def request(self, action: str, target: str, author: str) -> Operation: ...
    def operations(self) -> list[Operation]: ...
    def logs(self, appliance: str, daemon: str | None, lines: int, cursor: str | None) -> dict[str, Any]: ...
    def check(self) -> list[dict[str, Any]]: ...
    def network(self) -> dict[str, Any]: ...
    def server(self) -> dict[str, Any]: ...
    def certificate(self) -> dict[str, Any]: ...
    def bring_certificate(self, chain: str, key: str) -> dict[str, Any]: ...
    def drop_certificate(self) -> dict[str, Any]: ...
    def client_certificates(self) -> list[dict[str, Any]]: ...
    def issue_client_certificate(self, name: str, days: int, author: str) -> dict[str, Any]: ...
    def revoke_client_certificate(self, name: str, author: str) -> list[dict[str, Any]]: ...
    def renew_certificate(self, author: str) -> Operation: ...
    def usage(self) -> list[dict[str, Any]]: ...
    def try_alarms(self) -> list[str]: ...
    def plan(self) -> dict[str, Any]: ...
    def plans(self) -> list[dict[str, Any]]: ...
    def apply(self, author: str) -> Operation: ...
    def restore(self, number: int | None) -> int: ...
    def settings(self, appliance: str) -> list[dict[str, Any]]: ...
    def configure(self, appliance: str, wanted: dict[str, Any], author: str) -> Operation: ...
    def audited(self, wanted: Wanted, before: int | None, size: int) -> dict[str, Any]: ...
    def record(self, who: str, kind: str, part: str, what: str, details: dict[str, Any]) -> None: ...


def create_app(agent: Backend, verifier: Verifier | None, stream_life: float = sse.LIFE) -> Flask:
    """The app. Without a verifier (unix socket) every caller is root; with one, a service token is required.

    A stream lasts `stream_life` seconds.
    """
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]

    @app.before_request
    def authenticate() -> None:
        if verifier is None or request.path == "/healthz":
            return
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or verifier.caller(token.strip()) is None:
            raise Unauthorized("this API needs the service token of an appliance that consumes agent.host")

    @app.get("/healthz")
    def healthz() -> tuple[Response, int]:
        phase = agent.status()["phase"]
        ok = phase != "failed"
        checks = {"agent": {"ok": ok, "detail": phase}}
        return jsonify(status="ok" if ok else "failing", checks=checks), 200 if ok else 503

    @app.get("/api/v1/openapi.json")
    def openapi() -> Response:
        return jsonify(yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8")))

    @app.get("/api/v1/status")
    def status() -> Response:
        return jsonify(agent.status())

    @app.get("/api/v1/check")
    def check() -> Response:
        return jsonify(agent.check())

    @app.get("/api/v1/network")
    def network() -> Response:
        return jsonify(agent.network())

    @app.get("/api/v1/server")
    def server() -> Response:
        return jsonify(agent.server())

    @app.get("/api/v1/certificate")
    def certificate() -> Response:
        return jsonify(agent.certificate())

    @app.put("/api/v1/certificate")
    def bring_certificate() -> Response:
        given = request.get_json(silent=True)
        chain, key = (given.get("chain"), given.get("key")) if isinstance(given, dict) else (None, None)
        if not isinstance(chain, str) or not isinstance(key, str):
            raise AgentError('expected {"chain": "…", "key": "…"}, both as PEM')
        return jsonify(agent.bring_certificate(chain, key))

    @app.delete("/api/v1/certificate")
    def drop_certificate() -> Response:
        return jsonify(agent.drop_certificate())

    @app.get("/api/v1/client-certificates")
    def client_certificates() -> Response:
        return jsonify(agent.client_certificates())

    @app.post("/api/v1/client-certificates")
    def issue_client_certificate() -> tuple[Response, int]:
        given = request.get_json(silent=True)
        name, days = (given.get("name"), given.get("days", USUAL_DAYS)) if isinstance(given, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(days, int) or isinstance(days, bool):
            raise AgentError('expected {"name": "…", "days": 365}')
        return jsonify(agent.issue_client_certificate(name, days, _author())), 201

    @app.delete("/api/v1/client-certificates/<name>")
    def revoke_client_certificate(name: str) -> Response:
        return jsonify(agent.revoke_client_certificate(name, _author()))

    @app.post("/api/v1/certificate/renew")
    def renew_certificate() -> tuple[Response, int]:
        return jsonify(operation=agent.renew_certificate(_author()).id), 202

    @app.get("/api/v1/usage")
    def usage() -> Response:
        return jsonify(agent.usage())

    @app.get("/api/v1/alarms")
    def alarms() -> Response:
        return jsonify(agent.alarms())

    @app.post("/api/v1/alarms/test")
    def try_alarms() -> tuple[Response, int]:
        return jsonify(channels=agent.try_alarms()), 202

    @app.post("/api/v1/appliances/<appliance>/<action>")
    def appliance_action(appliance: str, action: str) -> tuple[Response, int]:
        return _begin(action, appliance)

    @app.post("/api/v1/appliances/<appliance>/daemons/<daemon>/<action>")
    def daemon_action(appliance: str, daemon: str, action: str) -> tuple[Response, int]:
        return _begin(action, f"{appliance}.{daemon}")

    def _begin(action: str, target: str) -> tuple[Response, int]:
        if action not in ACTIONS:
            raise NotFound(f"there is no action {action!r}: {', '.join(ACTIONS)}")
        operation = agent.request(action, target, _author())
        return jsonify(operation=operation.id), 202

    @app.get("/api/v1/plan")
    def plan() -> Response:
        return jsonify(agent.plan())

    @app.get("/api/v1/plans")
    def plans() -> Response:
        return jsonify(agent.plans())

    @app.post("/api/v1/plan/apply")
    def apply_plan() -> tuple[Response, int]:
        return jsonify(operation=agent.apply(_author()).id), 202

    @app.post("/api/v1/plan/restore")
    def restore_plan() -> Response:
        return jsonify(number=agent.restore(_number("number")))

    @app.get("/api/v1/appliances/<appliance>/settings")
    def settings(appliance: str) -> Response:
        return jsonify(agent.settings(appliance))

    @app.post("/api/v1/appliances/<appliance>/settings")
    def configure(appliance: str) -> tuple[Response, int]:
        wanted = request.get_json(silent=True)
        if not isinstance(wanted, dict) or not wanted:
            raise AgentError('expected an object of settings, such as {"session_hours": 8}')
        return jsonify(operation=agent.configure(appliance, wanted, _author()).id), 202

    hostapi.register(app, agent.host, _author)

    @app.get("/api/v1/audit")
    def audit() -> Response:
        wanted = Wanted(
            request.args.get("who"), request.args.get("kind"), request.args.get("part"), _day("since"), _day("until")
        )
        if wanted.kind is not None and wanted.kind not in KINDS:
            raise AgentError(f"kind: there is no {wanted.kind!r}", hint=f"it is one of: {', '.join(KINDS)}")
        size = min(_number("limit") or USUAL_PAGE, LARGEST_PAGE)
        return jsonify(agent.audited(wanted, _number("before", 12), size))

    @app.after_request
    def remember(response: Response) -> Response:
        """Whatever changes something and is no operation goes into the journal, also what was added after this."""
        if request.method in ("GET", "HEAD", "OPTIONS") or response.status_code >= 300 or not response.is_json:
            return response
        if request.path.startswith(("/api/v1/host/", "/api/v1/client-certificates")):
            return response  # they write down themselves what was before, and no keys
        answer = response.get_json()
        if isinstance(answer, dict) and "operation" in answer:
            return response
        kind, what = RECORDED.get((request.method, request.path), ("other", f"{request.method} {request.path}"))
        agent.record(_author(), kind, "", what, answer if kind != "other" else {})
        return response

    @app.get("/api/v1/operations")
    def operations() -> Response:
        return jsonify([asdict(one) for one in agent.operations()])

    @app.get("/api/v1/operations/<identity>")
    def operation(identity: str) -> Response:
        found = agent.operation(identity)
        if found is None:
            raise NotFound(f"there is no operation {identity!r}")
        return jsonify(asdict(found))

    @app.get("/api/v1/appliances/<appliance>/logs")
    def logs(appliance: str) -> Response:
        lines = min(_number("lines") or USUAL_LINES, MOST_LINES)
        cursor = request.args.get("cursor")
        return jsonify(agent.logs(appliance, request.args.get("daemon"), lines, cursor))

    app.register_blueprint(live.blueprint(agent, _author, stream_life))

    @app.errorhandler(sse.Full)
    def no_more_streams(error: sse.Full) -> Response:
        refused = _problem(503, "too many streams", str(error))
        refused.headers["Retry-After"] = str(error.retry_after)
        return refused

    @app.errorhandler(HTTPException)
    def http_problem(error: HTTPException) -> Response:
        return _problem(error.code or 500, error.name, error.description or "")

    @app.errorhandler(AgentError)
    def agent_problem(error: AgentError) -> Response:
        more = {"errors": error.fields} if isinstance(error, WrongSettings) else {}
        status = next((number for kind, number in STATUS.items() if isinstance(error, kind)), 400)
        return _problem(status, error.message, error.sentence(), **more)

    return app


def _day(name: str) -> str | None:
    """A day of the query as `2026-11-23`; None when it is not given."""
    wanted = request.args.get(name)
    if wanted is None:
        return None
    try:
        return datetime.date.fromisoformat(wanted).isoformat()
    except ValueError as error:
        raise AgentError(f"{name}: {wanted!r} is not a day such as 2026-11-23") from error


def _number(name: str, digits: int = 6) -> int | None:
    """A number of the query; None when it is not given."""
    wanted = request.args.get(name)
    if wanted is None:
        return None
    if not re.fullmatch(rf"[0-9]{{1,{digits}}}", wanted):
        raise AgentError(f"{name}: {wanted!r} is not a number")
    return int(wanted)


def _author() -> str:
    """Who asks, as the calling appliance says; printable and short, since it ends up in logs."""
    named = request.headers.get("X-Asrbox-User", "root")
    return re.sub(r"[^\w.@+-]", "_", named)[:64] or "root"


def _problem(status: int, title: str, detail: str, **more: Any) -> Response:
    """RFC 9457 problem details."""
    response = jsonify(type="about:blank", title=title, status=status, detail=detail, **more)
    response.status_code = status
    response.content_type = "application/problem+json"
    return response
