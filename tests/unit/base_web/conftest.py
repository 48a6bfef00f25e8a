"""The control panel on a small agent and an authority that knows a few people."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from appliances.base.app import create_app
from appliances.common.client import EndpointClient
from appliances.common.settings import Settings
from tests.unit.base_web.fake_agent import FakeAgent
from tests.unit.common import etc_asrbox
from tests.unit.common.people import FakeAuthority, sign_in


@pytest.fixture
def agent() -> FakeAgent:
    return FakeAgent()


@pytest.fixture
def people() -> FakeAuthority:
    return FakeAuthority()


@pytest.fixture
def panel(tmp_path: Path, agent: FakeAgent, people: FakeAuthority, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    etc = etc_asrbox.write(tmp_path, "base", endpoints={"web.auth": 8441, "agent.host": 8443})
    for method in ("get", "post"):
        monkeypatch.setattr(
            EndpointClient, method, lambda _self, *path, _m=method, **more: getattr(agent, _m)(*path, **more)
        )
    client = create_app(Settings.load(etc), people).test_client()
    sign_in(client, "anna")
    return client
