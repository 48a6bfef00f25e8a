"""The streams of the agent's API: events, a journal, terminals; over a real server where the connection matters."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from appliances.base.agent import server
from appliances.base.agent.api import create_app
from appliances.common import sse
from appliances.common.sse import Event, decode
from tests.unit.agent.test_api import Backend
from tests.unit.agent.test_journal import line
from tests.unit.agent.test_terminals import until


class Reader:
    """Somebody who reads a stream over the unix socket."""

    def __init__(self, path: Path, resource: str, **headers: str) -> None:
        self._plug = socket.socket(socket.AF_UNIX)
        self._plug.settimeout(10)
        self._plug.connect(str(path))
        connection = http.client.HTTPConnection("agent")
        connection.sock = self._plug
        connection.request("GET", resource, headers={name.replace("_", "-"): value for name, value in headers.items()})
        self.answer = connection.getresponse()
        self._events = decode(line.rstrip(b"\n") for line in self.answer)

    def next(self) -> Event:
        """The next event; signs of life are passed over."""
        return next(one for one in self._events if one is not None)

    def close(self) -> None:
        self.answer.close()
        self._plug.close()


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return Backend(tmp_path / "operations")


@pytest.fixture
def served(backend: Backend, tmp_path: Path) -> Iterator[Path]:
    """The API on a real unix socket."""
    path = tmp_path / "run" / "agent.sock"
    running = server.serve_socket(create_app(backend, None), path)
    yield path
    running.stop()


@pytest.fixture
def root(backend: Backend) -> FlaskClient:
    return create_app(backend, None, 0).test_client()


def test_a_watcher_learns_the_state_and_then_what_changes(served: Path, backend: Backend) -> None:
    watcher = Reader(served, "/api/v1/events")
    assert watcher.answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert watcher.answer.headers["X-Accel-Buffering"] == "no"
    first = watcher.next()
    assert (first.name, json.loads(first.data)["phase"]) == ("status", "starting")
    assert watcher.next().name == "alarms"

    operation = backend.request("restart", "auth", "anna")
    backend.known.say(operation, "stopping")

    seen = [watcher.next()]
    while json.loads(seen[-1].data)["log"] == 0:
        seen.append(watcher.next())
    told = json.loads(seen[-1].data)
    assert (told["id"], told["author"], told["status"], told["log"]) == (operation.id, "anna", "running", 1)
    watcher.close()

    backend.known.finish(operation)
    backend.events.tell("alarms")
    back = Reader(served, "/api/v1/events", Last_Event_ID=seen[-1].id)
    assert [back.next().name, back.next().name] == ["operation", "alarms"], "what changed meanwhile, and nothing else"
    back.close()
    elsewhere = Reader(served, "/api/v1/events", Last_Event_ID="00000000-5")
    assert elsewhere.next().name == "status", "a mark of an earlier start of the agent"
    elsewhere.close()


def test_a_silent_stream_says_that_it_is_there(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT", 0.0)
    watcher = Reader(served, "/api/v1/events")
    lines = iter(watcher.answer)

    assert next(lines) == b"retry: 2000\n"
    assert any(line == b": alive\n" for line in (next(lines) for _ in range(12)))
    watcher.close()


def test_a_journal_is_followed_and_its_program_ends_with_the_reader(
    served: Path, backend: Backend, capfd: pytest.CaptureFixture[str]
) -> None:
    reader = Reader(served, "/api/v1/appliances/auth/logs/stream?daemon=web&cursor=s%3D1")
    backend.attached.output.put((line(PRIORITY="4") + "\n").encode())
    event = reader.next()
    assert (event.name, event.id) == ("line", "s=1;i=7")
    assert json.loads(event.data) == {
        "line": "2026-11-22T10:00:00+00:00 auth systemd[1]: Started.",
        "severity": "warning",
    }

    reader.close()

    until(lambda: backend.attached.closed, 5)
    time.sleep(0.2)
    assert capfd.readouterr().err == "", "that somebody leaves is no trouble"


def test_a_journal_that_ends_says_why(served: Path, backend: Backend) -> None:
    reader = Reader(served, "/api/v1/appliances/auth/logs/stream")
    backend.attached.complaint = "Failed to seek to cursor\n"
    backend.attached.output.put(None)

    assert reader.next() == Event("end", '{"reason": "Failed to seek to cursor"}')
    until(lambda: backend.attached.closed)


def test_too_many_streams_are_refused_and_the_rest_goes_on(served: Path, backend: Backend) -> None:
    watchers = [Reader(served, "/api/v1/events") for _ in range(sse.MOST["events"])]
    for watcher in watchers:
        watcher.next()

    refused = Reader(served, "/api/v1/events")
    assert (refused.answer.status, refused.answer.headers["Retry-After"]) == (503, "15")
    assert "12 streams of events are open already" in json.loads(refused.answer.read())["detail"]
    assert Reader(served, "/api/v1/status").answer.status == 200, "streams starve nothing else"
    assert Reader(served, "/api/v1/appliances/auth/logs/stream").answer.status == 200

    watchers.pop().close()

    until(lambda: Reader(served, "/api/v1/events").answer.status == 200, 5)


def test_a_stream_that_nobody_reads_gives_its_place_back(backend: Backend) -> None:
    caller = create_app(backend, None).test_client()
    for _ in range(sse.MOST["events"] + sse.MOST["logs"]):
        caller.get("/api/v1/events", buffered=False).close()
        caller.get("/api/v1/appliances/auth/logs/stream", buffered=False).close()

    assert backend.attached.closed


def test_a_stream_does_not_last_for_ever(root: FlaskClient) -> None:
    assert root.get("/api/v1/events").text.count("event: status\n") == 1


def opened(served: Path) -> str:
    return str(asked(served, "POST", "/api/v1/appliances/auth/terminals", {"columns": 80, "rows": 24})[1]["id"])


def asked(path: Path, method: str, resource: str, body: Any = None, user: str = "anna") -> tuple[int, Any]:
    plug = socket.socket(socket.AF_UNIX)
    plug.connect(str(path))
    connection = http.client.HTTPConnection("agent", timeout=10)
    connection.sock = plug
    headers = {"X-Asrbox-User": user, "Content-Type": "application/json"}
    connection.request(method, resource, json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


def output(reader: Reader, wanted: bytes) -> tuple[bytes, str]:
    """What comes until `wanted` is in it, and the id of the last event."""
    found, last = b"", ""
    while wanted not in found:
        event = reader.next()
        assert event.name == "output", event
        found, last = found + base64.b64decode(event.data), event.id
    return found, last


def test_a_terminal_is_typed_into_resized_read_again_and_ended(served: Path, backend: Backend) -> None:
    identity = opened(served)
    where = f"/api/v1/terminals/{identity}"
    reader = Reader(served, f"{where}/output", **{"X_Asrbox_User": "anna"})

    assert asked(served, "POST", f"{where}/size", {"columns": 100, "rows": 30})[0] == 204
    assert asked(served, "POST", f"{where}/input", {"data": "stty size; echo при'в'ет\n"})[0] == 204
    _, last = output(reader, "привет".encode())
    reader.close()

    asked(served, "POST", f"{where}/input", {"data": "echo mean'while'\n"})
    back = Reader(served, f"{where}/output", Last_Event_ID=last, X_Asrbox_User="anna")
    found, _ = output(back, b"meanwhile")
    assert b"30 100" not in found
    whole = Reader(served, f"{where}/output?offset=0", X_Asrbox_User="anna")
    assert b"30 100" in output(whole, b"meanwhile")[0]
    whole.close()

    assert asked(served, "DELETE", where)[0] == 204
    while (event := back.next()).name == "output":
        pass
    assert (event.name, json.loads(event.data)["reason"]) == ("end", "closed")
    assert asked(served, "POST", f"{where}/input", {"data": "x"})[0] == 409
    until(lambda: backend.operations()[0].status == "done")
    assert backend.operations()[0].author == "anna"


def test_somebody_elses_terminal_is_not_there(served: Path) -> None:
    where = f"/api/v1/terminals/{opened(served)}"

    for method, resource, body in (
        ("GET", f"{where}/output", None),
        ("POST", f"{where}/input", {"data": "x"}),
        ("POST", f"{where}/size", {"columns": 80, "rows": 24}),
        ("DELETE", where, None),
    ):
        status, problem = asked(served, method, resource, body, "oleg")
        assert (status, problem["title"]) == (404, "there is no such terminal")
    assert asked(served, "DELETE", where)[0] == 204


@pytest.mark.parametrize(
    ("resource", "body", "says"),
    [
        ("appliances/auth/terminals", {}, 'expected {"columns": 2 to 500, "rows": 2 to 300}, whole numbers'),
        ("appliances/auth/terminals", {"columns": 80.5, "rows": 24}, "whole numbers"),
        ("appliances/auth/terminals", {"columns": True, "rows": 24}, "whole numbers"),
        ("appliances/auth/terminals", {"columns": 80, "rows": 301}, "whole numbers"),
        ("terminals/ID/size", {"columns": "80", "rows": 24}, "whole numbers"),
        ("terminals/ID/input", {"data": ""}, "with 1 to 65536 bytes of text"),
        ("terminals/ID/input", {"data": "ж" * 32769}, "with 1 to 65536 bytes of text"),
        ("terminals/ID/input", {"data": "\ud800"}, "with 1 to 65536 bytes of text"),
        ("terminals/ID/input", [], "with 1 to 65536 bytes of text"),
    ],
)
def test_what_is_wrong_is_said(served: Path, resource: str, body: Any, says: str) -> None:
    identity = opened(served)

    status, problem = asked(served, "POST", f"/api/v1/{resource.replace('ID', identity)}", body)

    assert status == 400
    assert says in problem["detail"]
    asked(served, "DELETE", f"/api/v1/terminals/{identity}")


def test_places_that_are_no_numbers_and_parts_that_are_not_there(served: Path) -> None:
    identity = opened(served)
    problems = {
        f"terminals/{identity}/output?offset=-1": (400, "offset: '-1' is not a number of bytes"),
        "appliances/mail/logs/stream": (404, "there is no appliance 'mail'"),
        "appliances/auth/logs/stream?cursor=%20": (400, "' ' is no cursor of a journal"),
    }
    for resource, (status, says) in problems.items():
        found, problem = asked(served, "GET", f"/api/v1/{resource}")
        assert found == status
        assert says in problem["detail"]
    asked(served, "DELETE", f"/api/v1/terminals/{identity}")


def test_threads_of_streams_end_with_them(served: Path, backend: Backend) -> None:
    before = threading.active_count()
    for _ in range(3):
        where = f"/api/v1/terminals/{opened(served)}"
        asked(served, "DELETE", where)

    until(lambda: threading.active_count() <= before)
