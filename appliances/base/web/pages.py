"""The pages of the control panel: overview, one appliance, its log and settings, network, operations."""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from appliances.base.web import graphs, netmap, words
from appliances.base.web.agent import Agent, Appliance, Journal, Operation
from appliances.base.web.journal import read_line
from appliances.common.auth import login_required, roles_required
from appliances.common.client import EndpointError
from appliances.common.failures import Problem, unreachable
from appliances.common.i18n import gettext as _
from appliances.common.i18n import pick
from appliances.common.settings import Settings
from appliances.common.ui import neighbours

LINES = (200, 1000, 5000)
RECENT = 5
_log = logging.getLogger(__name__)


def blueprint(agent: Agent, settings: Settings) -> Blueprint:
    """The routes, on one agent."""
    routes = Blueprint("pages", __name__)

    @routes.context_processor
    def helpers() -> dict[str, Any]:
        return {
            "actions": words.ACTIONS,
            "pick": pick,
            "place": lambda part: words.place(part, settings.appliance),
            "verdict": words.verdict,
            "possible": words.possible,
            "is_vital": words.is_vital,
            "vital": words.VITAL,
            "open_at": {one.name: one.url for one in neighbours(settings) if not one.current},
        }

    @routes.get("/")
    @login_required
    def overview() -> ResponseReturnValue:
        status, operations = agent.status(), agent.operations()
        alarms = agent.alarms()
        return _page("base/overview", status=status, alarms=alarms, told=_told(operations[:RECENT], status.appliances))

    @routes.get("/appliances/<name>")
    @login_required
    def appliance(name: str) -> ResponseReturnValue:
        status = agent.status()
        part = find(status.appliances, name)
        of_this = [one for one in agent.operations() if one.target.split(".")[0] == name]
        lines = graphs.of(agent.usage(name))
        return _page("base/appliance", appliance=part, graphs=lines, told=_told(of_this[:RECENT], status.appliances))

    @routes.post("/appliances/<name>/<action>")
    @routes.post("/appliances/<name>/daemons/<daemon>/<action>")
    @roles_required("administrator")
    def act(name: str, action: str, daemon: str | None = None) -> ResponseReturnValue:
        if action not in words.ACTIONS:
            raise Problem(404, _("There is no such page"))
        if words.is_vital(action, name) and request.form.get("typed", "").strip() != name:
            flash(_("Nothing was done: the name that was typed is another one."), "error")
            return redirect(url_for("pages.appliance", name=name), 303)
        try:
            agent.ask(action, name, daemon)
        except EndpointError as error:
            if not error.refused:
                raise
            flash(_("The agent refused: %(reason)s", reason=error.body.get("detail") or error.detail), "error")
        return redirect(url_for("pages.appliance", name=name), 303)

    @routes.get("/appliances/<name>/settings")
    @roles_required("administrator")
    def settings_form(name: str) -> ResponseReturnValue:
        return _settings_page(name, {}, {})

    @routes.post("/appliances/<name>/settings")
    @roles_required("administrator")
    def configure(name: str) -> ResponseReturnValue:
        found = agent.settings(name)
        secret = [one.key for one in found if one.kind == "secret"]
        given = {one.key: request.form.get(one.key, "").strip() for one in found if one.key not in secret}
        changed: dict[str, str | None] = {
            one.key: given[one.key] for one in found if one.key in given and given[one.key] != words.as_typed(one.value)
        }
        for key in secret:
            if f"forget-{key}" in request.form:
                changed[key] = None
            elif typed := request.form.get(key):
                changed[key] = typed
        if not changed:
            flash(_("Nothing was changed."), "info")
            return redirect(url_for("pages.settings_form", name=name), 303)
        try:
            agent.configure(name, changed)
        except EndpointError as error:
            if not error.refused:
                raise
            wrong = error.body.get("errors") or {}
            if not wrong:
                flash(_("The agent refused: %(reason)s", reason=error.body.get("detail") or error.detail), "error")
            return _settings_page(name, given, wrong), 422
        flash(_("The settings are being applied. What does not work out is taken back."), "success")
        return redirect(url_for("pages.appliance", name=name), 303)

    def _settings_page(name: str, given: dict[str, str], wrong: dict[str, str]) -> str:
        part = find(agent.status().appliances, name)
        found = agent.settings(name)
        others = {one.key: one for one in found}
        return render_template(
            "base/settings.html",
            appliance=part,
            settings=found,
            given=given,
            wrong={one.key: words.takes(one, others, given) for one in found if one.key in wrong},
            as_typed=words.as_typed,
            as_read=words.as_read,
            options=words.options,
        )

    @routes.get("/appliances/<name>/logs")
    @login_required
    def logs(name: str) -> ResponseReturnValue:
        part = find(agent.status().appliances, name)
        daemon = request.args.get("daemon") or None
        if daemon and part.daemon(daemon) is None:
            raise Problem(404, _("There is no such page"))
        lines = request.args.get("lines", LINES[0], type=int)
        lines = lines if lines in LINES else LINES[0]
        try:
            found = agent.logs(name, daemon, lines)
        except EndpointError as error:
            if not error.refused:
                raise
            # A container that does not run has no journal to read now: that is an answer, not a failure.
            found = Journal(lines=[], severities=[], cursor=None)
            reason = str(error.body.get("detail") or error.detail)
        else:
            reason = ""
        return _page(
            "base/logs",
            appliance=part,
            daemon=daemon,
            lines=lines,
            choices=LINES,
            entries=[read_line(line, severity) for line, severity in zip(found.lines, found.severities, strict=True)],
            cursor=found.cursor or "",
            reason=reason,
        )

    @routes.get("/network")
    @login_required
    def network() -> ResponseReturnValue:
        found, appliances = agent.network(), agent.status().appliances
        names = {f"{daemon.name}.{one.name}": (one, daemon) for one in appliances for daemon in one.daemons}
        titles = {one.name: pick(one.title) for one in appliances}
        return render_template(
            "base/network.html",
            network=found,
            certificate=agent.certificate(),
            ways=words.CERTIFICATES,
            names=names,
            titles=titles,
            drawing=netmap.draw(appliances, found),
        )

    @routes.post("/certificate/renew")
    @roles_required("administrator")
    def renew_certificate() -> ResponseReturnValue:
        try:
            agent.renew_certificate()
        except EndpointError as error:
            if not error.refused:
                raise
            flash(_("The agent refused: %(reason)s", reason=error.body.get("detail") or error.detail), "error")
        else:
            flash(_("The certificate authority is being asked."), "success")
        return redirect(url_for("pages.network"), 303)

    @routes.get("/server")
    @login_required
    def server() -> ResponseReturnValue:
        checks = agent.checks()
        names = words.checks(one.name for one in checks)
        return render_template("base/server.html", server=agent.server(), checks=checks, names=names)

    @routes.get("/operations")
    @login_required
    def operations() -> ResponseReturnValue:
        return _page("base/operations", told=_told(agent.operations(), agent.status().appliances))

    @routes.app_errorhandler(EndpointError)
    def agent_is_away(error: EndpointError) -> Response:
        if error.endpoint != "agent.host":
            return unreachable(error)
        _log.warning("%s", error)
        page = render_template("base/agent_away.html", detail=error.detail)
        return Response(page, 503, content_type="text/html; charset=utf-8")

    return routes


