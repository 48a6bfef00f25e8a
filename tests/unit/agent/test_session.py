"""The websocket of an exec, against a small daemon on a real unix socket that speaks RFC 6455 from the other side."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliances.base.agent import execsocket
from appliances.base.agent.execsocket import ExecSocket, ExecSocketError
from appliances.base.agent.session import Session
from tests.unit.agent.test_terminals import until

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


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
        digest = hashlib.sha1(key.encode() + GUID).digest() if self.accept else b"x" * 20
        head = f"HTTP/1.1 {self.status}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        if not self.status.startswith("101"):
            head += "Content-Length: 0\r\n"
        head += f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n\r\n"
        plug.sendall(head.encode() + self.greeting)
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

    until(lambda: len(daemon.got.get("control", ())) == 2)
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
    monkeypatch.setattr(execsocket, "TIMEOUT", 0.3)
    monkeypatch.setattr(Daemon, "_frame", lambda self, plug: threading.Event().wait(5))
    session = shell(daemon)

    with pytest.raises(TimeoutError):
        for _ in range(100):
            session.write(b"x" * 65536)
    session.close()


def test_output_is_read_while_input_is_stuck(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execsocket, "FAREWELL", 0.2)
    monkeypatch.setattr(Daemon, "_frame", lambda self, plug: threading.Event().wait(20))
    session = shell(daemon)
    until(lambda: len(daemon.plugs) == 2)
    failures: list[OSError] = []

    def type_much() -> None:
        try:
            session.write(b"x" * (1 << 20))
        except OSError as error:
            failures.append(error)

    typing = threading.Thread(target=type_much)
    typing.start()
    pieces = [frame(BINARY, b"y" * 65536)] * 32
    threading.Thread(target=daemon.say, args=("pty", *pieces), daemon=True).start()

    size, deadline = 0, time.monotonic() + 5
    while size < 32 * 65536:
        assert time.monotonic() < deadline, size
        size += len(session.read(1) or b"")
    assert typing.is_alive(), "the input was to be stuck all the time"
    session.close()
    typing.join(5)
    assert len(failures) == 1, "who types is told"


def test_a_frame_without_measure_ends_the_connection(daemon: Daemon) -> None:
    session = shell(daemon)
    until(lambda: len(daemon.plugs) == 2)
    daemon.say("pty", bytes([0x80 | BINARY, 127]) + struct.pack("!Q", execsocket.LARGEST + 1))

    assert session.read(1) is None
    with pytest.raises(ExecSocketError, match="has ended this connection"):
        session.write(b"x")
    session.close()


def test_the_library_is_loaded_with_the_first_session_and_without_asyncio() -> None:
    program = (
        "import sys, appliances.base.agent.incus; assert not [m for m in sys.modules if m.startswith('websockets')]; "
        "known = set(sys.modules); import appliances.base.agent.execsocket; new = set(sys.modules) - known; "
        "assert not new & {'asyncio', 'websockets.legacy', 'websockets.asyncio', 'websockets.sync'}, new"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize(
    ("status", "accept", "reason"),
    [("403 Forbidden", True, "HTTP 403"), ("101 Switching Protocols", False, "Sec-WebSocket-Accept")],
)
def test_a_daemon_that_opens_no_websocket_is_told(daemon: Daemon, status: str, accept: bool, reason: str) -> None:
    daemon.status, daemon.accept = status, accept

    with pytest.raises(ExecSocketError, match=f"no websocket was opened: .*{reason}"):
        ExecSocket(daemon.path, "/1.0/operations/one/websocket?secret=x")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101", b"hello\r\n\r\n"])
def test_a_daemon_that_hangs_up_or_speaks_something_else_is_told(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "unix.socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def hang_up() -> None:
            plug, _ = listener.accept()
            with plug:
                plug.recv(4096)
                plug.sendall(answer)

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(ExecSocketError, match="no websocket was opened: did not receive a valid HTTP response"):
            ExecSocket(path, "/1.0/operations/one/websocket?secret=x")
