"""The billing's web daemon: operators' pages and the API, on Firebird."""

from __future__ import annotations

import logging

from flask import Flask, Response

from appliances.asr_billing import api, pages
from appliances.asr_billing.database import Changed, Database, Unavailable, load_client
from appliances.asr_billing.migrations import migrate, schema_version
from appliances.common.app import Section, make_app
from appliances.common.authority import Authority
from appliances.common.failures import Problem, answer
from appliances.common.i18n import gettext as _
from appliances.common.i18n import lazy
from appliances.common.settings import Settings

SECTIONS = (Section("pages.subscribers", lazy("Subscribers"), "people"),)
_log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, authority: Authority | None = None) -> Flask:
    """The app as gunicorn runs it. Needs no Firebird to start: it answers 503 until there is one."""
    settings = settings or Settings.load()
    load_client()
    firebird = settings.daemon("firebird")
    database = Database(
        firebird.address, firebird.port, password=lambda: settings.secret("billing-password"), prepare=migrate
    )

    def firebird_answers() -> str:
        database.ready()
        with database.transaction(read_only=True) as transaction:
            engine = transaction.row("health.engine")
        assert engine is not None
        return f"Firebird {engine['version']}, schema version {schema_version(database)}"

    checks = {"firebird": firebird_answers}
    app = make_app("appliances.asr_billing", settings, sections=SECTIONS, checks=checks, authority=authority)
    app.register_blueprint(pages.blueprint(database))
    app.register_blueprint(api.blueprint(database))

    @app.errorhandler(Unavailable)
    def unavailable(error: Unavailable) -> Response:
        _log.warning("%s", error)
        problem = Problem(
            503,
            _("The database does not answer"),
            _("Nothing was changed. The pages come back by themselves as soon as it answers; try again in a minute."),
        )
        problem.headers["Retry-After"] = "10"
        return answer(problem)

    @app.errorhandler(Changed)
    def met_another(error: Changed) -> Response:
        _log.info("%s", error)
        return answer(
            Problem(
                409,
                _("Somebody changes the same thing at this moment"),
                _("Nothing was changed by this request. Send it again."),
            )
        )

    return app
