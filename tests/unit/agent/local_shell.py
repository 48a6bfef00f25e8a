"""What the agent attaches to, without a container: a shell on a real pty of this machine, and a journal in memory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import queue
import select
import signal
import struct
import subprocess
import termios


class LocalShell:
    """A `Shell` (terminals.py) whose program is sh on a pty."""

    def __init__(self, size: tuple[int, int], command: tuple[str, ...] = ("sh",)) -> None:
        self._master, slave = pty.openpty()
        self.resize(*size)
        environment = {"PATH": os.environ["PATH"], "PS1": "$ ", "TERM": "dumb"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment
        )
        os.close(slave)

    def read(self, timeout: float) -> bytes | None:
        if not select.select([self._master], [], [], timeout)[0]:
            return b""
        try:
            return os.read(self._master, 65536) or None
        except OSError:  # the other end of the pty is closed
            return None

    def write(self, data: bytes) -> None:
        os.write(self._master, data)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def hang_up(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)

    def exit_code(self) -> int | None:
        return self.process.wait(timeout=10)


class Journalctl:
    """A session whose program writes what a test puts into `output`; None is its end."""

    def __init__(self) -> None:
        self.output: queue.Queue[bytes | None] = queue.Queue()
        self.complaint = ""
        self.closed = False

    def read(self, timeout: float) -> bytes | None:
        try:
            return self.output.get(timeout=timeout)
        except queue.Empty:
            return b""

    def close(self) -> None:
        self.closed = True
