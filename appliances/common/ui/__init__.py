"""The shared look: templates `ui/…`, one stylesheet, icons, and what every page needs to know to be drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from appliances.common import i18n
from appliances.common.security import local_path
from appliances.common.settings import Settings
from appliances.common.ui import filters

if TYPE_CHECKING:
    from appliances.common.app import Section

THEME_COOKIE = "asrbox-theme"
THEMES = ("auto", "light", "dark")
YEAR = 365 * 24 * 3600  # seconds

routes = Blueprint("ui", __name__, url_prefix="/ui", template_folder="templates", static_folder="static")
_versions: dict[str, str] = {}


@dataclass(frozen=True)
class Neighbour:
    """Another appliance as the switcher shows it."""

    name: str
    title: str
    url: str
    current: bool


def install(app: Flask, settings: Settings, sections: Sequence[Section]) -> None:
    """Register templates, static files and preferences, and put into every template's context what base.html uses."""
    app.register_blueprint(routes)
    filters.install(app)
    app.jinja_env.globals["asset"] = asset

    @app.context_processor
    def page() -> dict[str, Any]:
        person = g.get("person")
        visible = [entry for entry in sections if not entry.roles or (person and entry.roles & person.roles)]
        others = neighbours(settings)
        theme = request.cookies.get(THEME_COOKIE, "auto")
        return {
            "appliance_title": appliance_title(settings, settings.appliance),
            "distribution": settings.distribution,
            "language": i18n.language(),
            "languages": i18n.LANGUAGES,
            "neighbours": others,
            "now": datetime.now(UTC),
            "person": person,
            "profile_url": next((f"{one.url}profile" for one in others if one.name == "auth"), None),
            "sections": visible,
            "theme": theme if theme in THEMES else "auto",
        }


def asset(filename: str) -> str:
    """URL of a file in ui/static with a version from its contents, so that browsers may keep it for a year."""
    if filename not in _versions:
        contents = (Path(__file__).parent / "static" / filename).read_bytes()
        _versions[filename] = hashlib.sha256(contents).hexdigest()[:12]
    return url_for("ui.static", filename=filename, v=_versions[filename])


def appliance_title(settings: Settings, name: str) -> str:
    """Title of an appliance as its manifest gives it; its name when the agent did not pass titles on."""
    return i18n.pick(settings.titles.get(name, {})) or name


def neighbours(settings: Settings) -> list[Neighbour]:
    """The appliances that are published: another path of the same site."""
    return [
        Neighbour(name, appliance_title(settings, name), f"{path.rstrip('/')}/", name == settings.appliance)
        for name, path in sorted(settings.published.items(), key=lambda item: item[1])
    ]


@routes.after_request
def keep_static_files(response: Response) -> Response:
    if request.endpoint == "ui.static" and "v" in request.args and response.status_code == 200:
        response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
    return response


@routes.post("/preferences")
def preferences() -> ResponseReturnValue:
    """Language and theme of this browser, kept in cookies that all appliances of the host name share."""
    response = redirect(local_path(request.form.get("next")), 303)
    chosen = {
        i18n.COOKIE: (request.form.get("language"), tuple(i18n.LANGUAGES)),
        THEME_COOKIE: (request.form.get("theme"), THEMES),
    }
    for cookie, (value, allowed) in chosen.items():
        if value in allowed:
            response.set_cookie(cookie, value, max_age=YEAR, secure=True, httponly=True, samesite="Lax")
    return response
