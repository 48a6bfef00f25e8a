"""The entry, for real: nginx with the agent's configuration, daemons behind it, browsers and programs before it."""

from __future__ import annotations

import re
import socket
import ssl
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
import requests

from appliances.base.agent import ca, checks, entry, entryservice, outsidecert
from appliances.base.agent.errors import AgentError
from tests.browser import chromium
from tests.conftest import ROOT, Built
from tests.containers.gallery import look, speak
from tests.services.entry_house import CLIENT_PORT, EntryHouse, connected, echoing, entry_house
from tests.services.web_daemons import Authority, free_port, running
from tests.unit.common import etc_asrbox

FIRST = "first-password"
PICTURES = ROOT / "build" / "test-logs" / "entry"


@pytest.fixture(scope="module")
def house(built: Built) -> Iterator[EntryHouse]:
    """A host whose root is an echo, with another echo at a port of its own; each test leaves it so."""
    with (
        pytest.MonkeyPatch.context() as patch,
        echoing() as port,
        tempfile.TemporaryDirectory(prefix="asrbox-entry-") as folder,  # pytest closes its own to other users
        entry_house(built.host_tree, Path(folder), patch) as made,
    ):
        plain = {"protocol": "http", "port": port}
        made.daemons = {
            "base": {**plain, "publish": {"path": "/"}},
            "echo": {**plain, "publish": {"path": "/echo"}},
            "pay": {**plain, "publish": {"port": CLIENT_PORT, "client_certificate": "required"}},
            "away": {"port": free_port(), "publish": {"path": "/away"}},
        }
        assert made.ensure(), made.said
        yield made


def test_a_path_leads_to_its_daemon_without_the_path(house: EntryHouse) -> None:
    assert house.get("/x/y?z=%26").json()["path"] == "/x/y?z=%26"
    assert house.get("/echo/x/y?z=1").json()["path"] == "/x/y?z=1"
    answer = house.get("/echo?z=1")
    assert (answer.status_code, answer.headers["Location"]) == (308, "/echo/?z=1")
    assert house.get("/echoes").json()["path"] == "/echoes", "which is base's"


def test_a_daemon_is_told_who_asks_and_callers_cannot_say_otherwise(house: EntryHouse) -> None:
    forged = {
        "X-Forwarded-For": "1.1.1.1", "X-Forwarded-Host": "evil.test", "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Proto": "http", "X-Asrbox-Client": "CN=root", "X_Asrbox_Client": "CN=root", "X-Real-IP": "1.1.1.1",
        "Forwarded": "for=1.1.1.1", "Host": "isp.example:8443",
    }  # fmt: skip
    told = house.get("/echo/", headers=forged).json()["headers"]
    assert told["x-forwarded-for"].startswith("127.")
    assert told["x-forwarded-host"] == "isp.example:8443"
    assert told["x-forwarded-prefix"] == "/echo"
    assert told["x-forwarded-proto"] == "https"
    assert not {"x-asrbox-client", "x_asrbox_client", "x-real-ip", "forwarded"} & set(told)


def test_port_80_leads_to_https_but_for_acme(house: EntryHouse) -> None:
    answer = house.get("/billing/?a=1", port=80, headers={"Host": "isp.example"})
    assert (answer.status_code, answer.headers["Location"]) == (308, "https://isp.example/billing/?a=1")

    (house.paths.challenges / "token-1").write_text("token-1.thumb")
    answer = house.get("/.well-known/acme-challenge/token-1", port=80)
    assert (answer.status_code, answer.text) == (200, "token-1.thumb")
    assert house.get("/.well-known/acme-challenge/other", port=80).status_code == 404
    assert house.get("/.well-known/acme-challenge/../../entry/current/certificate.pem", port=80).status_code != 200
    assert house.get("/.well-known/acme-challenge/..%2f..%2fentry/current/certificate.pem", port=80).status_code != 200


def test_events_pass_one_by_one(house: EntryHouse) -> None:
    answer = house.get("/echo/events", stream=True)
    lines = answer.iter_lines(chunk_size=1)
    assert next(lines) == b"data: 1", "while the daemon waits with the second"
    answer.close()


