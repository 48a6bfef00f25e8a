"""Answers of auth are believed for half a minute, and never longer; without an answer nobody is let in."""

from __future__ import annotations

from typing import Any

import pytest

from appliances.common.authority import CACHE_SECONDS, LoginRefused, RemoteAuthority
from appliances.common.client import EndpointError

ANNA = {
    "active": True,
    "kind": "session",
    "login": "anna",
    "name": "Анна",
    "roles": ["administrator"],
    "scopes": [],
    "expires_at": "2126-01-01T00:00:00+00:00",
}


class Auth:
    """The client of the endpoint web.auth: counts what it is asked, answers what the test says."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.answer: Any = ANNA

    def post(self, *path: str, json: Any = None, bearer: str | None = None, read_timeout: float = 6) -> Any:
        self.calls.append(path)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def auth() -> Auth:
    return Auth()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_good_answer_is_kept_for_half_a_minute(auth: Auth) -> None:
    clock = Clock()
    authority = RemoteAuthority(auth, clock)  # type: ignore[arg-type]
    first = authority.introspect("t")
    clock.now += CACHE_SECONDS - 1
    assert authority.introspect("t") == first
    assert len(auth.calls) == 1

    clock.now += 2
    auth.answer = {"active": False}
    assert authority.introspect("t") is None
    assert len(auth.calls) == 2


def test_a_bad_answer_is_not_kept(auth: Auth) -> None:
    authority = RemoteAuthority(auth)  # type: ignore[arg-type]
    auth.answer = {"active": False}
    assert authority.introspect("t") is None
    auth.answer = ANNA
    person = authority.introspect("t")
    assert person is not None
    assert person.roles == {"administrator"}


def test_when_auth_is_away_an_old_answer_is_not_enough(auth: Auth) -> None:
    clock = Clock()
    authority = RemoteAuthority(auth, clock)  # type: ignore[arg-type]
    authority.introspect("t")
    clock.now += CACHE_SECONDS + 1
    auth.answer = EndpointError("web.auth", "no answer")
    with pytest.raises(EndpointError):
        authority.introspect("t")


def test_signing_out_forgets_at_once(auth: Auth) -> None:
    authority = RemoteAuthority(auth)  # type: ignore[arg-type]
    authority.introspect("t")
    authority.logout("t")
    auth.answer = {"active": False}
    assert authority.introspect("t") is None


@pytest.mark.parametrize(("status", "body", "wait"), [(401, {}, None), (429, {"retry_after": 40}, 40)])
def test_refusals_of_the_api_become_refusals_here(
    auth: Auth, status: int, body: dict[str, int], wait: int | None
) -> None:
    auth.answer = EndpointError("web.auth", "no", status, body)
    with pytest.raises(LoginRefused) as caught:
        RemoteAuthority(auth).login("anna", "x", "", "")  # type: ignore[arg-type]
    assert caught.value.retry_after == wait
