"""A bounded pool of connections for threads. The driver has none of its own."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any


class PoolBusy(Exception):
    """Every connection was in use for the whole time that a caller may wait."""


class Pool:
    """At most `size` connections, made by `connect` when needed; a caller waits at most `patience` seconds for one."""

    def __init__(self, connect: Callable[[], Any], size: int, patience: float) -> None:
        self._connect = connect
        self._patience = patience
        # A place holds an idle connection or None; taking a place is the right to one connection.
        self._places: queue.LifoQueue[Any] = queue.LifoQueue(size)
        for _ in range(size):
            self._places.put(None)

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """A connection that answered a ping just now; afterwards it waits for the next caller."""
        try:
            connection = self._places.get(timeout=self._patience)
        except queue.Empty:
            raise PoolBusy from None
        try:
            if not _alive(connection):
                connection = None
                connection = self._connect()
            yield connection
        finally:
            self._places.put(connection)

    def close(self) -> None:
        """Close what is idle. Without this the driver crashes when the interpreter ends."""
        idle = [self._places.get() for _ in range(self._places.qsize())]
        for connection in idle:
            if connection is not None:
                close(connection)
            self._places.put(None)


def _alive(connection: Any) -> bool:
    if connection is None:
        return False
    try:
        connection.ping()
    except Exception:  # whatever it is, a new connection is the cure
        close(connection)
        return False
    return True


def close(connection: Any) -> None:
    """Close a connection that may be broken."""
    with suppress(Exception):
        connection.close()