def _page(template: str, **values: Any) -> str:
    """The whole page, or only its living part when HTMX asks for that."""
    return render_template(f"{template}_live.html" if "HX-Request" in request.headers else f"{template}.html", **values)


def find(appliances: list[Appliance], name: str) -> Appliance:
    """The appliance called so. Raises Problem: there is no such page."""
    found = next((one for one in appliances if one.name == name), None)
    if found is None:
        raise Problem(404, _("There is no such page"), _("No part of this server is called %(name)s.", name=name))
    return found


def _told(operations: list[Operation], appliances: list[Appliance]) -> list[tuple[Operation, str]]:
    """Operations with a sentence that says what was asked for."""
    return [(one, _sentence(one, appliances)) for one in operations]


def _quoted(title: str) -> str:
    """A title inside a sentence, in the quotation marks of the language."""
    return str(_("“%(title)s”", title=title))


def _sentence(operation: Operation, appliances: list[Appliance]) -> str:
    if operation.action == "apply":
        return str(_("Bringing the plan into force"))
    if operation.action == "terminal":
        titles = {one.name: pick(one.title) for one in appliances}
        return str(_("Terminal in %(part)s", part=_quoted(titles.get(operation.target, operation.target))))
    if operation.action == "renew":
        return str(_("Certificate for the pages"))
    if operation.action == "configure":
        titles = {one.name: pick(one.title) for one in appliances}
        return str(_("Settings of %(part)s", part=_quoted(titles.get(operation.target, operation.target))))
    if operation.action == "converge":  # the agent's own; it may be about several
        titles = {one.name: pick(one.title) for one in appliances}
        parts = ", ".join(_quoted(titles.get(name, name)) for name in operation.target.split(", "))
        return str(_("Adjusting of %(part)s", part=parts))
    name, _dot, daemon_name = operation.target.partition(".")
    appliance = next((one for one in appliances if one.name == name), None)
    if appliance is None or operation.action not in words.ACTIONS:
        return f"{operation.action} {operation.target}"
    part = pick(appliance.title)
    daemon = appliance.daemon(daemon_name)
    if daemon:
        part += f" → {pick(daemon.title)}"
    return str(words.ACTIONS[operation.action].noun) % {"part": _quoted(part)}
