"""The API of auth as other appliances and programs use it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from appliances.auth import accounts, audit, tokens
from appliances.auth.policy import Policy
from appliances.auth.store import Store, moment
from tests.unit.auth.conftest import FIRST

SITE = "https://auth.test"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Accept-Language": "en"}


BASE = bearer("token-of-base")


def login(client: FlaskClient, password: str = FIRST, name: str = "administrator", **more: Any) -> Any:
    body = {"login": name, "password": password} | more
    return client.post("/api/v1/login", base_url=SITE, json=body, headers=BASE)


def introspect(client: FlaskClient, token: str) -> Any:
    return client.post("/api/v1/introspect", base_url=SITE, json={"token": token}, headers=BASE).json


def test_the_administrator_of_a_fresh_installation_signs_in(client: FlaskClient) -> None:
    answer = login(client)
    assert answer.status_code == 200
    assert answer.json["account"] == {"login": "administrator", "name": "Administrator", "roles": ["administrator"]}

    known = introspect(client, answer.json["token"])
    assert known["active"] is True
    assert (known["kind"], known["login"], known["roles"]) == ("session", "administrator", ["administrator"])
    assert known["must_change_password"] is True
    assert datetime.fromisoformat(known["expires_at"]) > datetime.now(UTC) + timedelta(hours=11)


def test_a_second_start_makes_no_second_administrator(store: Store) -> None:
    assert accounts.create_first_administrator(store, "another password", datetime.now(UTC)) is False
    assert len(store.read("SELECT * FROM account")) == 1


@pytest.mark.parametrize("name", ["administrator", "nobody"])
def test_wrong_password_and_unknown_login_look_the_same(client: FlaskClient, name: str) -> None:
    answer = login(client, "wrong", name)
    assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
    assert answer.json["title"] == "Login or password is wrong."


def test_an_unknown_login_costs_a_hash_too(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str | None] = []
    honest = accounts.passwords.matches

    def watched(stored: str | None, password: str) -> bool:
        verified.append(stored)
        return honest(stored, password)

    monkeypatch.setattr(accounts.passwords, "matches", watched)
    login(client, "wrong", "nobody")
    assert verified == [None]


def test_too_many_attempts_are_refused_even_with_the_right_password(client: FlaskClient, store: Store) -> None:
    for _ in range(5):
        assert login(client, "wrong").status_code == 401
    answer = login(client)
    assert answer.status_code == 429
    assert 1 <= answer.json["retry_after"] <= 5
    assert answer.headers["Retry-After"] == str(answer.json["retry_after"])
    assert audit.page(store)[0].action == "login.blocked"


def test_the_address_of_the_person_is_believed_from_our_appliances_only(client: FlaskClient, store: Store) -> None:
    login(client, address="203.0.113.5", browser="Firefox/1")
    body = {"login": "administrator", "password": FIRST, "address": "203.0.113.6"}
    client.post("/api/v1/login", base_url=SITE, json=body)

    newest, before = audit.page(store)[:2]
    assert (before.address, before.detail) == ("203.0.113.5", "Firefox/1")
    assert newest.address == "127.0.0.1"


def test_the_journal_keeps_no_mistyped_password(client: FlaskClient, store: Store) -> None:
    login(client, "wrong", "hunter2-typed-into-the-wrong-field")
    assert [entry.actor for entry in audit.page(store, size=1)] == ["?"]


def test_only_the_hash_of_a_token_is_stored(client: FlaskClient, store: Store) -> None:
    token = login(client).json["token"]
    assert len(token) >= 43  # 256 bits in base64
    row = store.one("SELECT * FROM token")
    assert row is not None
    assert row["hash"] == tokens.digest(token)
    assert token not in [str(value) for value in row]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), (bearer("token-of-nobody"), 401), (bearer("token-of-asr_billing"), 403), (BASE, 200)],
)
def test_only_a_service_with_the_scope_may_ask_who_somebody_is(
    client: FlaskClient, headers: dict[str, str], status: int
) -> None:
    answer = client.post("/api/v1/introspect", base_url=SITE, json={"token": "x"}, headers=headers)
    assert answer.status_code == status


def test_a_person_may_not_introspect(client: FlaskClient) -> None:
    headers = bearer(login(client).json["token"])
    assert client.post("/api/v1/introspect", base_url=SITE, json={"token": "x"}, headers=headers).status_code == 403


def test_a_service_token_introspects_as_its_appliance(client: FlaskClient) -> None:
    known = introspect(client, "token-of-base")
    assert (known["kind"], known["login"], known["roles"], known["scopes"]) == ("service", "base", [], ["introspect"])


def test_after_signing_out_the_token_is_dead(client: FlaskClient) -> None:
    token = login(client).json["token"]
    assert client.post("/api/v1/logout", base_url=SITE, headers=bearer(token)).status_code == 204
    assert introspect(client, token) == {"active": False}
    assert client.post("/api/v1/logout", base_url=SITE, headers=bearer(token)).status_code == 401


@pytest.mark.parametrize(
    ("column", "age"),
    [("expires_at", timedelta(0)), ("last_seen_at", Policy().session_idle), ("revoked_at", timedelta(seconds=1))],
)
def test_a_session_ends_by_age_by_idleness_and_by_being_revoked(
    client: FlaskClient, store: Store, column: str, age: timedelta
) -> None:
    token = login(client).json["token"]
    with store.write() as db:
        db.execute(f"UPDATE token SET {column} = ?", (moment(datetime.now(UTC) - age),))
    assert introspect(client, token) == {"active": False}


def test_being_used_keeps_a_session_awake(client: FlaskClient, store: Store) -> None:
    token = login(client).json["token"]
    with store.write() as db:
        db.execute("UPDATE token SET last_seen_at = ?", (moment(datetime.now(UTC) - timedelta(hours=3)),))
    assert introspect(client, token)["active"] is True
    row = store.one("SELECT last_seen_at FROM token")
    assert row is not None
    assert datetime.fromisoformat(row["last_seen_at"]) > datetime.now(UTC) - timedelta(minutes=1)


def test_the_session_of_a_disabled_account_is_dead(client: FlaskClient, store: Store) -> None:
    token = login(client).json["token"]
    with store.write() as db:
        db.execute("UPDATE account SET disabled_at = ?", (moment(datetime.now(UTC)),))
    assert introspect(client, token) == {"active": False}
    assert login(client).status_code == 401


def test_a_token_for_a_program_lives_from_issue_to_revocation(client: FlaskClient) -> None:
    session = bearer(login(client).json["token"])
    asked = {"name": "export", "scopes": ["asr_billing:read"], "days": 90}
    issued = client.post("/api/v1/tokens", base_url=SITE, json=asked, headers=session)
    assert issued.status_code == 201
    assert (issued.json["name"], issued.json["scopes"]) == ("export", ["asr_billing:read"])

    known = introspect(client, issued.json["token"])
    assert (known["kind"], known["roles"], known["scopes"]) == ("api", [], ["asr_billing:read"])

    (listed,) = client.get("/api/v1/tokens", base_url=SITE, headers=session).json["tokens"]
    assert listed["id"] == issued.json["id"]
    assert "token" not in listed

    path = f"/api/v1/tokens/{listed['id']}"
    assert client.delete(path, base_url=SITE, headers=session).status_code == 204
    assert client.delete(path, base_url=SITE, headers=session).status_code == 404
    assert introspect(client, issued.json["token"]) == {"active": False}


def test_a_token_cannot_make_tokens_nor_sign_out(client: FlaskClient) -> None:
    session = bearer(login(client).json["token"])
    asked = {"name": "export", "scopes": ["asr_billing:read"]}
    program = bearer(client.post("/api/v1/tokens", base_url=SITE, json=asked, headers=session).json["token"])
    assert client.post("/api/v1/tokens", base_url=SITE, json=asked, headers=program).status_code == 403
    assert client.get("/api/v1/tokens", base_url=SITE, headers=program).status_code == 403
    assert client.post("/api/v1/logout", base_url=SITE, headers=program).status_code == 403


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["introspect"]}, "scopes"),
        ({"scopes": ["a:b c:d"]}, "scopes"),
        ({"days": 100000}, "days"),
    ],
)
def test_a_token_that_cannot_be_issued_names_the_field(client: FlaskClient, change: dict[str, Any], field: str) -> None:
    session = bearer(login(client).json["token"])
    asked = {"name": "export", "scopes": ["asr_billing:read"], "days": 30} | change
    answer = client.post("/api/v1/tokens", base_url=SITE, json=asked, headers=session)
    assert (answer.status_code, answer.json["detail"]) == (422, f"Wrong value: {field}")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"x=1", "application/x-www-form-urlencoded", 415),
        (b"{}", "application/json", 422),
    ],
)
def test_a_body_that_is_none_is_refused_exactly(client: FlaskClient, body: bytes, kind: str, status: int) -> None:
    answer = client.post("/api/v1/login", base_url=SITE, data=body, content_type=kind)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    if status == 422:
        assert [error["field"] for error in answer.json["errors"]] == ["login", "password"]


def test_healthz_writes_to_the_database(client: FlaskClient, store: Store) -> None:
    answer = client.get("/healthz", base_url=SITE)
    assert answer.status_code == 200, answer.text
    assert answer.json["checks"]["database"] == {"ok": True, "detail": "migration 3"}
    assert store.one("SELECT at FROM probe") is not None


def test_healthz_fails_when_the_database_takes_no_writes(client: FlaskClient, store: Store) -> None:
    with store.write() as db:
        db.execute("DROP TABLE probe")
    answer = client.get("/healthz", base_url=SITE)
    assert answer.status_code == 503
    assert answer.json["checks"]["database"]["ok"] is False
