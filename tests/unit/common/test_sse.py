"""Server-sent events: how they are written and read, how many streams there may be, when one ends."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
from flask import Flask

from appliances.common import sse
from appliances.common.sse import Event, Full, Slots, decode


@pytest.mark.parametrize(
    "event",
    [Event("line", "text", "s=1;i=2"), Event("line", "two\nlines\n", ""), Event("output", "жж", "7"), Event("x", " a")],
)
def test_what_is_written_is_read(event: Event) -> None:
    assert list(decode(event.encode().split(b"\n"))) == [event]


def test_comments_are_signs_of_life_and_what_is_unknown_is_passed_over() -> None:
    lines = [b"retry: 2000", b"", b": alive", b"", b"id: 1", b"event:e", b"data:d", b"other: x", b"", b"data", b""]

    assert list(decode(lines)) == [None, Event("e", "d", "1"), Event("message", "", "1")]


def test_a_torn_event_is_none() -> None:
    assert list(decode([b"event: e", b"data: half"])) == []


def test_places_are_counted_by_kind_and_given_back_once() -> None:
    slots = Slots({"events": 2, "logs": 1})
    first, _second = slots.take("events"), slots.take("events")
    with pytest.raises(Full, match="2 streams of events are open already"):
        slots.take("events")
    slots.take("logs")

    first()
    first()

    slots.take("events")
    with pytest.raises(Full):
        slots.take("events")
    assert slots.open() == 3


def stream(source: Iterator[Event | None], ended: list[str], client: socket.socket | None = None) -> Iterator[bytes]:
    """The body that a server would send, of a stream whose `ended` notes its end."""
    environ = {} if client is None else {"gunicorn.socket": client}
    with Flask(__name__).test_request_context(environ_overrides=environ):
        answer = sse.response(source, lambda: ended.append("ended"))
        with contextlib.closing(answer):
            yield from answer.response  # type: ignore[misc]


def silence() -> Iterator[None]:
    while True:
        yield None


def test_a_stream_ends_when_its_client_hangs_up() -> None:
    server, client = socket.socketpair()
    ended: list[str] = []
    body = stream(iter([Event("a", "1"), None, None, Event("b", "2")]), ended, server)
    assert next(body).startswith(b"retry: ")
    assert b"event: a" in next(body)

    client.close()

    with pytest.raises(ConnectionResetError):
        next(body)
    assert ended == ["ended"]
    server.close()


def test_all_streams_end_when_the_server_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping: list[bool] = []
    monkeypatch.setattr(sse, "_stopping", [lambda: bool(stopping)])
    ended: list[str] = []
    body = stream(silence(), ended)
    next(body)

    stopping.append(True)

    assert list(body) == []
    assert ended == ["ended"]


def test_silence_is_filled_and_a_stream_does_not_last_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**6))
    monkeypatch.setattr(sse.time, "monotonic", lambda: float(next(clock)))

    body = list(stream(silence(), []))

    assert set(body[1:]) == {sse.ALIVE}
    assert len(body) - 1 == sse.LIFE // sse.HEARTBEAT
