"""auth: who may do what. Accounts of staff, sessions of browsers, tokens of programs."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask

from appliances.auth import accounts, api, pages
from appliances.auth.local import LocalAuthority
from appliances.auth.policy import Policy
from appliances.auth.store import Store, moment
from appliances.common.app import Section, make_app
from appliances.common.i18n import lazy
from appliances.common.settings import Settings

DATA = Path("/var/lib/asrbox/data")
LEAST_FREE = 8 * 1024 * 1024  # bytes on the volume, below which sign-in is about to stop


def create_app(settings: Settings | None = None, data: Path | None = None) -> Flask:
    """The app. `data` is the folder of the database: else ASRBOX_DATA, else the volume."""
    settings = settings or Settings.load()
    data = data or Path(os.environ.get("ASRBOX_DATA") or DATA)
    store = Store(data / "auth.sqlite3", Policy.of(settings))
    accounts.create_first_administrator(store, settings.secret("administrator-password"), datetime.now(UTC))
    accounts.note_changed_password(store)  # a power cut may have come between the change and its mark

    def database_takes_writes() -> str:
        with store.write() as db:
            db.execute("INSERT OR REPLACE INTO probe (id, at) VALUES (1, ?)", (moment(datetime.now(UTC)),))
        return f"migration {store.version()}"

    def volume_has_room() -> str:
        free = shutil.disk_usage(data).free
        if free < LEAST_FREE:
            raise RuntimeError(f"{data}: only {free // 1024} KiB left")
        return f"{free // (1024 * 1024)} MiB free"

    def service_tokens_are_there() -> str:
        return f"{len(settings.service_tokens())} appliances may ask"

    administrator = frozenset({accounts.ADMINISTRATOR})
    app = make_app(
        "appliances.auth",
        settings,
        sections=[
            Section("pages.profile", lazy("Profile"), "person-badge"),
            Section("pages.sessions", lazy("Sessions"), "phone"),
            Section("pages.tokens_page", lazy("Tokens"), "key", administrator),
            Section("pages.journal", lazy("Journal"), "clock-history", administrator),
        ],
        checks={
            "database": database_takes_writes,
            "volume": volume_has_room,
            "service-tokens": service_tokens_are_there,
        },
        authority=LocalAuthority(store, settings),
    )
    app.extensions["asrbox-store"] = store
    app.register_blueprint(api.routes)
    app.register_blueprint(pages.routes)
    return app
