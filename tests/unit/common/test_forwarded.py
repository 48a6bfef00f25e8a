"""Behind the host's entry an appliance has a path of its own on the site; nobody else can pretend to be the entry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient

from appliances.common.app import Section, make_app
from appliances.common.auth import COOKIE, login_required
from appliances.common.forwarded import CLIENT_KEY
from appliances.common.i18n import lazy
from appliances.common.settings import Settings
from tests.unit.common import etc_asrbox
from tests.unit.common.people import PASSWORD, FakeAuthority

HOST = "198.18.80.1"
TOLD = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "isp.example:8443",
    "X-Forwarded-Prefix": "/billing",
}


@pytest.fixture
def people() -> FakeAuthority:
    return FakeAuthority()


@pytest.fixture
def app(tmp_path: Path, people: FakeAuthority) -> Flask:
    settings = Settings.load(etc_asrbox.write(tmp_path, "asr_billing", host=HOST))
    sections = [Section("things", lazy("Sections"))]
    app = make_app("appliances.common", settings, sections=sections, checks={}, authority=people)

    @app.get("/")
    @login_required
    def things() -> str:
        return "hello"

    @app.get("/seen")
    def seen() -> dict[str, object]:
        told = sorted(name for name, _value in request.headers if name.startswith(("X-", "Forwarded")))
        client = request.environ.get(CLIENT_KEY)
        return {"from": request.remote_addr, "url": request.url, "headers": told, "client": client}

    @app.get("/events")
    def events() -> Response:
        return Response("data: 1\n\n", mimetype="text/event-stream")

    return app


@pytest.fixture
def behind(app: Flask) -> FlaskClient:
    """A browser whose requests come by the entry."""
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = HOST
    client.environ_base.update({f"HTTP_{name.upper().replace('-', '_')}": value for name, value in TOLD.items()})
    return client


def test_the_entry_is_believed(behind: FlaskClient) -> None:
    seen = behind.get("/seen", headers={"X-Asrbox-Client": "CN=payments", "X-Real-IP": "1.1.1.1"}).json
    assert seen == {
        "from": "203.0.113.9",
        "url": "https://isp.example:8443/billing/seen",
        "headers": [],
        "client": "CN=payments",
    }


@pytest.mark.parametrize("address", ["198.18.82.2", "127.0.0.1", "", "198.18.80.1, 198.18.80.1"])
def test_a_neighbour_that_calls_directly_is_not_believed(app: Flask, address: str) -> None:
    forged = TOLD | {"X-Asrbox-Client": "CN=payments", "Forwarded": "for=1.1.1.1"}
    seen = app.test_client().get("/seen", headers=forged, environ_base={"REMOTE_ADDR": address}).json
    assert seen == {"from": address, "url": "http://localhost/seen", "headers": [], "client": None}


def test_nobody_is_believed_where_the_host_is_not_known(tmp_path: Path, people: FakeAuthority) -> None:
    folder = etc_asrbox.write(tmp_path, "base")
    (folder / "appliance.json").write_text((folder / "appliance.json").read_text().replace(f'"host": "{HOST}", ', ""))
    settings = Settings.load(folder)
    assert settings.host is None
    app = make_app("appliances.common", settings, sections=[], checks={}, authority=people)
    answer = app.test_client().get("/nothing", headers=TOLD, environ_base={"REMOTE_ADDR": HOST})
    assert "/billing/" not in re.sub(r'<nav aria-label="[^"]*">.*?</nav>', "", answer.text, flags=re.DOTALL)


def test_every_link_of_a_page_stays_below_the_prefix(behind: FlaskClient) -> None:
    page = behind.get("/login?next=/billing/x")
    links = re.findall(r'(?:href|src|action|hx-get)="([^"#]+)"', page.text)
    assert "/billing/login" in links
    assert [link for link in links if not link.startswith("/billing/")] == []
    assert 'value="/billing/login?next=/billing/x"' in page.text, "the form of preferences comes back to this page"


def test_a_stranger_is_sent_to_the_sign_in_below_the_prefix_and_back(behind: FlaskClient) -> None:
    assert behind.get("/?q=a").location == "/billing/login?next=/billing/%3Fq%3Da"
    fragment = {"HX-Request": "true", "HX-Current-URL": "https://isp.example:8443/billing/list?page=2"}
    assert behind.get("/", headers=fragment).headers["HX-Redirect"] == "/billing/login?next=/billing/list%3Fpage%3D2"

    token = re.search(r'name="csrf_token" value="([^"]+)"', behind.get("/login", base_url=SITE).text)
    assert token
    form = {"login": "anna", "password": PASSWORD, "next": "", "csrf_token": token[1]}
    answer = behind.post("/login", data=form, base_url=SITE, headers={"Origin": "https://isp.example:8443"})
    assert (answer.status_code, answer.location) == (303, "/billing/"), "without a target: the first page of this part"
    assert behind.get("/", base_url=SITE).text == "hello"


SITE = "https://isp.example:8443"


def test_cookies_are_for_the_whole_site_and_of_different_names(behind: FlaskClient, people: FakeAuthority) -> None:
    token = re.search(r'name="csrf_token" value="([^"]+)"', (first := behind.get("/login", base_url=SITE)).text)
    assert token
    form = {"login": "anna", "password": PASSWORD, "next": "/billing/", "csrf_token": token[1]}
    answer = behind.post("/login", data=form, base_url=SITE)
    cookies = [*first.headers.getlist("Set-Cookie"), *answer.headers.getlist("Set-Cookie")]
    assert {line.split("=")[0] for line in cookies} == {"__Host-asrbox-asr_billing", COOKIE}
    for line in cookies:
        assert {"Secure", "HttpOnly", "Path=/"} <= set(line.split("; "))
        assert "Domain" not in line
    assert people.asked_from == ["203.0.113.9"]


def test_events_are_not_held_back_by_the_entry(behind: FlaskClient) -> None:
    assert behind.get("/events").headers["X-Accel-Buffering"] == "no"
    assert "X-Accel-Buffering" not in behind.get("/seen").headers
