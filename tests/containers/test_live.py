"""The streams of the agent against a real Incus: changes, a journal as it grows, terminals; nothing is left behind."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliances.common.sse import Event, decode
from tests.containers.asking import appliance, until
from tests.containers.incus_host import IncusHost

SOCKET = "/run/asrbox/agent.sock"


class Watcher:
    """Somebody who reads a stream of the agent; what has come is in `seen`."""

    def __init__(self, host: IncusHost, resource: str) -> None:
        self.seen: list[Event] = []
        self._plug = connect(host)
        self._connection = http.client.HTTPConnection("agent")
        self._connection.sock = self._plug
        self._connection.request("GET", resource, headers={"X-Asrbox-User": "anna"})
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200, self._answer.read()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for event in decode(line.rstrip(b"\n") for line in self._answer):
                if event is not None:
                    self.seen.append(event)

    def output(self) -> str:
        """What a terminal wrote."""
        pieces = [base64.b64decode(event.data) for event in self.seen if event.name == "output"]
        return b"".join(pieces).decode(errors="replace")

    def close(self) -> None:
        """As a client that is killed: the kernel closes its connection."""
        self._plug.shutdown(socket.SHUT_RDWR)
        self._plug.close()


def connect(host: IncusHost) -> socket.socket:
    plug = socket.socket(socket.AF_UNIX)
    plug.settimeout(30)
    plug.connect(str(host.path(SOCKET)))
    return plug


def ask(host: IncusHost, method: str, resource: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection("agent", timeout=30)
    connection.sock = connect(host)
    headers = {"X-Asrbox-User": "anna", "Content-Type": "application/json"}
    connection.request(method, resource, json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status < 300, text
    return json.loads(text) if text else None


LOOK = 'for one in /proc/[0-9]*/cmdline; do tr "\\0" " " < $one 2>/dev/null | grep -q -- "$1" && echo $one; done; true'


def running(host: IncusHost, instance: str, pattern: str) -> list[str]:
    """Processes of a container whose command line has this pattern. The tree of a container has no pgrep."""
    not_itself = f"[{pattern[0]}]{pattern[1:]}"
    return host.in_container(instance, "sh", "-c", LOOK, "sh", not_itself).split()


@pytest.fixture
def terminal(host: IncusHost) -> Iterator[str]:
    """Where a terminal in auth is, opened by anna."""
    identity = ask(host, "POST", "/api/v1/appliances/auth/terminals", {"columns": 80, "rows": 24})["id"]
    where = f"/api/v1/terminals/{identity}"
    yield where
    with contextlib.suppress(AssertionError):
        ask(host, "DELETE", where)


def test_a_stop_is_told_as_it_happens(host: IncusHost) -> None:
    watcher = Watcher(host, "/api/v1/events")
    until(lambda: len(watcher.seen) >= 2, 10)

    host.asrctl("stop", "auth")

    def states() -> list[str]:
        told = [json.loads(event.data) for event in watcher.seen if event.name == "status"]
        return [one["state"] for status in told for one in status["appliances"] if one["name"] == "auth"]

    until(lambda: "stopped" in states(), 10)
    operations = [json.loads(event.data) for event in watcher.seen if event.name == "operation"]
    mine = [one["status"] for one in operations if (one["action"], one["target"]) == ("stop", "auth")]
    assert (mine[0], mine[-1]) == ("running", "done")
    watcher.close()
    host.asrctl("start", "auth")
    until(lambda: {one["health"] for one in host.status()["appliances"]} == {"ok"})


def test_a_quiet_host_tells_nothing(host: IncusHost) -> None:
    watcher = Watcher(host, "/api/v1/events")
    time.sleep(15)

    assert [event.name for event in watcher.seen] == ["status", "alarms"], "rounds that change nothing are no news"
    watcher.close()


def test_a_line_written_now_is_there_at_once_and_nothing_stays_behind(host: IncusHost) -> None:
    watcher = Watcher(host, "/api/v1/appliances/auth/logs/stream")
    until(lambda: bool(running(host, "auth", "journalctl.*--follow")), 10)

    host.in_container("auth", "systemd-cat", "-t", "probe", "-p", "warning", "echo", "written by the test")

    def lines() -> list[dict[str, str]]:
        return [json.loads(event.data) for event in watcher.seen if event.name == "line"]

    until(lambda: any(one["line"].endswith(": written by the test") for one in lines()), 10)
    found = next(one for one in lines() if one["line"].endswith(": written by the test"))
    assert found["severity"] == "warning"
    assert " auth probe[" in found["line"]
    cursor = watcher.seen[-1].id
    host.in_container("auth", "systemd-cat", "-t", "probe", "echo", "written meanwhile")
    watcher.close()
    until(lambda: not running(host, "auth", "journalctl.*--follow"), 15)

    back = Watcher(host, f"/api/v1/appliances/auth/logs/stream?cursor={cursor}")
    until(lambda: any("written meanwhile" in event.data for event in back.seen), 10)
    assert not any("written by the test" in event.data for event in back.seen)
    back.close()
    asked = ask(host, "GET", "/api/v1/appliances/auth/logs?lines=50")
    assert len(asked["lines"]) == len(asked["severities"]) == 50
    until(lambda: not running(host, "auth", "journalctl.*--follow"), 15)


def test_a_terminal_is_root_on_a_pty_and_ends_with_all_that_runs_in_it(host: IncusHost, terminal: str) -> None:
    watcher = Watcher(host, f"{terminal}/output")
    ask(host, "POST", f"{terminal}/size", {"columns": 100, "rows": 30})
    ask(host, "POST", f"{terminal}/input", {"data": "id -u; tty; stty size; echo $TERM $HOME; echo при'в'ет\n"})
    until(lambda: "привет" in watcher.output().replace("при'в'ет", ""), 15)
    for expected in ("0\r\n/dev/pts/", "root@auth", "30 100", "xterm-256color /root"):
        assert expected in watcher.output()

    ask(host, "POST", f"{terminal}/input", {"data": "sleep 4321 & sleep 4322\n"})
    until(lambda: len(running(host, "auth", "sleep 432")) == 2, 10)
    watcher.close()  # a browser that is killed: the terminal goes on
    assert len(running(host, "auth", "sleep 432")) == 2
    back = Watcher(host, f"{terminal}/output?offset=0")
    until(lambda: "привет" in back.output(), 10)

    ask(host, "DELETE", terminal)

    until(lambda: not running(host, "auth", "sleep 432"), 10)
    until(lambda: back.seen[-1].name == "end", 10)
    assert json.loads(back.seen[-1].data)["reason"] == "closed"
    done = next(one for one in json.loads(host.asrctl("operations", "--json").stdout) if one["action"] == "terminal")
    assert (done["author"], done["target"], done["status"]) == ("anna", "auth", "done")
    assert done["log"] == ["opened by anna, as root in the container auth", "ended on request"]


def test_a_shell_that_is_left_ends_the_terminal_with_its_exit_code(host: IncusHost, terminal: str) -> None:
    watcher = Watcher(host, f"{terminal}/output")
    ask(host, "POST", f"{terminal}/input", {"data": "exit 3\n"})

    until(lambda: bool(watcher.seen) and watcher.seen[-1].name == "end", 10)
    assert json.loads(watcher.seen[-1].data) == {"reason": "exited", "code": 3}


def test_output_without_an_end_leaves_the_agent_time_for_others(host: IncusHost, terminal: str) -> None:
    watcher = Watcher(host, f"{terminal}/output")
    ask(host, "POST", f"{terminal}/input", {"data": "yes | head -c 30000000; echo d'o'ne\n"})
    time.sleep(1)

    began = time.monotonic()
    ask(host, "GET", "/api/v1/status")
    assert time.monotonic() - began < 3

    until(lambda: "done" in watcher.output()[-200:], 60)
    assert resident(host) < 80 << 20
    watcher.close()


def resident(host: IncusHost) -> int:
    """Bytes of memory that the agent has."""
    assert host.agent is not None
    status = Path(f"/proc/{host.agent.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) << 10


def test_the_end_of_the_agent_is_the_end_of_its_terminals_and_streams(host: IncusHost, terminal: str) -> None:
    Watcher(host, "/api/v1/appliances/auth/logs/stream")
    ask(host, "POST", f"{terminal}/input", {"data": "exec sleep 4323\n"})
    until(lambda: bool(running(host, "auth", "sleep 4323") and running(host, "auth", "journalctl.*--follow")), 10)
    assert host.agent is not None

    host.agent.kill()  # no last word

    until(lambda: not running(host, "auth", "sleep 4323") and not running(host, "auth", "journalctl.*--follow"), 10)
    host.forget_console()
    host.start_agent()
    host.wait_ready()
    done = next(one for one in json.loads(host.asrctl("operations", "--json").stdout) if one["action"] == "terminal")
    assert (done["status"], done["log"][-1]) == ("done", "ended together with the agent")


def test_a_container_that_stops_ends_its_terminal_and_takes_no_new_one(host: IncusHost, terminal: str) -> None:
    watcher = Watcher(host, f"{terminal}/output")
    host.asrctl("stop", "auth")
    try:
        until(lambda: bool(watcher.seen) and watcher.seen[-1].name == "end", 10)
        with pytest.raises(AssertionError, match="not running"):
            ask(host, "POST", "/api/v1/appliances/auth/terminals", {"columns": 80, "rows": 24})
    finally:
        host.asrctl("start", "auth")
    until(lambda: appliance(host, "auth")["health"] == "ok")
    until(lambda: {one["health"] for one in host.status()["appliances"]} == {"ok"})
