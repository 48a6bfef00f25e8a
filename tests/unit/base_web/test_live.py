"""What the panel passes on from the agent: events, a log as it grows, terminals; and to whom."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from appliances.base.app import create_app
from appliances.common import sse
from appliances.common.client import EndpointClient, EndpointError
from appliances.common.settings import Settings
from appliances.common.sse import Event
from tests.unit.base_web.fake_agent import FakeAgent
from tests.unit.common import etc_asrbox
from tests.unit.common.people import SITE, FakeAuthority, form_token, sign_in

TERMINAL = "0123456789abcdef" * 2


class Upstream:
    """A stream of the agent."""

    def __init__(self, events: list[Event | None]) -> None:
        self._events = events
        self.closed = False

    def __iter__(self) -> Iterator[Event | None]:
        return iter(self._events)

    def close(self) -> None:
        self.closed = True


class LiveAgent(FakeAgent):
    """The agent with streams, and one terminal, which is anna's."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Any, ...]] = []
        self.upstream = Upstream([])
        self.refusal: EndpointError | None = None

    def stream(self, *path: str, params: dict[str, Any] | None = None) -> Upstream:
        self._present()
        self.asked.append(("GET", "/".join(path), dict(params or {})))
        if self.refusal:
            raise self.refusal
        return self.upstream

    def post(self, *path: str, json: Any = None, **more: Any) -> Any:
        if "terminal" not in path[-1] and path[0] != "terminals":
            return super().post(*path, json=json)
        self._present()
        if self.refusal:
            raise self.refusal
        self.asked.append(("POST", "/".join(path), json))
        return {"id": TERMINAL} if path[-1] == "terminals" else None

    def delete(self, *path: str) -> None:
        self.asked.append(("DELETE", "/".join(path)))


@pytest.fixture
def agent() -> LiveAgent:
    return LiveAgent()


