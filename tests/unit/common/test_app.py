"""The shape that make_app gives every app: headers, errors, forms, languages, health, logs, guards."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from pathlib import Path

import pytest
from flask import Flask, g
from flask.testing import FlaskClient

from appliances.common import logs, ui
from appliances.common.app import Section, make_app
from appliances.common.auth import COOKIE, login_required, roles_required, token_required
from appliances.common.client import EndpointError
from appliances.common.health import Health
from appliances.common.i18n import lazy
from appliances.common.settings import Settings
from tests.unit.common import etc_asrbox
from tests.unit.common.people import PASSWORD, SITE, FakeAuthority, form_token, sign_in


@pytest.fixture
def people() -> FakeAuthority:
    return FakeAuthority()


@pytest.fixture
def app(tmp_path: Path, people: FakeAuthority) -> Flask:
    settings = Settings.load(etc_asrbox.write(tmp_path, "base"))
    sections = [Section("things", lazy("Sections"))]
    app = make_app("appliances.common", settings, sections=sections, checks={"thing": lambda: "fine"}, authority=people)

    @app.get("/")
    @login_required
    def things() -> str:
        return f"hello {g.person.name}"

    @app.post("/things")
    @roles_required("administrator")
    def change() -> str:
        return "changed"

    @app.get("/api/v1/things")
    @token_required("thing:read")
    def api() -> dict[str, str]:
        return {"login": g.person.login}

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("a secret detail")

    @app.get("/api/v1/broken")
    def api_broken() -> str:
        raise RuntimeError("a secret detail")

    @app.get("/other")
    def other() -> str:
        raise EndpointError("agent.host", "no answer")

    return app


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return app.test_client()


def test_every_answer_is_protected_by_headers(browser: FlaskClient) -> None:
    for path in ("/login", "/nothing", "/healthz", "/ui/static/ui.css"):
        headers = browser.get(path, base_url=SITE).headers
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Strict-Transport-Security" not in headers, "with a certificate of the own CA nobody would get in again"


def test_pages_have_no_inline_script_or_style(browser: FlaskClient) -> None:
    page = browser.get("/login", base_url=SITE).text
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", page)


def test_a_stranger_is_sent_to_the_sign_in_and_back(browser: FlaskClient) -> None:
    answer = browser.get("/?q=a%26b", base_url=SITE)
    assert (answer.status_code, answer.location) == (303, "/login?next=/%3Fq%3Da%2526b")


def test_a_stranger_behind_a_fragment_sends_the_whole_page(browser: FlaskClient) -> None:
    answer = browser.get("/", base_url=SITE, headers={"HX-Request": "true", "HX-Current-URL": f"{SITE}/list?page=2"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/login?next=/list%3Fpage%3D2"


def test_signing_in_sets_the_cookie_and_goes_on(browser: FlaskClient, people: FakeAuthority) -> None:
    form = {"login": "anna", "password": PASSWORD, "next": "/things?x=1", "csrf_token": form_token(browser)}
    answer = browser.post("/login", base_url=SITE, data=form)

    assert (answer.status_code, answer.location) == (303, "/things?x=1")
    cookie = next(line for line in answer.headers.getlist("Set-Cookie") if line.startswith(f"{COOKIE}="))
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert browser.get("/", base_url=SITE).text == "hello Анна"
    assert people.asked_from == ["127.0.0.1"]


@pytest.mark.parametrize(
    "target", ["https://evil.test/", "//evil.test", "/\\evil.test", "/\t/evil.test", "javascript:alert(1)", "evil", ""]
)
def test_no_redirect_leads_elsewhere(browser: FlaskClient, target: str) -> None:
    form = {"login": "anna", "password": PASSWORD, "next": target, "csrf_token": form_token(browser)}
    assert browser.post("/login", base_url=SITE, data=form).location == "/"


def test_wrong_password_keeps_the_login_and_says_so(browser: FlaskClient) -> None:
    form = {"login": "anna", "password": "no", "csrf_token": form_token(browser)}
    answer = browser.post("/login", base_url=SITE, data=form)
    assert answer.status_code == 401
    assert "Неверный логин или пароль." in answer.text
    assert 'value="anna"' in answer.text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "через 1 секунду."), (22, "через 22 секунды."), (90, "через 2 минуты."), (600, "10 минут.")],
)
def test_too_many_attempts_say_how_long_to_wait(
    browser: FlaskClient, people: FakeAuthority, seconds: int, text: str
) -> None:
    people.blocked = seconds
    form = {"login": "anna", "password": PASSWORD, "csrf_token": form_token(browser)}
    answer = browser.post("/login", base_url=SITE, data=form)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, str(seconds))
    assert text in answer.text


def test_signing_out_ends_the_session(browser: FlaskClient, people: FakeAuthority) -> None:
    sign_in(browser, "anna")
    token = form_token(browser, "/nothing")
    assert browser.post("/logout", base_url=SITE, data={"csrf_token": token}).location == "/login"
    assert "token-of-anna" not in people.people
    assert browser.get("/", base_url=SITE).status_code == 303


def test_without_auth_nobody_is_let_in(browser: FlaskClient, people: FakeAuthority) -> None:
    sign_in(browser, "anna")
    people.away = True
    answer = browser.get("/", base_url=SITE)
    assert answer.status_code == 503
    assert "Вход не отвечает" in answer.text


def test_an_api_token_in_a_cookie_is_no_session(browser: FlaskClient) -> None:
    sign_in(browser, "script")
    assert browser.get("/", base_url=SITE).status_code == 303


def test_a_form_needs_the_token_of_its_page(browser: FlaskClient) -> None:
    sign_in(browser, "anna")
    token = form_token(browser, "/nothing")

    assert browser.post("/things", base_url=SITE).status_code == 400
    assert browser.post("/things", base_url=SITE, data={"csrf_token": "guess"}).status_code == 400
    assert browser.post("/things", base_url=SITE, data={"csrf_token": token}).text == "changed"
    assert browser.post("/things", base_url=SITE, headers={"X-CSRF-Token": token}).text == "changed"


def test_another_port_of_the_same_host_is_another_origin(browser: FlaskClient) -> None:
    sign_in(browser, "anna")
    form = {"csrf_token": form_token(browser, "/nothing")}
    answer = browser.post("/things", base_url=SITE, data=form, headers={"Origin": f"{SITE}:8442"})
    assert answer.status_code == 400
    assert browser.post("/things", base_url=SITE, data=form, headers={"Origin": SITE}).text == "changed"


def test_a_role_is_required(browser: FlaskClient) -> None:
    sign_in(browser, "oleg")
    answer = browser.post("/things", base_url=SITE, data={"csrf_token": form_token(browser, "/nothing")})
    assert answer.status_code == 403
    assert "Нет прав" in answer.text


def test_the_api_takes_bearer_tokens_only(browser: FlaskClient) -> None:
    sign_in(browser, "anna")
    refused = browser.get("/api/v1/things", base_url=SITE)
    assert (refused.status_code, refused.content_type) == (401, "application/problem+json")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")

    taken = browser.get("/api/v1/things", base_url=SITE, headers={"Authorization": "Bearer token-of-script"})
    assert taken.json == {"login": "anna"}


def test_a_token_without_the_scope_is_told_what_is_missing(browser: FlaskClient) -> None:
    headers = {"Authorization": "Bearer token-of-oleg", "Accept-Language": "en"}
    answer = browser.get("/api/v1/things", base_url=SITE, headers=headers)
    problem = json.loads(answer.text)
    assert answer.status_code == 403
    assert problem["detail"] == "Missing: thing:read"
    assert problem["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("path", ["/broken", "/api/v1/broken"])
def test_a_failure_shows_its_number_and_no_secrets(
    browser: FlaskClient, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = browser.get(path, base_url=SITE)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["X-Request-Id"] in answer.text


def test_another_part_that_is_away_is_named(browser: FlaskClient) -> None:
    answer = browser.get("/other", base_url=SITE)
    assert answer.status_code == 503
    assert "agent.host" in answer.text


def test_requests_are_logged_as_one_json_line(app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()  # pytest's stdout of this very test
    browser = app.test_client()
    sign_in(browser, "oleg")
    browser.get("/", base_url=SITE, headers={"X-Request-Id": "abcd-1234"})
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert (line["method"], line["path"], line["status"], line["login"]) == ("GET", "/", 200, "oleg")
    assert line["request_id"] == "abcd-1234"
    assert line["ms"] >= 0


@pytest.mark.parametrize("forged", ["short", "x" * 65, 'with "quotes" in it'])
def test_a_strange_request_id_is_replaced(browser: FlaskClient, forged: str) -> None:
    answer = browser.get("/healthz", base_url=SITE, headers={"X-Request-Id": forged})
    assert answer.headers["X-Request-Id"] != forged


@pytest.mark.parametrize(
    ("cookie", "accepts", "expected"),
    [
        ("", "", "ru"),
        ("", "en-GB,en;q=0.9", "en"),
        ("", "de", "ru"),
        ("ru", "en", "ru"),
        ("en", "ru", "en"),
        ("xx", "en", "en"),
    ],
)
def test_language_is_the_cookie_then_the_browser_then_russian(
    browser: FlaskClient, cookie: str, accepts: str, expected: str
) -> None:
    if cookie:
        browser.set_cookie("asrbox-language", cookie, domain="panel.test")
    page = browser.get("/login", base_url=SITE, headers={"Accept-Language": accepts}).text
    assert f'<html lang="{expected}"' in page
    assert ("Пароль" in page) == (expected == "ru")


def test_preferences_are_kept_for_all_appliances(browser: FlaskClient) -> None:
    form = {"csrf_token": form_token(browser), "theme": "dark", "next": "/login"}
    answer = browser.post("/ui/preferences", base_url=SITE, data=form)
    assert answer.location == "/login"
    assert 'data-theme="dark"' in browser.get("/login", base_url=SITE).text

    browser.post("/ui/preferences", base_url=SITE, data=form | {"theme": "<script>"})
    assert 'data-theme="dark"' in browser.get("/login", base_url=SITE).text


def test_the_switcher_leads_to_the_paths_of_the_others(browser: FlaskClient) -> None:
    sign_in(browser, "anna")
    browser.get("/", base_url=SITE)
    page = browser.get("/login?next=/x", base_url=SITE)
    assert page.status_code == 302  # whoever is signed in does not sign in again
    with browser.application.test_request_context("/", base_url=SITE):
        urls = {one.name: one.url for one in ui.neighbours(browser.application.extensions["asrbox-settings"])}
    assert urls == {"base": "/", "auth": "/auth/", "asr_billing": "/billing/"}


def test_static_files_are_kept_for_a_year_by_their_contents(browser: FlaskClient) -> None:
    page = browser.get("/login", base_url=SITE).text
    for url in re.findall(r'(?:href|src)="(/ui/static/[^"#]+)', page):
        answer = browser.get(url.replace("&amp;", "&"), base_url=SITE)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]


def test_vendored_files_are_those_of_the_readme() -> None:
    folder = Path(ui.__file__).parent / "static" / "vendor"
    listed = dict(
        re.findall(r"^\| `([\w.-]+)` .*`([0-9a-f]{64})` \|$", (folder / "README.md").read_text(), re.MULTILINE)
    )
    present = {file.name for file in folder.iterdir() if not file.name.startswith(("LICENSE", "README"))}
    assert set(listed) == present
    for name, expected in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected, name


def test_every_icon_of_the_templates_is_in_the_sprite() -> None:
    appliances = Path(ui.__file__).parents[2]
    sprite = (Path(ui.__file__).parent / "static" / "vendor" / "icons.svg").read_text()
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', sprite))
    used = {
        name
        for template in appliances.rglob("templates/**/*.html")
        for name in re.findall(r'icon\("([\w-]+)"', template.read_text())
    }
    assert used - drawn == set()


def test_healthz_passes_when_every_check_does(browser: FlaskClient) -> None:
    answer = browser.get("/healthz", base_url=SITE)
    assert answer.status_code == 200
    assert answer.json == {"status": "ok", "checks": {"thing": {"ok": True, "detail": "fine"}}}


def test_a_check_that_fails_or_hangs_is_reported_in_time_and_not_piled_up() -> None:
    started, release = [], threading.Event()

    def hangs() -> str:
        started.append(1)
        release.wait(10)
        return "back"

    def fails() -> str:
        raise RuntimeError("the disk is full")

    health = Health({"hangs": hangs, "fails": fails}, deadline=0.05)
    try:
        for _ in range(3):
            outcome = health.run()
            assert outcome["fails"] == {"ok": False, "detail": "the disk is full"}
            assert outcome["hangs"]["detail"].startswith("no answer for")
        assert started == [1]
    finally:
        release.set()
