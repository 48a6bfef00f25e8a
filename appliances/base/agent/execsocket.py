"""One websocket of an exec: a unix socket with time-outs, and the protocol of the library `websockets` on it.

Its client with threads does not fit: it sends under the lock that its reader needs. A program that takes no input until
its output is read would then wait for ever. So its sans-I/O layer is used, which speaks all of RFC 6455 and leaves the
socket to us. What the daemon sends in between (pings) is answered on the way; it asks for signs of life, we need none,
since the end of a unix socket is always noticed. Compression is not offered. Where a message begins and ends does not
matter: the daemon passes on the bytes of a program.

To be imported when the first session is opened: the library takes memory.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterable
from pathlib import Path

from websockets.client import ClientProtocol
from websockets.frames import BINARY, CONT, TEXT, CloseCode, Frame
from websockets.protocol import OPEN, Event
from websockets.uri import parse_uri

BLOCK = 65536  # bytes read at once
LARGEST = 1 << 20  # bytes of a frame; the daemon's have 32 KiB
TIMEOUT = 10.0  # seconds for each step of the handshake, and until what is sent is taken
FAREWELL = 1.0  # seconds until the good-bye is taken


class ExecSocketError(OSError):
    """The other side does not speak as it should, or does not listen any more."""


class ExecSocket:
    """One connection. One thread may read while others send."""

    def __init__(self, path: Path, resource: str) -> None:
        """Connect and shake hands. Raises OSError."""
        self.closed = False  # by the other side: nothing comes any more
        self._protocol = ClientProtocol(parse_uri(f"ws://localhost{resource}"), max_size=(None, LARGEST))
        self._thinking = threading.Lock()  # for the protocol, never held while something waits
        self._sending = threading.Lock()  # for the socket's outgoing side; is taken first
        self._plug = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._plug.settimeout(TIMEOUT)
            self._plug.connect(str(path))
            self._early = self._shake_hands()
        except BaseException:
            self._plug.close()
            raise

    def fileno(self) -> int:
        return self._plug.fileno()

    def received(self) -> bytes | None:
        """What has come, perhaps nothing; None when the other side has closed. To be called when it is readable."""
        try:
            found = _data(self._receive())
        except OSError:
            return None
        return found or (None if self.closed else b"")

    def pending(self) -> bytes:
        """What came together with the handshake."""
        return self._early

    def send(self, data: bytes, *, text: bool = False) -> None:
        """Send one message. Raises OSError (TimeoutError when nobody takes it); the connection is then of no use."""
        with self._sending:
            with self._thinking:
                if self._protocol.state is not OPEN:
                    raise ExecSocketError("the daemon has ended this connection")
                (self._protocol.send_text if text else self._protocol.send_binary)(data)
                blocks = self._protocol.data_to_send()
            self._put(blocks)

    def close(self) -> None:
        """Say good-bye and hang up; the second time does nothing."""
        if self._sending.acquire(timeout=FAREWELL):  # otherwise somebody sends what nobody takes
            with contextlib.suppress(OSError):
                self._plug.settimeout(FAREWELL)
                with self._thinking:
                    if self._protocol.state is OPEN:
                        self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
                    blocks = self._protocol.data_to_send()
                self._put(blocks)
            self._sending.release()
        with contextlib.suppress(OSError):
            self._plug.shutdown(socket.SHUT_RDWR)
        self._plug.close()

    def _shake_hands(self) -> bytes:
        """Returns the data that came after the answer."""
        self._protocol.send_request(self._protocol.connect())
        self._put(self._protocol.data_to_send())
        events: list[Event] = []
        while not events and self._protocol.handshake_exc is None:
            events = self._receive()
        if self._protocol.handshake_exc is not None:
            raise ExecSocketError(f"no websocket was opened: {self._protocol.handshake_exc}")
        return _data(events)

    def _receive(self) -> list[Event]:
        """What a block of bytes holds; answers pings, notes a good-bye. Raises OSError."""
        block = self._plug.recv(BLOCK)
        with self._thinking:
            if block:
                self._protocol.receive_data(block)
            else:
                self._protocol.receive_eof()
            events, answers = self._protocol.events_received(), self._protocol.data_to_send()
        # Output is binary. An empty text message is how Incus and LXD say that there is no more; then they wait for the
        # other side to hang up.
        farewell = any(isinstance(event, Frame) and event.opcode is TEXT for event in events)
        self.closed = self.closed or farewell or self._protocol.state is not OPEN
        if answers:
            with self._sending, contextlib.suppress(OSError):
                self._put(answers)
        return events

    def _put(self, blocks: Iterable[bytes]) -> None:
        for block in blocks:
            if block:
                self._plug.sendall(block)
            else:  # the protocol's sign for the end
                with contextlib.suppress(OSError):
                    self._plug.shutdown(socket.SHUT_WR)


def _data(events: Iterable[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Frame) and event.opcode in (BINARY, CONT))