@pytest.fixture
def panel(tmp_path: Path, agent: LiveAgent, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    etc = etc_asrbox.write(tmp_path, "base", endpoints={"web.auth": 8441, "agent.host": 8443})
    for method in ("get", "post", "delete", "stream"):
        monkeypatch.setattr(
            EndpointClient, method, lambda _self, *path, _m=method, **more: getattr(agent, _m)(*path, **more)
        )
    client = create_app(Settings.load(etc), FakeAuthority()).test_client()
    sign_in(client, "anna")
    return client


def page(panel: FlaskClient, path: str, **headers: str) -> str:
    answer = panel.get(path, base_url=SITE, headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status_code == 200, answer.text
    return answer.text


def send(panel: FlaskClient, path: str, body: Any, token: str | None = None) -> int:
    headers = {"X-CSRF-Token": form_token(panel, "/nothing") if token is None else token}
    return panel.post(path, base_url=SITE, json=body, headers=headers).status_code


def test_events_say_only_that_something_changed(panel: FlaskClient, agent: LiveAgent) -> None:
    agent.upstream = Upstream([Event("status", '{"secret": 1}', "a-1"), None, Event("operation", "{}", "a-2")])

    answer = panel.get("/events", base_url=SITE, buffered=True)

    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "event: status\ndata: status\n" in answer.text
    assert "event: operation\ndata: operation\n" in answer.text
    assert "secret" not in answer.text
    assert agent.upstream.closed


def test_lines_come_as_the_page_shows_them(panel: FlaskClient, agent: LiveAgent) -> None:
    line = "2026-11-22T10:00:00+00:00 auth probe[7]: <b>\nsecond"
    agent.upstream = Upstream(
        [Event("line", json.dumps({"line": line, "severity": "error"}), "s=2"), Event("end", "{}")]
    )

    text = panel.get("/appliances/auth/logs/stream?daemon=web&cursor=s%3D1", base_url=SITE).text

    assert agent.asked == [("GET", "appliances/auth/logs/stream", {"daemon": "web", "cursor": "s=1"})]
    assert 'id: s=2\nevent: line\ndata: <span class="log-line log-bad">' in text
    assert "<em>ошибка</em> &lt;b&gt;\ndata: second</span>" in text
    assert "event: end" in text
    agent.upstream = Upstream([Event("line", json.dumps({"line": line, "severity": "warning"}), "s=3")])
    assert "<em>warning</em>" in page(panel, "/appliances/auth/logs/stream", Accept_Language="en")


def test_the_log_page_has_what_following_needs_and_works_without(panel: FlaskClient) -> None:
    text = page(panel, "/appliances/auth/logs?daemon=web")

    assert 'data-log="/appliances/auth/logs/stream?daemon=web"' in text
    assert 'data-cursor="s=1"' in text
    assert 'role="log" aria-live="off"' in text
    assert re.search(r'<div class="filters log-tools" data-scripted hidden>', text), "nothing that does nothing"
    assert "Started asrbox-app@auth.service." in text


@pytest.mark.parametrize("path", ["/events", "/appliances/auth/logs/stream", f"/terminals/{TERMINAL}/output"])
def test_a_stream_is_for_who_is_signed_in_and_the_rest_is_told(panel: FlaskClient, agent: LiveAgent, path: str) -> None:
    agent.refusal = EndpointError("agent.host", "503 many", 503, {"detail": "12 streams are open already"})
    assert panel.get(path, base_url=SITE).status_code == 503
    agent.refusal = EndpointError("agent.host", "404 gone", 404, {"detail": "there is no such terminal"})
    assert panel.get(path, base_url=SITE).status_code == 404
    agent.refusal, agent.away = None, True
    assert panel.get(path, base_url=SITE).status_code == 503
    agent.away = False

    for _ in range(sse.THREADS + 1):  # none of those refused keeps a place
        assert panel.get(path, base_url=SITE, buffered=True).status_code == 200

    panel.delete_cookie("__Host-asrbox", domain="panel.test")
    assert panel.get(path, base_url=SITE).status_code == 303


def test_too_many_streams_are_refused_and_pages_go_on(panel: FlaskClient) -> None:
    held = [panel.get("/events", base_url=SITE) for _ in range(sse.MOST["events"])]

    refused = panel.get("/events", base_url=SITE)

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "15")
    assert panel.get("/", base_url=SITE).status_code == 200
    held.pop().close()
    assert panel.get("/events", base_url=SITE).status_code == 200


def test_a_terminal_is_opened_after_a_warning(panel: FlaskClient, agent: LiveAgent) -> None:
    assert 'href="/appliances/auth/terminal"' in page(panel, "/appliances/auth")
    warning = page(panel, "/appliances/auth/terminal", Accept_Language="en")
    assert "a root shell in the container auth" in warning
    assert "written down" in warning
    assert "<noscript>" in warning
    assert "asrctl shell auth" in warning
    assert agent.asked == []

    token = form_token(panel, "/nothing")
    answer = panel.post("/appliances/auth/terminal", base_url=SITE, data={"csrf_token": token})

    assert answer.headers["Location"] == f"/appliances/auth/terminals/{TERMINAL}"
    assert agent.asked == [("POST", "appliances/auth/terminals", {"columns": 80, "rows": 24})]
    assert f'href="/appliances/auth/terminals/{TERMINAL}"' in page(panel, "/appliances/auth/terminal")
    assert TERMINAL not in page(panel, "/appliances/base/terminal")


def test_only_the_page_of_a_terminal_lets_styles_with_its_nonce_through(panel: FlaskClient) -> None:
    answers = [panel.get(f"/appliances/auth/terminals/{TERMINAL}", base_url=SITE) for _ in range(2)]

    policies = [answer.headers["Content-Security-Policy"] for answer in answers]
    nonces = [re.findall(r"style-src 'self' 'nonce-([\w-]{22})'", policy)[0] for policy in policies]
    assert nonces[0] != nonces[1]
    assert f'data-nonce="{nonces[0]}"' in answers[0].text
    assert "unsafe" not in policies[0]
    assert "style-src 'self';" in panel.get("/", base_url=SITE).headers["Content-Security-Policy"]
    assert panel.get("/appliances/auth/terminals/x", base_url=SITE).status_code == 404


def test_output_is_passed_on_and_typing_sizes_and_the_end_are_asked_for(panel: FlaskClient, agent: LiveAgent) -> None:
    output = base64.b64encode(b"# ").decode()
    agent.upstream = Upstream([Event("output", output, "2"), Event("end", '{"reason": "exited", "code": 0}')])
    text = panel.get(f"/terminals/{TERMINAL}/output?offset=17", base_url=SITE).text
    assert f"id: 2\nevent: output\ndata: {output}\n" in text

    assert send(panel, f"/terminals/{TERMINAL}/input", {"data": "ls\n"}) == 204
    assert send(panel, f"/terminals/{TERMINAL}/size", {"columns": 132, "rows": 50}) == 204
    assert send(panel, f"/terminals/{TERMINAL}/end", {}) == 204

    assert agent.asked == [
        ("GET", f"terminals/{TERMINAL}/output", {"offset": 17}),
        ("POST", f"terminals/{TERMINAL}/input", {"data": "ls\n"}),
        ("POST", f"terminals/{TERMINAL}/size", {"columns": 132, "rows": 50}),
        ("DELETE", f"terminals/{TERMINAL}"),
    ]
    assert send(panel, f"/terminals/{TERMINAL}/size", {"columns": 1, "rows": 50}) == 422
    assert send(panel, f"/terminals/{TERMINAL}/input", {}) == 422
    assert panel.get(f"/terminals/{TERMINAL}/output?offset=-1", base_url=SITE).status_code == 400
    agent.refusal = EndpointError("agent.host", "409 ended", 409, {"detail": "this terminal has ended"})
    assert send(panel, f"/terminals/{TERMINAL}/input", {"data": "x"}) == 409


def test_what_is_typed_makes_no_line_in_the_log(
    panel: FlaskClient, agent: LiveAgent, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "appliances.base.web"):
        logging.getLogger("appliances.base.web").addHandler(caplog.handler)
        for _ in range(3):
            send(panel, f"/terminals/{TERMINAL}/input", {"data": "x"})
        agent.refusal = EndpointError("agent.host", "409 ended", 409, {"detail": "this terminal has ended"})
        send(panel, f"/terminals/{TERMINAL}/input", {"data": "x"})
        logging.getLogger("appliances.base.web").removeHandler(caplog.handler)

    said = {record.__dict__["fields"]["status"] for record in caplog.records if "input" in record.getMessage()}
    assert said == {409}


CHANGING = ["input", "size", "end"]


def test_nothing_is_typed_for_a_foreign_page(panel: FlaskClient, agent: LiveAgent) -> None:
    for what in CHANGING:
        assert send(panel, f"/terminals/{TERMINAL}/{what}", {"data": "rm -r /\n"}, token="guessed") == 400
    assert panel.post("/appliances/auth/terminal", base_url=SITE).status_code == 400
    assert agent.asked == []


def test_terminals_are_for_administrators(panel: FlaskClient, agent: LiveAgent) -> None:
    sign_in(panel, "oleg")
    token = form_token(panel, "/nothing")

    for path in (
        "/appliances/auth/terminal",
        f"/appliances/auth/terminals/{TERMINAL}",
        f"/terminals/{TERMINAL}/output",
    ):
        assert panel.get(path, base_url=SITE).status_code == 403
    assert panel.post("/appliances/auth/terminal", base_url=SITE, data={"csrf_token": token}).status_code == 403
    for what in CHANGING:
        assert send(panel, f"/terminals/{TERMINAL}/{what}", {"data": "x"}) == 403
    assert "/appliances/auth/terminal" not in page(panel, "/appliances/auth")
    assert agent.asked == []
    assert panel.get("/events", base_url=SITE).status_code == 200


def test_a_container_that_takes_no_terminal_is_told(panel: FlaskClient, agent: LiveAgent) -> None:
    agent.refusal = EndpointError("agent.host", "400 no", 400, {"detail": "Instance is not running"})
    token = form_token(panel, "/nothing")

    answer = panel.post("/appliances/auth/terminal", base_url=SITE, data={"csrf_token": token}, follow_redirects=True)

    assert "Instance is not running" in answer.text


def test_a_terminal_in_the_list_of_operations_has_a_name_and_no_bar(panel: FlaskClient, agent: LiveAgent) -> None:
    own = {"id": "1", "action": "terminal", "target": "auth", "status": "running", "author": "anna", "log": ["opened"]}
    agent.operations = [{**own, "started_at": "2026-11-22T10:00:00Z"}]

    text = page(panel, "/operations")

    assert "Терминал: «Вход»" in text
    assert "progressbar" not in text
    assert 'data-events="/events"' in text
