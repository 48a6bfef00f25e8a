"""Taking an order: it becomes an operation, and the thread that carries it out is woken."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from appliances.base.agent.operations import Operation, Operations, Order


class Orders:
    """What is to be carried out, in the order in which it was asked for. Any thread may ask; one carries out."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._queue: queue.Queue[Operation] = queue.Queue()
        self._news = threading.Event()

    def take(self, order: Order) -> Operation:
        """Its operation, already on the disk. Raises AgentError, and nothing is done, when it cannot be kept."""
        operation = self._operations.begin(order)
        self._queue.put(operation)
        self.wake()
        return operation

    def wake(self) -> None:
        """There is something to do: do not wait for the end of the pause."""
        self._news.set()

    def wait(self, pause: float) -> None:
        """Wait until somebody wakes, at most `pause` seconds."""
        self._news.wait(pause)
        self._news.clear()

    def waiting(self) -> Iterator[Operation]:
        """What has to be carried out now, also what is asked for meanwhile."""
        while not self._queue.empty():
            yield self._queue.get()