def test_a_web_socket_passes_and_other_upgrades_do_not(house: EntryHouse) -> None:
    def upgraded(to: str) -> bytes:
        with connected(house) as plug:
            plug.sendall(
                b"GET /echo/ws HTTP/1.1\r\nHost: box.example\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\nabcd"
                % to.encode()
            )
            found = b""
            while not found.endswith((b"dcba", b"}")) and (more := plug.recv(4096)):
                found += more
            return found

    assert upgraded("websocket").startswith(b"HTTP/1.1 101 ")
    refused = upgraded("h2c")
    assert refused.startswith(b"HTTP/1.1 200 ")
    assert b'"upgrade"' not in refused


def test_bodies_are_bounded(house: EntryHouse) -> None:
    assert house.ask("POST", "/echo/", data=b"x" * (2 << 20)).json() == {"length": 2 << 20}
    assert house.ask("POST", "/echo/", data=b"x" * (9 << 20)).status_code == 413


def test_old_tls_is_refused_and_new_speaks_http_2(house: EntryHouse) -> None:
    with connected(house) as plug:
        assert plug.version() == "TLSv1.3"
    context = ssl.create_default_context(cafile=str(house.paths.ca / "ca.crt"))
    context.set_alpn_protocols(["h2"])
    with context.wrap_socket(socket.create_connection((house.address, 443)), server_hostname="box.example") as plug:
        assert plug.selected_alpn_protocol() == "h2"
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(socket.create_connection((house.address, 443)), server_hostname="box.example")


def test_a_daemon_without_headers_gets_sane_ones_and_no_hsts_for_the_own_ca(house: EntryHouse) -> None:
    headers = house.get("/echo/").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "Strict-Transport-Security" not in headers
    assert headers["Server"] in ("nginx", "BaseHTTP/0.6") or "nginx/" not in headers["Server"]


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ({}, "ru"),
        ({"Accept-Language": "en-GB,en;q=0.9"}, "en"),
        ({"Accept-Language": "de,en;q=0.5"}, "en"),
        ({"Accept-Language": "ru,en;q=0.5"}, "ru"),
        ({"Accept-Language": "de"}, "ru"),
        ({"Accept-Language": "ru", "Cookie": "a=b; asrbox-language=en"}, "en"),
        ({"Accept-Language": "en", "Cookie": "asrbox-language=ru; c=d"}, "ru"),
        ({"Accept-Language": "en", "Cookie": "not-asrbox-language=ru"}, "en"),
    ],
)
def test_who_meets_a_dead_appliance_reads_a_page_in_his_language(
    house: EntryHouse, headers: dict[str, str], language: str
) -> None:
    answer = house.get("/away/some/page", headers=headers)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert f'<html lang="{language}"' in answer.text
    assert ("не отвечает" in answer.text) == (language == "ru")
    assert answer.headers["Retry-After"] == "10"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "nginx" not in answer.text
    for link in re.findall(r'(?:src|href)="(/\.asrbox/[^"]+)"', answer.text):
        assert house.get(link).status_code == 200


def test_the_page_of_a_dead_appliance_is_for_everybody(house: EntryHouse, tmp_path: Path) -> None:
    axe = resources.files("selenium_axe_python").joinpath("axe-core/axe.min.js").read_text(encoding="utf-8")
    seen = []
    with chromium(tmp_path / "profile", tmp_path) as pages:
        address = f"https://{house.address}/away/"
        pages.open(address)
        for language in entry.LANGUAGES:
            speak(pages, language)
            pages.open(address)
            seen += list(look(pages, axe, PICTURES, "away", language))
    assert len(seen) == 4
    assert len({one["title"] for one in seen}) == 2
    assert [one for one in seen if one["too_wide"] or one["violations"]] == []


def test_a_program_that_meets_a_dead_appliance_reads_a_problem(house: EntryHouse) -> None:
    answer = house.ask("POST", "/away/api/v1/things", json={})
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert answer.json()["status"] == 503


def test_what_a_daemon_itself_answers_is_left_alone(house: EntryHouse) -> None:
    answer = house.get("/echo/broken")
    assert (answer.status_code, answer.json()) == (502, {"own": "page of the daemon"})


def test_the_pages_of_the_dead_are_not_there_to_be_asked_for(house: EntryHouse) -> None:
    assert house.get("/.asrbox/away/web.away.ru.html").status_code == 404


