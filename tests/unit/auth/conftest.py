"""auth with an empty database and the passwords of a fresh installation."""

from __future__ import annotations

from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from appliances.auth import passwords
from appliances.auth.app import create_app
from appliances.auth.store import Store
from appliances.common.settings import Settings
from tests.unit.common import etc_asrbox

FIRST = "first-password"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real parameters take 64 MiB and a tenth of a second each; tests/services uses those."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", cheap)
    monkeypatch.setattr(passwords, "_NOBODY", cheap.hash("nobody"))


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    etc = etc_asrbox.write(
        tmp_path / "etc",
        "auth",
        secrets={"administrator-password": FIRST},
        service_tokens={"base": ["introspect"], "asr_billing": []},
    )
    return create_app(Settings.load(etc), tmp_path)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def store(app: Flask) -> Store:
    found: Store = app.extensions["asrbox-store"]
    return found
