"""Streams through the control panel as its unit runs it: gunicorn over TLS, auth, and the agent's API behind them."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from appliances.base.agent import server
from appliances.base.agent.api import create_app
from appliances.base.agent.tokens import ServiceToken, Verifier
from appliances.common import sse
from appliances.common.sse import Event, decode
from tests.services.web_daemons import Authority, free_port, running
from tests.unit.agent.test_api import Backend
from tests.unit.agent.test_journal import line
from tests.unit.agent.test_terminals import until
from tests.unit.common import etc_asrbox

FIRST = "first-password"


@dataclass
class House:
    """A control panel, somebody who is signed in to it, and the agent that it asks."""

    url: str
    person: requests.Session
    agent: Backend
    log: Path

    def stream(self, path: str) -> requests.Response:
        return self.person.get(self.url + path, stream=True, timeout=20)

    def send(self, path: str, body: object) -> int:
        """POST as the page's script does."""
        token = form_token(self.person.get(f"{self.url}/nothing").text)
        return self.person.post(self.url + path, json=body, headers={"X-CSRF-Token": token}, timeout=20).status_code


def form_token(page: str) -> str:
    return re.findall(r'name="csrf_token" value="([^"]+)"', page)[0]


def events_of(answer: requests.Response) -> Iterator[Event]:
    return (one for one in decode(answer.iter_lines(chunk_size=16384)) if one is not None)


@contextlib.contextmanager
def house(folder: Path) -> Iterator[House]:
    """All of it on loopback; the agent's containers are this machine, its shells run on real ptys."""
    authority, auth_port, agent_port, port = Authority(), free_port(), free_port(), free_port()
    auth_etc = etc_asrbox.write(
        folder / "auth", "auth", port=auth_port, secrets={"administrator-password": FIRST},
        service_tokens={"base": ["introspect"]},
    )  # fmt: skip
    base_etc = etc_asrbox.write(
        folder / "base", "base", port=port, endpoints={"web.auth": auth_port, "agent.host": agent_port}
    )
    authority.equip(auth_etc / "tls", "web", "web.auth.asrbox.internal")
    authority.equip(base_etc / "tls", "agent", "agent.host.asrbox.internal")
    authority.equip(base_etc / "tls", "web", "web.base.asrbox.internal")
    (folder / "data").mkdir()
    agent, tls = Backend(folder / "operations"), base_etc / "tls"
    app = create_app(agent, Verifier([ServiceToken("base", "agent.host", "token-of-base")]))
    served = server.serve_tls(app, "127.0.0.1", agent_port, tls / "agent.crt", tls / "agent.key")
    with (
        running("auth", auth_etc, auth_port, folder / "auth.log", ASRBOX_DATA=str(folder / "data")),
        running("base", base_etc, port, folder / "base.log") as url,
        requests.Session() as person,
    ):
        person.trust_env, person.verify = False, str(tls / "ca.crt")
        token = form_token(person.get(f"{url}/login").text)
        form = {"csrf_token": token, "login": "administrator", "password": FIRST}
        assert person.post(f"{url}/login", data=form, headers={"Origin": url}).status_code == 200
        yield House(url, person, agent, folder / "base.log")
    served.stop()


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as found:
        yield found


def test_a_change_reaches_the_page_and_who_leaves_frees_everything(panel: House) -> None:
    answer = panel.stream("/events")
    events = events_of(answer)
    assert [next(events).name, next(events).name] == ["status", "alarms"]

    panel.agent.request("restart", "auth", "anna")
    assert next(events).name == "operation"

    answer.close()
    for _ in range(2 * sse.MOST["events"]):  # as somebody who goes from page to page
        with panel.stream("/events") as one:
            if one.status_code == 200:
                next(events_of(one))
        time.sleep(0.3)
    until(lambda: panel.stream("/events").status_code == 200)


def test_the_journal_of_a_page_that_is_left_is_let_go(panel: House) -> None:
    answer = panel.stream("/appliances/auth/logs/stream")
    panel.agent.attached.output.put((line() + "\n").encode())
    assert next(events_of(answer)).data.endswith("Started.</span>")

    answer.close()

    until(lambda: panel.agent.attached.closed, 4 * sse.HEARTBEAT)


def test_a_terminal_through_the_panel(panel: House) -> None:
    token = form_token(panel.person.get(f"{panel.url}/nothing").text)
    opened = panel.person.post(f"{panel.url}/appliances/auth/terminal", data={"csrf_token": token})
    where = "/terminals/" + opened.url.rsplit("/", 1)[1]
    assert panel.send(f"{where}/size", {"columns": 120, "rows": 40}) == 204
    assert (
        panel.send(f"{where}/input", {"data": "stty size; head -c 3000000 /dev/zero | tr '\\0' x; echo e'n'd\n"}) == 204
    )

    found, last = b"", 0
    for event in events_of(panel.stream(f"{where}/output?offset=0")):
        assert event.name == "output", "a reader that keeps up loses nothing"
        found += base64.b64decode(event.data)
        last = int(event.id)
        if b"end\r\n" in found[-50:]:
            break

    assert b"40 120" in found
    assert found.count(b"x") >= 3000000
    assert last == len(found)
    assert panel.agent.operations()[0].author == "administrator"
    assert panel.send(f"{where}/end", {}) == 204
    until(lambda: panel.agent.operations()[0].status == "done")


def test_streams_starve_no_page_and_cost_little(panel: House) -> None:
    process = worker(panel)
    before = resident(process)
    held = [panel.stream("/events") for _ in range(sse.MOST["events"])]
    held += [panel.stream("/appliances/auth/logs/stream") for _ in range(sse.MOST["logs"])]
    assert {one.status_code for one in held} == {200}
    refused = panel.stream("/events")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "15")

    answered: list[int] = []
    ask = [threading.Thread(target=lambda: answered.append(panel.person.get(panel.url).status_code)) for _ in range(8)]
    for one in ask:
        one.start()
    for one in ask:
        one.join(20)

    assert answered == [200] * 8
    grown = (resident(process) - before) / len(held)
    assert grown < 1 << 20, f"{grown / 1024:.0f} KiB for each stream"


def test_a_stop_does_not_wait_for_streams(panel: House) -> None:
    held = [panel.stream("/events") for _ in range(5)]
    process = worker(panel)
    parent = int(re.findall(r"^PPid:\s+(\d+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)[0])

    began = time.monotonic()

    os.kill(parent, signal.SIGTERM)

    until(lambda: not Path(f"/proc/{process}").exists(), 20)
    assert time.monotonic() - began < 10, "after that gunicorn would have killed it"
    for one in held:
        with contextlib.suppress(requests.RequestException):
            list(one.iter_lines())  # whole, or torn: but over


def worker(panel: House) -> int:
    """The process that serves the pages."""
    said = [json.loads(text)["message"] for text in panel.log.read_text().splitlines() if '"Booting worker' in text]
    return int(said[-1].rsplit(" ", 1)[1])


def resident(process: int) -> int:
    """Bytes of memory."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)[0]) << 10
