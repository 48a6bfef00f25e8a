"""The websocket of an exec, against a small daemon on a real unix socket that speaks RFC 6455 from the other side."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliances.base.agent import wsclient
from appliances.base.agent.session import Session
from appliances.base.agent.wsclient import BINARY, CLOSE, PING, PONG, TEXT, WebSocket, WebSocketError
from tests.unit.agent.test_terminals import until


class Daemon:
    """Takes websockets, one for each secret, and notes what it is sent."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "unix.socket"
        self.plugs: dict[str, socket.socket] = {}
        self.got: dict[str, list[tuple[int, bytes]]] = {}
        self.greeting = b""  # frames that come together with the answer to the handshake
        self.status = "101 Switching Protocols"
        self.accept = True
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plug, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(plug,), daemon=True).start()

    def _talk(self, plug: socket.socket) -> None:
        asked = b""
        while b"\r\n\r\n" not in asked:
            asked += plug.recv(4096)
        lines = asked.decode().split("\r\n")
        secret = lines[0].split()[1].partition("secret=")[2]
        key = next(line.partition(": ")[2] for line in lines if line.lower().startswith("sec-websocket-key"))
        digest = hashlib.sha1((key + wsclient.GUID.decode()).encode()).digest() if self.accept else b"x" * 20
        head = (
            f"HTTP/1.1 {self.status}\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {base64.b64encode(digest).decode()}"
        )
        plug.sendall(head.encode() + b"\r\n\r\n" + self.greeting)
        self.got[secret], self.plugs[secret] = [], plug
        with contextlib.suppress(OSError):
            while frame := self._frame(plug):
                self.got[secret].append(frame)
        self.got[secret].append((CLOSE, b"gone"))

    def _frame(self, plug: socket.socket) -> tuple[int, bytes] | None:
        head = self._exactly(plug, 2)
        if head is None:
            return None
        size = head[1] & 0x7F
        assert head[1] & 0x80, "a client masks what it sends"
        if size >= 126:
            size = int.from_bytes(self._exactly(plug, 2 if size == 126 else 8) or b"")
        mask, data = self._exactly(plug, 4) or b"", self._exactly(plug, size) or b""
        return head[0] & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))

    @staticmethod
    def _exactly(plug: socket.socket, size: int) -> bytes | None:
        got = b""
        while len(got) < size:
            block = plug.recv(size - len(got))
            if not block:
                return None
            got += block
        return got

    def say(self, secret: str, *frames: bytes) -> None:
        self.plugs[secret].sendall(b"".join(frames))

    def cut(self, secret: str) -> None:
        self.plugs[secret].shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for plug in (self._listener, *self.plugs.values()):
            with contextlib.suppress(OSError):
                plug.shutdown(socket.SHUT_RDWR)
            plug.close()


def frame(kind: int, data: bytes = b"", first: int = 0x80) -> bytes:
    size = len(data)
    if size < 126:
        return bytes([first | kind, size]) + data
    if size < 65536:
        return bytes([first | kind, 126]) + struct.pack("!H", size) + data
    return bytes([first | kind, 127]) + struct.pack("!Q", size) + data


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    yield daemon
    daemon.close()


def shell(daemon: Daemon) -> Session:
    return Session(daemon.path, "one", {"0": "pty", "control": "control"}, lambda: 0, terminal=True)


def program(daemon: Daemon) -> Session:
    fds = {"0": "in", "1": "out", "2": "err", "control": "control"}
    return Session(daemon.path, "one", fds, lambda: 0, terminal=False)


@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536, 200000])
def test_frames_of_every_length_go_both_ways(daemon: Daemon, size: int) -> None:
    session = shell(daemon)
    until(lambda: len(daemon.plugs) == 2)
    sent = bytes(index % 251 for index in range(size))

    session.write(sent)
    threading.Thread(target=daemon.say, args=("pty", frame(BINARY, sent))).start()

    got = b""
    while len(got) < size:
        got += session.read(5) or b""
    assert got == sent
    until(lambda: daemon.got["pty"] == [(BINARY, sent)])
    session.close()


