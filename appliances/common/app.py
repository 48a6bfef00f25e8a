"""The app factory that all appliances share: `make_app` gives sign-in, health, logs, errors, languages and the look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response

from appliances.common import auth, failures, health, i18n, logs, security, ui
from appliances.common.authority import Authority, RemoteAuthority
from appliances.common.client import EndpointClient
from appliances.common.forwarded import Forwarded
from appliances.common.settings import Settings

AUTH = "web.auth"
MAX_BODY = 1024 * 1024  # bytes


@dataclass(frozen=True)
class Section:
    """An entry of the side bar: Flask endpoint, label, icon of the sprite; `roles` empty: for everybody signed in."""

    endpoint: str
    label: i18n.LazyText
    icon: str = "list"
    roles: frozenset[str] = frozenset()


def make_app(
    import_name: str,
    settings: Settings,
    *,
    sections: Sequence[Section],
    checks: Mapping[str, health.Check],
    authority: Authority | None = None,
) -> Flask:
    """A Flask app in the shape of this house; the caller registers its blueprints on it.

    `import_name` is the package that holds templates/, static/ and translations/. `checks` drive /healthz: each
    returns a detail or raises; one that asks another appliance bears the name of that endpoint (`web.auth`, which is
    added here), so that the agent can tell a fault from what was switched off on purpose. `authority` is for auth
    itself and for tests; the default asks the endpoint web.auth.
    Raises SettingsError when something that the host should have given is missing.
    """
    logs.configure()
    app = Flask(import_name)
    app.config.update(
        SECRET_KEY=settings.secret("session-key"),
        # Cookies are shared by all of a host name, whatever port and path, so each appliance needs a name of its own;
        # `__Host-` keeps its place at the root.
        SESSION_COOKIE_NAME=f"__Host-asrbox-{settings.appliance}",
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=MAX_BODY,
    )
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions["asrbox-settings"] = settings
    authority = authority or RemoteAuthority(EndpointClient(settings, AUTH))
    app.extensions["asrbox-authority"] = authority
    if AUTH in settings.endpoints:
        checks = {**checks, AUTH: auth_answers(authority)}

    logs.install(app)
    security.install(app)
    failures.install(app)
    i18n.install(app, [Path(__file__).parent / "translations", Path(app.root_path) / "translations"])
    ui.install(app, settings, sections)
    app.after_request(unbuffered)
    app.wsgi_app = Forwarded(app.wsgi_app, settings.host)  # type: ignore[method-assign]
    app.register_blueprint(auth.routes)
    app.register_blueprint(health.blueprint(checks))
    return app


def unbuffered(response: Response) -> Response:
    """Server-sent events pass the entry one by one (nginx holds back what has no such header)."""
    if response.mimetype == "text/event-stream":
        response.headers["X-Accel-Buffering"] = "no"
    return response


def auth_answers(authority: Authority) -> health.Check:
    """The check that every appliance with log-in has: does auth answer?"""

    def check() -> str:
        authority.introspect("a token that nobody holds")
        return "answers"

    return check
