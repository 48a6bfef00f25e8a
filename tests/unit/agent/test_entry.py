"""What nginx is told, and what people see while an appliance is away. nginx itself is asked in tests/services."""

from __future__ import annotations

import datetime
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from appliances.base.agent import ca, entry, entrypages, entryservice
from appliances.base.agent.board import ApplianceStatus, Board, State, daemon_status
from appliances.base.agent.converge import Convergence
from appliances.base.agent.distribution import Appliance, Distribution
from appliances.base.agent.intent import Intent
from appliances.base.agent.outside import Outside
from appliances.base.agent.paths import Paths
from appliances.common import i18n
from tests.unit.agent.examples import distribution, distribution_json, image_list, installed

OWN = entry.Facts(own=True, ipv6=False, nginx=(1, 26, 3))
BROUGHT = entry.Facts(own=False, ipv6=True, nginx=(1, 20, 1))


def with_a_port(client_certificate: str) -> Distribution:
    """billing's pages at /billing, and auth's at a port of their own."""
    told = distribution_json()
    told["appliances"][1]["daemons"][0]["publish"] = {"port": 9443, "client_certificate": client_certificate}
    return Distribution.model_validate_json(json.dumps(told))


def text(shipped: Distribution, facts: entry.Facts = OWN) -> str:
    return entry.configuration(shipped, Paths(Path("/")), facts, "0123abcd")


def location(configuration: str, path: str) -> str:
    """The block of one location."""
    found = re.search(rf"location {re.escape(path)} \{{(.*?)\n        \}}", configuration, re.DOTALL)
    assert found, path
    return found[1]


def test_each_path_leads_to_its_daemon_whose_name_is_verified() -> None:
    found = text(distribution())
    assert "upstream web.asr_billing {\n        server 198.18.83.3:443;" in found
    billing = location(found, "/billing/")
    assert "proxy_pass https://web.asr_billing/;" in billing, "the / at the end takes the prefix off"
    assert "proxy_ssl_name web.example.asrbox.internal;" in billing
    assert 'X-Forwarded-Prefix "/billing";' in billing
    assert "return 308 /billing/$is_args$args;" in location(found, "= /billing")
    assert "return 404;" in location(found[found.index("listen 443") :], "/"), "nobody is published at the root"
    assert "proxy_ssl_verify on;" in found
    assert "firebird" not in found


def test_what_callers_write_into_the_headers_of_the_entry_does_not_pass() -> None:
    for path in ("/billing/", "/auth/"):
        told = location(text(distribution()), path)
        assert "X-Forwarded-For $remote_addr;" in told, "not added to what came: replaced"
        for name in ("X-Asrbox-Client", "Forwarded", "X-Real-IP", "X-Forwarded-Port"):
            assert f'proxy_set_header {name} "";' in told


def test_only_a_certificate_that_was_brought_lets_browsers_insist() -> None:
    assert "add_header Strict-Transport-Security" not in text(distribution(), OWN)
    insisting = text(distribution(), BROUGHT)
    assert "Strict-Transport-Security" in location(insisting, "/billing/")
    assert "Strict-Transport-Security" in location(insisting, "^~ /.asrbox/away/")


def test_every_nginx_is_told_of_http2_in_its_own_words() -> None:
    assert "listen 443 ssl;\n        http2 on;" in text(distribution(), OWN)
    older = text(distribution(), BROUGHT)
    assert "listen 443 ssl http2;\n        listen [::]:443 ssl http2;\n" in older
    assert "http2 on" not in older


def test_a_port_of_its_own_asks_for_client_certificates_when_it_is_to() -> None:
    asking = text(with_a_port("required"))
    server = asking[asking.index("listen 9443 ssl;") :]
    for line in ("ssl_verify_client on;", "ssl_crl clients.crl;", "X-Asrbox-Client $ssl_client_s_dn;"):
        assert line in server
    assert "ssl_session_cache off;" in server
    assert 'X-Forwarded-Prefix "";' in server
    assert entry.wants_client_certificates(with_a_port("required"))

    open_to_all = text(with_a_port("none"))
    assert "ssl_verify_client" not in open_to_all
    assert 'X-Asrbox-Client "";' in open_to_all[open_to_all.index("listen 9443 ssl;") :]
    assert not entry.wants_client_certificates(with_a_port("none"))


def test_port_80_leads_to_https_and_serves_acme_challenges() -> None:
    found = text(distribution())
    plain = found[found.index("listen 80 default_server;") : found.index("listen 443 ssl;")]
    assert "location ^~ /.well-known/acme-challenge/ {\n            alias /var/lib/asrbox/acme/challenges/;" in plain
    assert "return 308 https://$host$request_uri;" in plain


def billing(state: State = "running", web: State = "running") -> ApplianceStatus:
    owner: Appliance = distribution().appliance("asr_billing")
    daemons = tuple(
        daemon_status(one, web if one.name == "web" else "running", True, "ok", "") for one in owner.daemons
    )
    return ApplianceStatus(owner.name, owner.instance, owner.title, state, True, "ok", "", daemons)


