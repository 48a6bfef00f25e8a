"""Server-sent events (HTML Living Standard, section 9.2), as the agent and the pages send and read them.

An open stream keeps a thread of its server busy, and nothing tells a server that its client has gone until it writes.
So streams are counted by kind (`Slots`), one that is silent says every few seconds that it is there, and none lasts
longer than LIFE: who still wants it asks again, and is asked again who he is. Both trees have this module, and Flask;
nothing else of this package is on the host.
"""

from __future__ import annotations

import contextlib
import errno
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, request

TICK = 1.0  # seconds after which a source that has nothing says so, with None
HEARTBEAT = 3.0  # seconds of silence after which a comment is sent
LIFE = 300.0  # seconds that one stream lasts
RETRY = 2000  # milliseconds that a browser waits before it asks again
PATIENCE = 10.0  # seconds that a client may leave what is written to it lying
ALIVE = b": alive\n\n"

# Streams that one process serves at a time. Events: pages that somebody looks at. Logs: each is a process in a
# container. Terminals: 8 can be open, and a browser that comes back is faster than the news that it was gone.
MOST: Mapping[str, int] = {"events": 12, "logs": 8, "terminals": 12}
THREADS = sum(MOST.values())  # that a server has for streams, beside those for everything else

_stopping: list[Callable[[], bool]] = []


@dataclass(frozen=True)
class Event:
    """One event: `data` may have several lines, `id` is where a reader that lost the stream goes on."""

    name: str
    data: str
    id: str = ""

    def encode(self) -> bytes:
        """As it goes over the wire."""
        lines = [f"id: {self.id}"] if self.id else []
        lines += [f"event: {self.name}", *(f"data: {line}" for line in self.data.split("\n"))]
        return ("\n".join(lines) + "\n\n").encode()


def decode(lines: Iterable[bytes]) -> Iterator[Event | None]:
    """The events in the lines of a stream; None for each comment: the other side is there."""
    name, identity, data = "message", "", list[str]()
    for line in lines:
        field, _, value = line.decode(errors="replace").partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Event(name, "\n".join(data), identity)
            name, data = "message", []
        elif not field:
            yield None
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            identity = value


class Full(Exception):
    """As many streams of this kind are open as there may be."""

    retry_after = 15  # seconds

    def __init__(self, kind: str, most: int) -> None:
        super().__init__(f"{most} streams of {kind} are open already: ask again later, or ask without a stream")


class Slots:
    """How many streams of each kind a process may have open."""

    def __init__(self, most: Mapping[str, int] = MOST) -> None:
        self._most = dict(most)
        self._taken = dict.fromkeys(most, 0)
        self._lock = threading.Lock()

    def take(self, kind: str) -> Callable[[], None]:
        """A place for one stream; returns what gives it back, which may be called twice. Raises Full."""
        with self._lock:
            if self._taken[kind] >= self._most[kind]:
                raise Full(kind, self._most[kind])
            self._taken[kind] += 1
        return _Once(lambda: self._give_back(kind))

    def open(self) -> int:
        """How many streams there are."""
        with self._lock:
            return sum(self._taken.values())

    def _give_back(self, kind: str) -> None:
        with self._lock:
            self._taken[kind] -= 1


class _Once:
    """A function whose second call does nothing."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            function, self._function = self._function, None
        if function is not None:
            function()


def stop_when(condition: Callable[[], bool]) -> None:
    """From the moment at which this is true every stream ends at its next tick: the server is being stopped."""
    _stopping.append(condition)


def response(source: Iterator[Event | None], *ends: Callable[[], None], life: float = LIFE) -> Response:
    """The answer that is a stream. `source` gives None when it had nothing for TICK seconds.

    `ends` are called when the stream is over, however it ended, also when nobody ever read it.
    """
    answer = Response(_body(source, _socket(request.environ), life), content_type="text/event-stream; charset=utf-8")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"  # a proxy in front is to pass on each event as it comes

    def finish() -> None:
        with contextlib.ExitStack() as all_of_them:  # also when one of them fails
            for end in ends:
                all_of_them.callback(end)

    answer.call_on_close(finish)
    return answer


def _body(source: Iterator[Event | None], client: Any, life: float) -> Iterator[bytes]:
    began = heard = time.monotonic()
    if client is not None:
        client.settimeout(PATIENCE)
    yield f"retry: {RETRY}\n\n".encode()
    for event in source:
        now = time.monotonic()
        if _gone(client):
            # The end of a stream is written too: a server that is told that it cannot be says nothing of it in its log.
            raise ConnectionResetError(errno.ECONNRESET, "who read this has gone")
        if event is not None:
            heard = now
            yield event.encode()
        elif now - heard >= HEARTBEAT:
            heard = now
            yield ALIVE
        if now - began >= life or any(condition() for condition in _stopping):
            return


def _socket(environ: Mapping[str, Any]) -> Any:
    """The connection to the client: the agent's server and gunicorn pass it on, a test client has none."""
    return environ.get("asrbox.socket") or environ.get("gunicorn.socket")


def _gone(client: Any) -> bool:
    """Whether the client hung up. It has nothing to say while it listens, so whatever can be read is its farewell."""
    if client is None:
        return False
    looking = select.poll()
    try:
        looking.register(client, select.POLLIN)
        return bool(looking.poll(0))
    except (OSError, ValueError):
        return True
