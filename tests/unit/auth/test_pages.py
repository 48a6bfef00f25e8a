"""The pages of auth: password, sessions, tokens, journal."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from appliances.auth import accounts
from appliances.auth.pages import browser as browser_name
from appliances.auth.store import Store, moment
from appliances.common.auth import COOKIE
from tests.unit.auth.conftest import FIRST

SITE = "https://auth.test"
NEW = "horse battery staple"


def csrf(client: FlaskClient, path: str = "/profile") -> dict[str, str]:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path, base_url=SITE).text)
    assert found
    return {"csrf_token": found[1]}


@pytest.fixture
def signed_in(client: FlaskClient) -> FlaskClient:
    form = {"login": "administrator", "password": FIRST} | csrf(client, "/login")
    answer = client.post("/login", base_url=SITE, data=form, headers={"User-Agent": "X11; Linux Firefox/140.0"})
    assert answer.status_code == 303, answer.text
    return client


def change(client: FlaskClient, current: str, new: str, again: str) -> tuple[int, str]:
    form = {"current": current, "new": new, "again": again} | csrf(client)
    answer = client.post("/profile/password", base_url=SITE, data=form)
    return answer.status_code, answer.text


def test_the_password_given_out_at_installation_is_to_be_changed(signed_in: FlaskClient) -> None:
    assert "паролем, выданным при установке" in signed_in.get("/profile", base_url=SITE).text
    assert change(signed_in, FIRST, NEW, NEW)[0] == 303
    page = signed_in.get("/profile", base_url=SITE).text
    assert "паролем, выданным при установке" not in page
    assert "Пароль сменён." in page


def test_changing_the_password_ends_the_other_sessions(signed_in: FlaskClient, store: Store) -> None:
    other = accounts.sign_in(store, "administrator", FIRST, "192.0.2.7", "Firefox/1")
    change(signed_in, FIRST, NEW, NEW)

    assert signed_in.get("/profile", base_url=SITE).status_code == 200
    signed_in.set_cookie(COOKIE, other.token, domain="auth.test")
    assert signed_in.get("/profile", base_url=SITE).status_code == 303


def test_the_console_is_told_that_the_first_password_is_no_longer_good(signed_in: FlaskClient, store: Store) -> None:
    mark = store.path.parent / "administrator-password-changed"
    assert not mark.exists()
    change(signed_in, FIRST, "a much better password", "a much better password")
    assert mark.exists()


@pytest.mark.parametrize(
    ("current", "new", "again", "message"),
    [
        ("wrong", NEW, NEW, "Это не ваш текущий пароль."),
        (FIRST, NEW, "another one", "Новые пароли не совпадают."),
        (FIRST, "short", "short", "Слишком короткий"),
        (FIRST, "Administrator", "Administrator", "Слишком простой"),
        (FIRST, "aaaaaaaaaaaaa", "aaaaaaaaaaaaa", "Слишком простой"),
        (FIRST, "x" * 1001, "x" * 1001, "Слишком длинный"),
        (FIRST, FIRST, FIRST, "совпадает с текущим"),
    ],
)
def test_a_password_that_is_not_taken_is_explained(
    signed_in: FlaskClient, current: str, new: str, again: str, message: str
) -> None:
    status, page = change(signed_in, current, new, again)
    assert status == 422
    assert message in page
    assert f'value="{new}"' not in page


def test_the_profile_does_not_let_guess_the_password_forever(signed_in: FlaskClient) -> None:
    pages = [change(signed_in, f"guess {number}", NEW, NEW)[1] for number in range(6)]
    assert "Слишком много попыток." in pages[-1]
    assert "Слишком много попыток." not in pages[-2]


def test_another_session_can_be_ended(signed_in: FlaskClient, store: Store) -> None:
    accounts.sign_in(store, "administrator", FIRST, "192.0.2.7", "Android Chrome/140")
    page = signed_in.get("/sessions", base_url=SITE).text
    assert "Chrome, Android" in page
    assert "этот сеанс" in page
    (path,) = re.findall(r'action="(/sessions/\d+/end)"', page)

    assert signed_in.post(path, base_url=SITE, data=csrf(signed_in)).status_code == 303
    assert "192.0.2.7" not in signed_in.get("/sessions", base_url=SITE).text
    assert signed_in.post(path, base_url=SITE, data=csrf(signed_in)).status_code == 404


def test_a_token_is_shown_once(signed_in: FlaskClient) -> None:
    form = {"name": "1С: выгрузка", "scopes": "asr_billing:read", "days": "90"} | csrf(signed_in)
    issued = signed_in.post("/tokens", base_url=SITE, data=form).text
    found = re.search(r"<code>([\w-]{43})</code>", issued)
    assert found
    listed = signed_in.get("/tokens", base_url=SITE).text
    assert "1С: выгрузка" in listed
    assert found[1] not in listed

    (path,) = re.findall(r'action="(/tokens/\d+/revoke)"', listed)
    signed_in.post(path, base_url=SITE, data=csrf(signed_in))
    assert "Токенов пока нет" in signed_in.get("/tokens", base_url=SITE).text


def test_a_token_form_keeps_what_was_typed(signed_in: FlaskClient) -> None:
    form = {"name": "export", "scopes": "everything!", "days": "x"} | csrf(signed_in)
    answer = signed_in.post("/tokens", base_url=SITE, data=form)
    assert answer.status_code == 422
    assert 'value="everything!"' in answer.text
    assert "часть:право через пробел" in answer.text


def test_the_journal_tells_who_did_what_and_pages_back(signed_in: FlaskClient, store: Store) -> None:
    page = signed_in.get("/journal", base_url=SITE).text
    assert "Создана учётная запись" in page
    assert "Firefox, Linux" in page
    assert "Раньше" not in page

    with store.write() as db:
        for number in range(60):
            accounts.audit.add(db, datetime.now(UTC), f"somebody-{number}", "logout")
    newest = signed_in.get("/journal", base_url=SITE).text
    assert "somebody-59" in newest and "somebody-9<" not in newest
    older = re.search(r'href="(/journal\?before=\d+)"', newest)
    assert older
    assert "somebody-9<" in signed_in.get(older[1], base_url=SITE).text


def test_people_without_the_role_see_neither_tokens_nor_journal(client: FlaskClient, store: Store) -> None:
    now = moment(datetime.now(UTC))
    with store.write() as db:
        password = accounts.passwords.hashed(NEW)
        db.execute(
            "INSERT INTO account (login, name, password_hash, created_at, password_changed_at) VALUES (?, ?, ?, ?, ?)",
            ("oleg", "Олег", password, now, now),
        )
    issued = accounts.sign_in(store, "oleg", NEW, "", "")
    client.set_cookie(COOKIE, issued.token, domain="auth.test")
    assert client.get("/tokens", base_url=SITE).status_code == 403
    assert client.get("/journal", base_url=SITE).status_code == 403
    page = client.get("/profile", base_url=SITE)
    assert page.status_code == 200
    assert 'href="/tokens"' not in page.text


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 YaBrowser/25.1 Safari/537.36",
            "Yandex Browser, Windows",
        ),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome, Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", "Safari, iPhone"),
        ("curl/8", ""),
    ],
)
def test_browsers_have_the_names_that_people_use(user_agent: str, expected: str) -> None:
    assert browser_name(user_agent) == expected
