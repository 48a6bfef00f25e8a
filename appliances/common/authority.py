"""Who is calling: the questions every appliance asks `auth`, and the answers."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from appliances.common.client import EndpointClient, EndpointError

CACHE_SECONDS = 30.0  # so long an answer of auth is believed; a revoked token may live on for that time
CACHE_ENTRIES = 2000
LOGIN_TIMEOUT = 30.0  # seconds: a password is hashed slowly on purpose, and slower on a busy host


@dataclass(frozen=True)
class Person:
    """The holder of a token: a member of staff (kind session or api) or another appliance (kind service)."""

    login: str
    name: str
    kind: str
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    expires_at: datetime | None = None
    must_change_password: bool = False

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Person | None:
        """Read what POST /api/v1/introspect says; None for a token that is not active."""
        if answer.get("active") is not True:
            return None
        expires_at = answer.get("expires_at")
        return cls(
            login=answer["login"],
            name=answer["name"],
            kind=answer["kind"],
            roles=frozenset(answer["roles"]),
            scopes=frozenset(answer["scopes"]),
            expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
            must_change_password=bool(answer.get("must_change_password")),
        )


@dataclass(frozen=True)
class Issued:
    """A session that was just opened: the opaque token, known to nobody else, and when it ends."""

    token: str
    expires_at: datetime


class LoginRefused(Exception):
    """Login or password is wrong, or too many attempts were made: then `retry_after` is in seconds."""

    def __init__(self, retry_after: int | None = None) -> None:
        super().__init__("too many attempts" if retry_after else "wrong login or password")
        self.retry_after = retry_after


class Authority(Protocol):
    """What an app needs to know people by. EndpointError means: nobody can tell now, so nobody is let in."""

    def login(self, login: str, password: str, address: str, browser: str) -> Issued:
        """Open a session. Raises LoginRefused."""

    def logout(self, token: str) -> None:
        """End the session of `token`, if there is one."""

    def introspect(self, token: str) -> Person | None:
        """The holder of `token`, or None when it is unknown, revoked or expired."""


class RemoteAuthority:
    """`auth` over its endpoint. Good answers are kept for CACHE_SECONDS; without any answer nobody is let in."""

    def __init__(self, client: EndpointClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known: dict[str, tuple[float, Person]] = {}
        self._lock = threading.Lock()

    def login(self, login: str, password: str, address: str, browser: str) -> Issued:
        body = {"login": login, "password": password, "address": address, "browser": browser}
        try:
            answer = self._client.post("login", json=body, read_timeout=LOGIN_TIMEOUT)
        except EndpointError as error:
            if error.status in (401, 429):
                raise LoginRefused(error.body.get("retry_after")) from error
            raise
        return Issued(answer["token"], datetime.fromisoformat(answer["expires_at"]))

    def logout(self, token: str) -> None:
        with self._lock:
            self._known.pop(_digest(token), None)
        try:
            self._client.post("logout", bearer=token)
        except EndpointError as error:
            if error.status != 401:  # 401: it had ended already
                raise

    def introspect(self, token: str) -> Person | None:
        key, now = _digest(token), self._clock()
        with self._lock:
            until, person = self._known.get(key, (0.0, None))
            if person is not None and now < until:
                return person
        fresh = Person.from_answer(self._client.post("introspect", json={"token": token}))
        with self._lock:
            self._known.pop(key, None)
            if fresh is not None:
                if len(self._known) >= CACHE_ENTRIES:
                    self._known.clear()
                self._known[key] = (now + CACHE_SECONDS, fresh)
        return fresh


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