def test_a_client_certificate_is_asked_for_named_to_the_daemon_and_revoked(house: EntryHouse, tmp_path: Path) -> None:
    bundle = house.clients.issue("payments", 30, "anna")
    shown = tmp_path / "payments.pem"
    shown.write_text(bundle.key + bundle.certificate)

    refused = house.get("/", port=CLIENT_PORT, headers={"X-Asrbox-Client": "CN=payments"})
    assert (refused.status_code, refused.headers["Content-Type"]) == (403, "application/problem+json")
    assert "клиентский сертификат" in refused.json()["title"]

    told = house.get("/a", port=CLIENT_PORT, cert=str(shown), headers={"X-Asrbox-Client": "CN=root"}).json()
    assert (told["path"], told["headers"]["x-asrbox-client"]) == ("/a", "CN=payments")
    assert "x-forwarded-prefix" not in told["headers"]

    stranger = house.clients.__class__(
        tmp_path / "other",
        lambda: ca.Authority(tmp_path / "other", "x", house.authority.now.date(), house.authority.now),
    ).issue("payments", 30, "eve")
    forged = tmp_path / "forged.pem"
    forged.write_text(stranger.key + stranger.certificate)
    assert house.get("/", port=CLIENT_PORT, cert=str(forged)).status_code == 403

    house.clients.revoke("payments")
    assert house.ensure(), house.said
    assert house.get("/", port=CLIENT_PORT, cert=str(shown)).status_code == 403
    again = house.clients.issue("payments", 30, "anna")
    shown.write_text(again.key + again.certificate)
    assert house.get("/", port=CLIENT_PORT, cert=str(shown)).status_code == 200


def test_a_brought_certificate_is_shown_and_browsers_are_to_insist(house: EntryHouse, tmp_path: Path) -> None:
    bringing = Authority()
    bringing.equip(tmp_path, "web", "box.example")
    chain, key = (tmp_path / "web.crt").read_text(), (tmp_path / "web.key").read_text()
    outsidecert.install(house.paths.outside_certificate, chain, key, house.authority.now)
    try:
        assert house.ensure(), house.said
        answer = house.get("/echo/", verify=str(tmp_path / "ca.crt"))
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        with pytest.raises(requests.exceptions.SSLError):
            house.get("/echo/")
    finally:
        house.paths.outside_certificate.unlink()
        assert house.ensure(), house.said
    assert "Strict-Transport-Security" not in house.get("/echo/").headers


def test_nothing_changed_is_nothing_done(house: EntryHouse) -> None:
    said, before = len(house.said), house.pid
    assert house.ensure()
    assert (len(house.said), house.pid) == (said, before)


def test_a_configuration_that_nginx_refuses_changes_nothing(house: EntryHouse) -> None:
    before = entryservice.current(house.paths)
    house.paths.outside_certificate.write_text("rubbish")
    try:
        with pytest.raises(
            AgentError, match=r"entry: check the configuration: nginx refuses it: cannot load certificate"
        ):
            house.ensure()
    finally:
        house.paths.outside_certificate.unlink()
    assert entryservice.current(house.paths) == before
    assert sorted(one.name for one in house.paths.entry.iterdir()) == sorted([str(before), "current", "pages"])
    assert house.get("/echo/").status_code == 200
    assert house.ensure()


def test_what_somebody_changed_comes_back(house: EntryHouse) -> None:
    file = house.paths.entry / "current/nginx.conf"
    before = file.read_text()
    file.write_text(before.replace("server_tokens off;", "server_tokens on;"))
    assert house.ensure()
    assert file.read_text() == before
    assert house.said[-1] == f"the entry has a new configuration, {entryservice.current(house.paths)}"


def test_a_new_address_of_the_host_gets_a_certificate(house: EntryHouse) -> None:
    before = entryservice.current(house.paths)
    house.outside = entryservice.Outside("box.example", ("192.0.2.7", "192.0.2.8"))
    assert house.ensure()
    assert entryservice.current(house.paths) != before


def test_one_that_was_killed_is_restarted_and_the_check_says_so(
    house: EntryHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entryservice, "FIRST_REPAIR", 0.0)
    house.paths.distribution.write_text(house.distribution.model_dump_json())
    assert checks._entry(house.paths, house.address) == {
        "name": "entry",
        "ok": True,
        "detail": f"shows /, /away, /echo, {CLIENT_PORT}",
    }

    house.kill()
    assert checks._entry(house.paths, house.address)["ok"] is False
    assert "it does not answer" in checks._entry(house.paths, house.address)["detail"]
    house.ensure()
    assert house.said[-1] == "restarting the entry: it does not answer"
    assert house.ensure()
    assert house.get("/echo/").status_code == 200