@pytest.mark.parametrize(
    ("status", "reason", "ru", "command"),
    [
        (billing("starting"), "starting", "запускается", ""),
        (billing("absent"), "starting", "запускается", ""),
        (billing("stopped", "stopped"), "stopped", "остановлена", "asrctl start asr_billing<"),
        (billing("disabled", "disabled"), "disabled", "выключена", "asrctl enable asr_billing<"),
        (billing(web="disabled"), "disabled", "выключена", "asrctl enable asr_billing.web<"),
        (billing(), "away", "не отвечает", "asrctl check<"),
        (billing("error", "error"), "away", "не отвечает", "asrctl check<"),
        (None, "away", "не отвечает", "asrctl check<"),
    ],
)
def test_who_finds_an_appliance_away_is_told_why_and_what_to_do(
    status: ApplianceStatus | None, reason: str, ru: str, command: str
) -> None:
    assert entrypages.reason(status, "web") == reason
    found = entrypages.pages(distribution().published(), [status] if status else [])
    page = found["web.asr_billing.ru.html"].decode()
    assert ru in page
    assert "«Пример»" in page
    assert command in page
    assert '<html lang="en"' in found["web.asr_billing.en.html"].decode()
    problem = json.loads(found["web.asr_billing.ru.json"])
    assert problem["status"] == 503
    assert ru in problem["title"]


def test_the_pages_of_the_entry_obey_its_policy() -> None:
    found = entrypages.pages(distribution().published(), [])
    for name, content in found.items():
        if name.endswith(".html"):
            page = content.decode()
            assert not re.search(r"<script|<style|\sstyle=|\son\w+=", page)
            links = set(re.findall(r'(?:src|href)="(/\.asrbox/[^"]+)"', page))
            assert {link.removeprefix("/.asrbox/") for link in links} <= set(found)
    assert 'href="/billing/"' in found["web.asr_billing.en.html"].decode(), "try again"


def test_every_text_is_in_both_languages() -> None:
    for words in (entrypages.WORDS, entrypages.BUTTONS, entrypages.CLIENT):
        assert set(words) == set(entry.LANGUAGES)
    assert set(entrypages.WORDS["ru"]) == set(entrypages.WORDS["en"])


def test_the_language_is_kept_where_appliances_keep_it() -> None:
    assert entry.LANGUAGE_COOKIE == i18n.COOKIE
    assert set(entry.LANGUAGES) == set(i18n.LANGUAGES)


def test_pages_are_written_for_nginx_alone_and_what_is_no_longer_published_goes(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    service = entryservice.EntryService(paths, lambda text: None)
    service.show(distribution(), [])
    page = paths.entry_pages / "web.auth.ru.html"
    assert stat.S_IMODE(page.stat().st_mode) == 0o640
    if os.geteuid() == 0:
        assert page.stat().st_gid == 901
    before = page.stat().st_mtime_ns

    (paths.entry_pages / "web.gone.ru.html").write_text("old")
    service.show(distribution(), [])
    assert not (paths.entry_pages / "web.gone.ru.html").exists()
    assert page.stat().st_mtime_ns == before


def test_a_mark_stands_for_names_and_contents() -> None:
    marks = {
        entryservice.contents_mark(contents)
        for contents in ({"a": b"1", "b": b"2"}, {"a": b"12", "b": b""}, {"a": b"1", "c": b"2"}, {"b": b"2", "a": b"1"})
    }
    assert len(marks) == 3


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (
            '2026/11/23 17:00:00 [emerg] 12#12: unknown directive "x" in /nginx.conf:3\nnginx: test failed',
            'unknown directive "x" in /nginx.conf:3',
        ),
        ("nginx: [emerg] cannot load certificate", "cannot load certificate"),
        ("nginx: [warn] old\nnginx: [emerg] no", "no"),
        ("Segmentation fault", "Segmentation fault"),
        ("", "it says nothing"),
    ],
)
def test_what_nginx_says_is_cut_to_its_reason(said: str, complaint: str) -> None:
    assert entryservice.complaint(said) == complaint


def test_an_entry_that_cannot_be_stops_nothing_else(tmp_path: Path) -> None:
    paths = installed(tmp_path)
    said: list[str] = []
    unused: Any = None
    board = Board()
    board.introduce(distribution())
    convergence = Convergence(paths, unused, unused, board, unused, unused, unused, unused, said.append, unused)
    convergence._entry = entryservice.EntryService(paths, said.append, nginx=str(tmp_path / "nginx"))
    authority = ca.Authority(paths.ca, "CA", datetime.date(2026, 1, 1), datetime.datetime.now(datetime.UTC))
    intent = Intent(with_a_port("required"), image_list(), unused)

    assert convergence._open(intent, authority, Outside("box", ("192.0.2.7",))) is False

    (sentence,) = said
    assert sentence.startswith(f"entry: ask nginx for its version: {tmp_path}/nginx: ")
    assert sentence.endswith("(see: journalctl -u asrbox-entry; asrctl certificate)")
    assert list(convergence.failures) == ["entry"], "a plan that is applied meanwhile is not blamed for it"
    assert "запускается" in (paths.entry_pages / "web.asr_billing.ru.html").read_text()
    assert not (paths.entry / "current").exists()
