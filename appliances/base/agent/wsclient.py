"""A websocket (RFC 6455) to the container daemon, over its unix socket: as much of it as an exec needs.

ws4py, which pylxd uses, waits without a bound for every byte and reads a frame in three system calls. Here everything
that waits has a time-out, and what the other side sends in between (pings) is answered on the way. Where a message
begins and ends does not matter: the daemon passes on the bytes of a program.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import struct
import threading
from pathlib import Path

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
BLOCK = 65536  # bytes read at once
TIMEOUT = 10.0  # seconds for the handshake, and until what is sent is taken
FAREWELL = 1.0  # seconds until the good-bye is taken
LONGEST_HEAD = 16384  # bytes


class WebSocketError(OSError):
    """The other side does not speak as it should."""


class WebSocket:
    """One connection. One thread may read while others send."""

    def __init__(self, path: Path, resource: str) -> None:
        """Connect and shake hands. Raises OSError."""
        self.closed = False  # by the other side: nothing comes any more
        self._plug = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sending = threading.Lock()
        try:
            self._plug.settimeout(TIMEOUT)
            self._plug.connect(str(path))
            self._read = self._shake_hands(resource)
        except BaseException:
            self._plug.close()
            raise

    def fileno(self) -> int:
        return self._plug.fileno()

    def received(self) -> bytes | None:
        """What has come, perhaps nothing; None when the other side has closed. To be called when it is readable."""
        try:
            block = self._plug.recv(BLOCK)
        except OSError:
            return None
        self._read += block
        self.closed = self.closed or not block
        found = self._frames()
        return found or (None if self.closed else b"")

    def pending(self) -> bytes:
        """What came together with the handshake."""
        return self._frames()

    def send(self, data: bytes, kind: int = BINARY) -> None:
        """Send one message. Raises OSError (TimeoutError when nobody takes it); the connection is then of no use."""
        mask = os.urandom(4)
        size = len(data)
        head = bytes([0x80 | kind])
        if size < 126:
            head += struct.pack("!B", 0x80 | size)
        elif size < 65536:
            head += struct.pack("!BH", 0x80 | 126, size)
        else:
            head += struct.pack("!BQ", 0x80 | 127, size)
        pattern = int.from_bytes((mask * (size // 4 + 1))[:size])
        with self._sending:
            self._plug.sendall(head + mask + (int.from_bytes(data) ^ pattern).to_bytes(size))

    def close(self) -> None:
        """Say good-bye and hang up; the second time does nothing."""
        with contextlib.suppress(OSError):
            self._plug.settimeout(FAREWELL)
            self.send(struct.pack("!H", 1000), CLOSE)
        with contextlib.suppress(OSError):
            self._plug.shutdown(socket.SHUT_RDWR)
        self._plug.close()

    def _shake_hands(self, resource: str) -> bytes:
        """Returns the bytes that came after the answer."""
        key = base64.b64encode(os.urandom(16))
        self._plug.sendall(
            f"GET {resource} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            block = self._plug.recv(BLOCK)
            if not block or len(answer) > LONGEST_HEAD:
                raise WebSocketError("the daemon ended the connection before it became a websocket")
            answer += block
        head, _, rest = answer.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        expected = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
        if b" 101 " not in status + b" " or headers.get(b"sec-websocket-accept") != expected:
            raise WebSocketError(f"no websocket was opened: {status.decode(errors='replace')}")
        return rest

    def _frames(self) -> bytes:
        """The data of all whole frames that have come; answers pings, notes a good-bye."""
        found = bytearray()
        while (frame := self._next_frame()) is not None:
            kind, payload = frame
            if kind == PING:
                with contextlib.suppress(OSError):
                    self.send(payload, PONG)
            elif kind in (CLOSE, TEXT):
                # Output is binary. An empty text message is how Incus and LXD say that there is no more; then they wait
                # for the other side to hang up.
                self.closed = True
            elif kind != PONG:
                found += payload
        return bytes(found)

    def _next_frame(self) -> tuple[int, bytes] | None:
        if len(self._read) < 2:
            return None
        kind, size, begin = self._read[0] & 0x0F, self._read[1] & 0x7F, 2
        if size >= 126:  # the true size follows, in two or eight bytes
            width = 2 if size == 126 else 8
            if len(self._read) < begin + width:
                return None
            size, begin = int.from_bytes(self._read[begin : begin + width]), begin + width
        end = begin + size
        if len(self._read) < end:
            return None
        payload, self._read = self._read[begin:end], self._read[end:]
        return kind, payload
