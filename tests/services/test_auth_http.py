"""auth and the control panel as their units run them: gunicorn, TLS from a CA of ours, real hashes, over sockets."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from appliances.common.client import EndpointClient, EndpointError
from appliances.common.settings import Settings
from tests.services.web_daemons import Authority, free_port, running
from tests.unit.common import etc_asrbox

FIRST = "first-password"


@dataclass(frozen=True)
class House:
    """Configuration of auth and of a consumer of it, and where auth listens."""

    auth_etc: Path
    base_etc: Path
    data: Path
    port: int
    url: str
    ca: Path
    log: Path

    @property
    def client(self) -> EndpointClient:
        return EndpointClient(Settings.load(self.base_etc), "web.auth")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    authority, port = Authority(), free_port()
    auth_etc = etc_asrbox.write(
        tmp_path / "auth",
        "auth",
        port=port,
        secrets={"administrator-password": FIRST},
        service_tokens={"base": ["introspect"]},
    )
    base_etc = etc_asrbox.write(tmp_path / "base", "base", endpoints={"web.auth": port, "agent.host": free_port()})
    authority.equip(auth_etc / "tls", "web", "web.auth.asrbox.internal")
    authority.equip(base_etc / "tls", "web", "web.base.asrbox.internal")
    data = tmp_path / "data"
    data.mkdir()
    log = tmp_path / "auth.log"
    with running("auth", auth_etc, port, log, ASRBOX_DATA=str(data)) as url:
        yield House(auth_etc, base_etc, data, port, url, auth_etc / "tls" / "ca.crt", log)


def test_with_ipv6_a_daemon_answers_on_both_of_its_addresses(tmp_path: Path) -> None:
    authority, port = Authority(), free_port()
    etc = etc_asrbox.write(tmp_path, "auth", port=port, secrets={"administrator-password": FIRST}, service_tokens={})
    authority.equip(etc / "tls", "web", "web.auth.asrbox.internal")
    context = ssl.create_default_context(cafile=str(etc / "tls/ca.crt"))
    data = {"ASRBOX_DATA": str(tmp_path)}
    with running("auth", etc, port, tmp_path / "auth.log", ASRBOX_ADDRESS6="::1", **data):
        for address in ("127.0.0.1", "::1"):
            with context.wrap_socket(
                socket.create_connection((address, port), 5), server_hostname="web.auth.asrbox.internal"
            ) as plug:
                plug.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                assert plug.recv(100).startswith(b"HTTP/1.0 200 ")


def test_another_appliance_signs_a_person_in_and_learns_who_it_is(house: House) -> None:
    opened = house.client.post("login", json={"login": "administrator", "password": FIRST, "address": "203.0.113.9"})
    known = house.client.post("introspect", json={"token": opened["token"]})
    assert (known["active"], known["login"], known["kind"]) == (True, "administrator", "session")

    house.client.post("logout", bearer=opened["token"])
    assert house.client.post("introspect", json={"token": opened["token"]}) == {"active": False}


def test_only_the_ca_of_the_host_is_believed(house: House, tmp_path: Path) -> None:
    Authority().equip(house.base_etc / "tls", "web", "somebody.else")
    with pytest.raises(EndpointError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        house.client.post("introspect", json={"token": "x"})
    assert caught.value.status is None


def test_old_tls_is_refused(house: House) -> None:
    context = ssl.create_default_context(cafile=str(house.ca))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(socket.create_connection(("127.0.0.1", house.port)), server_hostname="localhost")


def test_health_over_the_wire_and_the_log_is_json(house: House) -> None:
    answer = requests.get(f"{house.url}/healthz", verify=str(house.ca), timeout=10)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "ok"
    requests.get(f"{house.url}/login", verify=str(house.ca), timeout=10)
    lines = [json.loads(line) for line in house.log.read_text().splitlines()]
    assert lines[-1]["path"] == "/login"
    assert {line["level"] for line in lines} == {"info"}


def test_the_database_survives_being_killed(house: House) -> None:
    """What was answered with yes is on the disk: kill -9 right after the answer, start again, the session lives."""
    token = house.client.post("login", json={"login": "administrator", "password": FIRST})["token"]
    for line in house.log.read_text().splitlines():
        found = re.search(r"Booting worker with pid: (\d+)", line)
        if found:
            os.kill(int(found[1]), signal.SIGKILL)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            known = house.client.post("introspect", json={"token": token})
            break
        except EndpointError:
            time.sleep(0.2)
    assert known["active"] is True
    with sqlite3.connect(house.data / "auth.sqlite3") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_parallel_guesses_gain_nothing(house: House) -> None:
    def guess(number: int) -> int:
        try:
            house.client.post("login", json={"login": "administrator", "password": f"guess {number}"})
        except EndpointError as error:
            return error.status or 0
        return 200

    with ThreadPoolExecutor(12) as pool:
        outcomes = list(pool.map(guess, range(24)))
    assert outcomes.count(401) <= 6, (
        "only the free attempts, and one more if a delay ran out, may see a password checked"
    )
    assert outcomes.count(401) + outcomes.count(429) == 24


def test_a_browser_signs_in_at_the_panel_and_is_known_at_auth(house: House, tmp_path: Path) -> None:
    """One sign-in serves both: cookies belong to the host name, whatever port and path."""
    port = free_port()
    with running("base", house.base_etc, port, tmp_path / "base.log") as panel, requests.Session() as browser:
        browser.trust_env, browser.verify = False, str(house.ca)
        page = browser.get(f"{panel}/", timeout=10)
        found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert found and page.url.startswith(f"{panel}/login")
        form = {"login": "administrator", "password": FIRST, "next": "/", "csrf_token": found[1]}
        answer = browser.post(f"{panel}/login", data=form, timeout=10)

        # There is no agent in this test: signed in, and told so.
        assert answer.status_code == 503
        assert "Агент сервера не отвечает" in answer.text
        assert browser.get(f"{house.url}/profile", timeout=10).status_code == 200
