"""base: the control panel of the server, on top of the agent's API."""

from __future__ import annotations

from flask import Flask

from appliances.base.web import audit, host, live, pages, terminal
from appliances.base.web.agent import Agent
from appliances.base.web.upstream import Upstream
from appliances.common.app import Section, make_app
from appliances.common.authority import Authority
from appliances.common.client import EndpointClient
from appliances.common.i18n import lazy
from appliances.common.settings import Settings
from appliances.common.sse import Slots


def create_app(settings: Settings | None = None, authority: Authority | None = None) -> Flask:
    """The app. It starts without the agent and without auth, and says so on its pages until they answer."""
    settings = settings or Settings.load()
    client = EndpointClient(settings, "agent.host")
    agent, upstream = Agent(client), Upstream(client)

    def agent_answers() -> str:
        return agent.status().phase

    app = make_app(
        "appliances.base.web",
        settings,
        sections=[
            Section("pages.overview", lazy("Overview"), "grid"),
            Section("pages.network", lazy("Network"), "diagram-3"),
            Section("pages.operations", lazy("Operations"), "clock-history"),
            Section("pages.server", lazy("Server"), "hdd-network"),
            Section("audit.page", lazy("Journal of actions"), "card-list", audit.READERS),
        ],
        checks={"agent.host": agent_answers},
        authority=authority,
    )
    slots = Slots()
    app.register_blueprint(pages.blueprint(agent, settings))
    app.register_blueprint(audit.blueprint(agent))
    app.register_blueprint(host.blueprint(agent))
    app.register_blueprint(live.blueprint(upstream, slots))
    app.register_blueprint(terminal.blueprint(agent, upstream, slots))
    return app