def test_output_that_is_torn_into_pieces_with_pings_between_is_whole(daemon: Daemon) -> None:
    daemon.greeting = frame(PING, b"keepalive")[:5]
    session = shell(daemon)
    until(lambda: len(daemon.plugs) == 2)

    stream = frame(PING, b"keepalive")[5:] + frame(BINARY, b"one ", first=0) + frame(PING, b"x") + frame(0, b"two")
    for byte in stream:
        daemon.say("pty", bytes([byte]))

    got = b""
    while len(got) < 7:
        got += session.read(5) or b""
    assert got == b"one two"
    until(lambda: daemon.got["pty"] == [(PONG, b"keepalive"), (PONG, b"x")])
    assert session.read(0.05) == b""
    session.close()


def test_what_comes_with_the_handshake_is_not_lost(daemon: Daemon) -> None:
    daemon.greeting = frame(BINARY, b"# ")
    session = shell(daemon)

    assert session.read(1) == b"# "
    session.close()


def test_size_and_hang_up_go_over_the_control_connection(daemon: Daemon) -> None:
    session = shell(daemon)
    session.resize(132, 50)
    session.hang_up()

    until(lambda: len(daemon.got.get("control", [])) == 2)
    kinds, bodies = zip(*daemon.got["control"], strict=True)
    assert kinds == (TEXT, TEXT)
    assert json.loads(bodies[0]) == {"command": "window-resize", "args": {"width": "132", "height": "50"}}
    assert json.loads(bodies[1]) == {"command": "signal", "signal": 1}
    session.close()


@pytest.mark.parametrize("farewell", [frame(CLOSE, b"\x03\xe8"), frame(TEXT), None])
def test_the_end_of_the_program_is_the_end_of_its_output(daemon: Daemon, farewell: bytes | None) -> None:
    session = shell(daemon)
    until(lambda: len(daemon.plugs) == 2)
    daemon.say("pty", frame(BINARY, b"bye"), farewell or b"")
    if farewell is None:
        daemon.cut("pty")

    assert session.read(1) == b"bye"
    assert session.read(1) is None
    assert session.read(1) is None
    session.close()


def test_closing_cuts_every_line_and_wakes_who_reads(daemon: Daemon) -> None:
    session = program(daemon)
    until(lambda: len(daemon.plugs) == 4)
    seen: list[bytes | None] = []
    reading = threading.Thread(target=lambda: seen.append(session.read(20)))
    reading.start()

    session.close()
    session.close()

    reading.join(5)
    assert seen == [None]
    until(lambda: all(got and got[-1] == (CLOSE, b"gone") for got in daemon.got.values()))


def test_what_a_program_complains_of_is_kept_apart(daemon: Daemon) -> None:
    session = program(daemon)
    until(lambda: len(daemon.plugs) == 4)
    daemon.say("err", frame(BINARY, "Ошибка".encode()))
    until(lambda: session.read(0.05) == b"" and session.complaint == "Ошибка")
    daemon.say("out", frame(BINARY, b"line\n"))

    assert session.read(1) == b"line\n"
    session.close()


def test_a_program_that_takes_no_input_does_not_hold_the_agent(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsclient, "TIMEOUT", 0.3)
    monkeypatch.setattr(Daemon, "_frame", lambda self, plug: threading.Event().wait(5))
    session = shell(daemon)

    with pytest.raises(TimeoutError):
        for _ in range(100):
            session.write(b"x" * 65536)
    session.close()


@pytest.mark.parametrize(("status", "accept"), [("403 Forbidden", True), ("101 Switching Protocols", False)])
def test_a_daemon_that_opens_no_websocket_is_told(daemon: Daemon, status: str, accept: bool) -> None:
    daemon.status, daemon.accept = status, accept

    with pytest.raises(WebSocketError, match=f"no websocket was opened: HTTP/1.1 {status}"):
        WebSocket(daemon.path, "/1.0/operations/one/websocket?secret=x")