def test_a_daemon_that_shows_another_name_is_not_trusted(house: EntryHouse, tmp_path: Path) -> None:
    port, etc = free_port(), auth_etc(house, tmp_path)
    house.daemons["auth"] = {"port": port, "hostname": "web.other.asrbox.internal", "publish": {"path": "/auth"}}
    try:
        with running("auth", etc, port, tmp_path / "auth.log", ASRBOX_DATA=str(tmp_path)):
            assert house.ensure(), house.said
            assert house.get("/auth/login").status_code == 503

            house.daemons["auth"]["hostname"] = "web.auth.asrbox.internal"
            assert house.ensure(), house.said
            assert house.get("/auth/login").status_code == 200
    finally:
        del house.daemons["auth"]
        assert house.ensure()


def test_a_person_signs_in_below_the_path_and_nobody_beside_the_entry_is_believed(
    house: EntryHouse, tmp_path: Path
) -> None:
    port, etc = free_port(), auth_etc(house, tmp_path)
    house.daemons["auth"] = {"port": port, "hostname": "web.auth.asrbox.internal", "publish": {"path": "/auth"}}
    log = tmp_path / "auth.log"
    try:
        with running("auth", etc, port, log, ASRBOX_DATA=str(tmp_path)) as direct:
            assert house.ensure(), house.said
            first = house.get("/auth/profile")
            assert (first.status_code, first.headers["Location"]) == (303, "/auth/login?next=/auth/profile")
            page = house.get("/auth/login?next=/auth/profile")
            links = set(re.findall(r'(?:href|src|action)="([^"#]+)"', page.text))
            assert {link for link in links if not link.startswith("/auth/")} <= {"/", "/billing/"}, "the neighbours"
            for link in links - {"/", "/billing/"}:
                if "/static/" in link:
                    assert house.get(link.replace("&amp;", "&")).status_code == 200
            token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
            assert token
            form = {"login": "administrator", "password": FIRST, "next": "/auth/profile", "csrf_token": token[1]}
            host = {"Host": "isp.example:8443", "Origin": "https://isp.example:8443"}
            entered = house.ask("POST", "/auth/login", data=form, cookies=dict(page.cookies), headers=host)
            assert (entered.status_code, entered.headers["Location"]) == (303, "/auth/profile")
            assert house.get("/auth/profile", cookies=dict(entered.cookies)).status_code == 200

            with requests.Session() as neighbour:
                neighbour.mount("https://", FromElsewhere())
                neighbour.trust_env = False
                forged = {"X-Forwarded-For": "203.0.113.99", "X-Forwarded-Prefix": "/evil"}
                neighbour.get(f"{direct}/login", headers=forged, verify=str(etc / "tls/ca.crt"), timeout=20)
            text = log.read_text()
            assert '"address": "127.0.0.2"' in text
            assert "203.0.113.99" not in text
    finally:
        del house.daemons["auth"]
        assert house.ensure()


class FromElsewhere(requests.adapters.HTTPAdapter):
    """Calls from an address that is not the host's."""

    def init_poolmanager(self, *arguments: object, **options: object) -> None:
        super().init_poolmanager(*arguments, **options, source_address=("127.0.0.2", 0))


def auth_etc(house: EntryHouse, folder: Path) -> Path:
    """auth's /etc/asrbox, with a certificate of the host's CA; here the host is 127.0.0.1."""
    etc = etc_asrbox.write(
        folder / "etc", "auth", host="127.0.0.1", secrets={"administrator-password": FIRST}, service_tokens={}
    )
    (etc / "tls/ca.crt").write_bytes(house.authority.pem)
    subject = ca.subject_of(["web.auth.asrbox.internal"], ["127.0.0.1"])
    house.authority.ensure(etc / "tls/web.crt", etc / "tls/web.key", subject)
    return etc


def test_the_version_of_nginx_is_known(house: EntryHouse) -> None:
    assert house.service._nginx_version() >= (1, 20, 0)
    assert (house.service._nginx_version() >= entry.HTTP2_DIRECTIVE) == (
        "http2 on;" in (house.paths.entry / "current/nginx.conf").read_text()
    )
