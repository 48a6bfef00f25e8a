"""A program in a container with which one speaks while it runs: a shell on a pty, or a journal that is followed.

Everything else is executed with its output recorded (incus.py), which needs no websocket; a pty, and an output without
an end, cannot be had that way. The other way would be the program `incus exec` on a pty of ours: robust too, but 30 MB
for each of them, and the agent is to stay under 80. So the websockets of the REST API, with the daemon's own rule as
safety: when the control connection breaks, it kills the program. So nothing stays behind, also after a `kill -9` of the
agent.
"""

from __future__ import annotations

import contextlib
import json
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appliances.base.agent.execsocket import ExecSocket

SIGHUP = 1


class Session:
    """The running program. One thread reads; input, size and end may come from others."""

    def __init__(
        self, path: Path, operation: str, fds: dict[str, str], exit_code: Callable[[], int | None], *, terminal: bool
    ) -> None:
        """Connect to the sockets that `fds` names (number or "control" → secret). Raises OSError."""
        from appliances.base.agent.execsocket import ExecSocket  # only when needed: the library takes memory

        self._exit_code = exit_code
        self._closing = threading.Lock()
        self._closed = False
        # A program starts when its last socket is there. Of a pty, control is one of those that it waits for.
        order = ["0", "control"] if terminal else ["control", "0", "1", "2"]
        self._sockets: dict[str, ExecSocket] = {}
        try:
            for name in order:
                resource = f"/1.0/operations/{operation}/websocket?secret={fds[name]}"
                self._sockets[name] = ExecSocket(path, resource)
        except BaseException:
            self.close()
            raise
        self._control = self._sockets["control"]
        self._input = self._sockets["0"]
        self._listening = dict(self._sockets)
        self._output = "0" if terminal else "1"
        self._early = self._sockets[self._output].pending()
        self.complaint = ""  # what the program wrote to its standard error, if that is apart

    def read(self, timeout: float) -> bytes | None:
        """Output of the program; empty when there was none for `timeout` seconds, None when it has ended."""
        if self._early:
            early, self._early = self._early, b""
            return early
        deadline = time.monotonic() + timeout
        while self._output in self._listening:
            left = deadline - time.monotonic()
            if left <= 0:
                return b""
            got = self._look(left)
            if got:
                return got
        return None

    def _look(self, timeout: float) -> bytes:
        looking = select.poll()
        numbers: dict[int, str] = {}
        for name, one in self._listening.items():
            with contextlib.suppress(ValueError):  # closed by another thread
                looking.register(one.fileno(), select.POLLIN)
                numbers[one.fileno()] = name
        for name in [name for name in self._listening if name not in numbers.values()]:
            del self._listening[name]
        output = b""
        for number, _ in looking.poll(timeout * 1000) if numbers else ():
            name = numbers[number]
            got = self._listening[name].received()
            if self._listening[name].closed or got is None:
                del self._listening[name]
            if got is None:
                continue
            if name == self._output:
                output = got
            elif name == "2":
                self.complaint = (self.complaint + got.decode(errors="replace"))[-2000:]
        return output

    def write(self, data: bytes) -> None:
        """Type something. Raises OSError (TimeoutError when the program does not take it)."""
        self._input.send(data)

    def resize(self, columns: int, rows: int) -> None:
        """Tell the pty how large the window is. Raises OSError."""
        self._say({"command": "window-resize", "args": {"width": str(columns), "height": str(rows)}})

    def hang_up(self) -> None:
        """Let the program end as if its line had been cut: a shell takes its jobs along. Raises OSError."""
        self._say({"command": "signal", "signal": SIGHUP})

    def close(self) -> None:
        """Cut the line; the daemon kills what still runs."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        for one in self._sockets.values():
            one.close()

    def exit_code(self) -> int | None:
        """Of the program that has ended; None when nobody knows it any more."""
        return self._exit_code()

    def _say(self, command: dict[str, Any]) -> None:
        self._control.send(json.dumps(command).encode(), text=True)
