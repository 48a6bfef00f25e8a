"""An authority that knows a few people by heart, for apps under test."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from flask.testing import FlaskClient

from appliances.common.auth import COOKIE
from appliances.common.authority import Issued, LoginRefused, Person
from appliances.common.client import EndpointError

SITE = "https://panel.test"
PASSWORD = "a password for tests"


class FakeAuthority:
    """Tokens are names: `token-of-<login>`. `away`: auth does not answer; `blocked`: seconds to wait."""

    def __init__(self) -> None:
        self.away = False
        self.blocked: int | None = None
        self.asked_from: list[str] = []
        later = datetime.now(UTC) + timedelta(hours=1)
        self.people = {
            "token-of-anna": Person("anna", "Анна", "session", frozenset({"administrator"}), expires_at=later),
            "token-of-oleg": Person("oleg", "Олег", "session", frozenset({"operator"}), expires_at=later),
            "token-of-script": Person("anna", "Анна", "api", scopes=frozenset({"thing:read"}), expires_at=later),
        }

    def login(self, login: str, password: str, address: str, browser: str) -> Issued:
        self._present()
        self.asked_from.append(address)
        if self.blocked or password != PASSWORD or f"token-of-{login}" not in self.people:
            raise LoginRefused(self.blocked)
        return Issued(f"token-of-{login}", datetime.now(UTC) + timedelta(hours=1))

    def logout(self, token: str) -> None:
        self._present()
        self.people.pop(token, None)

    def introspect(self, token: str) -> Person | None:
        self._present()
        return self.people.get(token)

    def _present(self) -> None:
        if self.away:
            raise EndpointError("web.auth", "no answer from https://198.18.82.2:443: Connection refused")


def sign_in(client: FlaskClient, login: str) -> None:
    """Put the session cookie of `login` into the test browser."""
    client.set_cookie(COOKIE, f"token-of-{login}", domain="panel.test", secure=True)


def form_token(client: FlaskClient, path: str = "/login") -> str:
    """The CSRF token that a page of this browser carries."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path, base_url=SITE).text)
    assert found, f"{path} has no form"
    return found[1]
