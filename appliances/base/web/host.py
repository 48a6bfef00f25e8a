"""The server's own network and people, changed from the panel. A change of the network is on trial until confirmed."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from appliances.base.web.agent import Agent, HostNetwork
from appliances.common.auth import roles_required
from appliances.common.client import EndpointError
from appliances.common.failures import Problem
from appliances.common.i18n import gettext as _
from appliances.common.i18n import lazy

FIELDS = ("method", "interface", "address", "gateway", "dns", "hostname", "time_servers")
LISTS = ("dns", "time_servers")
ADMINISTRATOR = "administrator"
ACTIONS = ("lock", "unlock", "remove")
TAKES = {
    "method": lazy("Choose one of both."),
    "interface": lazy("Say which network device the address is for."),
    "address": lazy("An address with its prefix length, such as 192.0.2.10/24, not in the parts' network."),
    "gateway": lazy("An address of the same network, such as 192.0.2.1; only with a fixed address."),
    "dns": lazy("Up to three addresses with spaces between, such as 192.0.2.53."),
    "hostname": lazy("Small letters, digits and dashes, such as billing1.example.net."),
    "time_servers": lazy("Names or addresses with spaces between, such as ntp.example.net."),
    "name": lazy("Small letters, digits, - and _; a login that is not taken yet."),
    "keys": lazy("Whole lines of .pub files, one below the other; without a password at least one."),
    "password_hash": lazy("What “openssl passwd -6” prints."),
}


def blueprint(agent: Agent) -> Blueprint:
    """The routes, on one agent."""
    routes = Blueprint("host", __name__, url_prefix="/server")

    @routes.get("/network")
    @roles_required(ADMINISTRATOR)
    def network() -> ResponseReturnValue:
        found = agent.host_network()
        if "HX-Request" in request.headers:
            return render_template("base/host_trial.html", network=found, address=_new_address(found))
        return _network_page(found, {}, {})

    @routes.post("/network")
    @roles_required(ADMINISTRATOR)
    def change_network() -> ResponseReturnValue:
        found = agent.host_network()
        given = {key: request.form.get(key, "").strip() for key in FIELDS}
        changed = {key: value for key, value in given.items() if value != as_typed(getattr(found, key))}
        if given["method"] == "dhcp":  # what stood in these fields was of the fixed address
            changed = {key: value for key, value in changed.items() if key not in ("address", "gateway")}
        if not changed:
            flash(_("Nothing was changed."), "info")
            return redirect(url_for("host.network"), 303)
        body = {key: value.replace(",", " ").split() if key in LISTS else value for key, value in changed.items()}
        try:
            agent.change_host_network(body)
        except EndpointError as error:
            wrong = _wrong(error)
            return _network_page(agent.host_network(), given, wrong), 422
        return redirect(url_for("host.network"), 303)

    @routes.post("/network/<any(confirm, revert):action>")
    @roles_required(ADMINISTRATOR)
    def end_trial(action: str) -> ResponseReturnValue:
        try:
            agent.end_trial(action)
        except EndpointError as error:
            _flash_refusal(error)
        else:
            done = _("The network stays like this.") if action == "confirm" else _("The network is as it was before.")
            flash(done, "success")
        return redirect(url_for("host.network"), 303)

    @routes.get("/people")
    @roles_required(ADMINISTRATOR)
    def people() -> ResponseReturnValue:
        return _people_page({}, {})

    @routes.post("/people")
    @roles_required(ADMINISTRATOR)
    def add_person() -> ResponseReturnValue:
        given = {key: request.form.get(key, "").strip() for key in ("name", "keys", "password_hash", "administrator")}
        try:
            agent.add_person(
                given["name"], _lines(given["keys"]), given["password_hash"] or None, given["administrator"] == "yes"
            )
        except EndpointError as error:
            return _people_page(given, _wrong(error)), 422
        flash(_("%(name)s may log in on the server now.", name=given["name"]), "success")
        return redirect(url_for("host.people"), 303)

    @routes.post("/people/<name>/keys")
    @roles_required(ADMINISTRATOR)
    def set_keys(name: str) -> ResponseReturnValue:
        return _ask(lambda: agent.set_person_keys(name, _lines(request.form.get("keys", ""))))

    @routes.post("/people/<name>/<action>")
    @roles_required(ADMINISTRATOR)
    def act(name: str, action: str) -> ResponseReturnValue:
        if action not in ACTIONS:
            raise Problem(404, _("There is no such page"))
        if action == "remove" and request.form.get("typed", "").strip() != name:
            flash(_("Nothing was done: the name that was typed is another one."), "error")
            return redirect(url_for("host.people"), 303)
        return _ask(lambda: agent.act_on_person(name, action))

    def _ask(order: Any) -> ResponseReturnValue:
        try:
            order()
        except EndpointError as error:
            _flash_refusal(error)
        else:
            flash(_("Done."), "success")
        return redirect(url_for("host.people"), 303)

    def _network_page(found: HostNetwork, given: dict[str, str], wrong: dict[str, str]) -> str:
        values = {key: given.get(key, as_typed(getattr(found, key))) for key in FIELDS}
        errors = {key: TAKES.get(key, text) for key, text in wrong.items()}
        return render_template(
            "base/host_network.html", network=found, values=values, errors=errors, address=_new_address(found)
        )

    def _people_page(given: dict[str, str], wrong: dict[str, str]) -> str:
        errors = {key: TAKES.get(key, text) for key, text in wrong.items()}
        return render_template("base/host_people.html", people=agent.people(), given=given, errors=errors)

    return routes


def as_typed(value: str | list[str]) -> str:
    """A value of the network as its field has it."""
    return " ".join(value) if isinstance(value, list) else value


def _new_address(network: HostNetwork) -> str:
    """Where this page will be when the change is a fixed address; "" when nobody can know."""
    address = str(network.trial.wanted.get("address") or "").partition("/")[0] if network.trial else ""
    host = f"[{quote(address)}]" if ":" in address else address
    return f"https://{host}{url_for('host.network')}" if host else ""


def _flash_refusal(error: EndpointError) -> None:
    """Show why the agent does not do it. Raises the error again when it is no refusal."""
    if not error.refused:
        raise error
    flash(_("The agent refused: %(reason)s", reason=error.body.get("detail") or error.detail), "error")


def _wrong(error: EndpointError) -> dict[str, str]:
    """What is wrong with what was given, by field; a refusal that names no field is shown above the page."""
    wrong: dict[str, str] = error.body.get("errors") or {}
    if not (error.refused and wrong):
        _flash_refusal(error)
    return wrong


def _lines(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
