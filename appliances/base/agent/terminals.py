"""Terminals: root shells in containers that people use from elsewhere, over plain requests and a stream of output.

A terminal lives on when its reader goes: the reader comes back with the place in the output up to which it has seen
everything, and the newest KEPT bytes are there. Each is an operation that lasts as long as the shell, so that who was
root where, from when until when and why it ended is written down before the shell is there.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from appliances.base.agent.errors import AgentError
from appliances.base.agent.operations import TERMINAL, Operation, Operations, Order

MOST = 8  # open at a time
IDLE = 900.0  # seconds without anything typed; output counts only while somebody reads it
KEPT = 256 * 1024  # bytes of output
CHUNK = 32 * 1024  # bytes given to a reader at once
FASTEST = 4 * 1024 * 1024  # bytes of output per second: endless output is to leave the processor to others
WAIT_FOR_READER = 1.0  # seconds that a program waits for a reader that lags behind
GRACE = 2.0  # seconds that a shell has to end when it is told to
REMEMBERED = 120.0  # seconds that the end of a terminal can still be read
TICK = 0.5  # seconds between looks at the clock
COLUMNS, ROWS = range(2, 501), range(2, 301)
LONGEST_INPUT = 64 * 1024  # bytes
SHELL = ("bash", "-l")


class Shell(Protocol):
    """The program at the other end (session.py)."""

    def read(self, timeout: float) -> bytes | None: ...
    def write(self, data: bytes) -> None: ...
    def resize(self, columns: int, rows: int) -> None: ...
    def hang_up(self) -> None: ...
    def close(self) -> None: ...
    def exit_code(self) -> int | None: ...


Attach = Callable[[str, str, tuple[int, int]], Shell]  # appliance, instance, (columns, rows)


class NoTerminal(AgentError):
    """There is no such terminal, or it is somebody else's."""


class TerminalEnded(AgentError):
    """What is asked of a terminal needs one that still runs."""


class TooManyTerminals(AgentError):
    """As many are open as there may be."""


@dataclass(frozen=True)
class Output:
    """Bytes from `begin` to `end`. `lost` is how many before them are gone for good."""

    data: bytes
    begin: int
    end: int
    lost: int


@dataclass(frozen=True)
class Ending:
    """Why a terminal has ended. `reason`: exited (with `code`, if known), closed, idle."""

    reason: str
    code: int | None = None

    def sentence(self) -> str:
        if self.reason == "exited":
            return "ended by its shell" + ("" if self.code is None else f", exit code {self.code}")
        return {"closed": "ended on request", "idle": f"ended after {IDLE / 60:.0f} minutes without use"}[self.reason]


class Terminal:
    """One shell and what it wrote. Safe to use from several threads."""

    def __init__(
        self, appliance: str, author: str, operation: str, shell: Shell, told: Callable[[Ending], None]
    ) -> None:
        """`operation` is the id of the operation that it is, `told` hears of its end."""
        self.id = secrets.token_hex(16)
        self.operation = operation
        self.appliance = appliance
        self.author = author
        self.ended: Ending | None = None
        self.ended_at = 0.0
        self._shell = shell
        self._told = told
        self._news = threading.Condition()
        self._kept = bytearray()
        self._begin = 0  # where in the whole output the kept part begins
        self._readers: dict[object, int] = {}  # where each reader is
        self._used = time.monotonic()
        self._ending: Ending | None = None
        self._deadline = 0.0
        threading.Thread(target=self._listen, name=f"terminal-{appliance}", daemon=True).start()

    def read(self, reader: object, offset: int, timeout: float) -> Output | None:
        """Output from `offset` on, waited for; empty when there was none for `timeout` seconds, None after the end.

        `reader` is who reads: the program waits for it a little. It says good-bye with `leave`.
        """
        with self._news:
            offset = min(offset, self._end)
            self._readers[reader] = offset
            self._news.notify_all()
            self._news.wait_for(lambda: self._end > offset or self.ended is not None, timeout)
            begin = max(offset, self._begin)
            data = bytes(self._kept[begin - self._begin : begin - self._begin + CHUNK])
            if not data and self.ended is not None:
                return None
            return Output(data, begin, begin + len(data), begin - offset)

    def leave(self, reader: object) -> None:
        """This reader does not come again."""
        with self._news:
            self._readers.pop(reader, None)
            self._news.notify_all()

    def type(self, data: bytes) -> None:
        """Give the shell input. Raises TerminalEnded; a shell that takes nothing for seconds is ended."""
        self._ask(lambda: self._shell.write(data))
        self._used = time.monotonic()

    def resize(self, columns: int, rows: int) -> None:
        """The window has another size. Raises TerminalEnded."""
        self._ask(lambda: self._shell.resize(columns, rows))

    def end(self, ending: Ending) -> None:
        """Let the shell end; it has a moment for it."""
        if self._ending is None and self.ended is None:
            self._ending, self._deadline = ending, time.monotonic() + GRACE
            try:
                self._shell.hang_up()
            except OSError:
                self._shell.close()

    @property
    def _end(self) -> int:
        return self._begin + len(self._kept)

    def _ask(self, order: Callable[[], None]) -> None:
        if self.ended is None and self._ending is None:
            try:
                order()
                return
            except OSError:
                self.end(Ending("exited"))  # the connection is of no use any more
        raise TerminalEnded("this terminal has ended", appliance=self.appliance, hint="open a new one")

    def _listen(self) -> None:
        """Take in what the shell writes, until it has ended."""
        while (got := self._shell.read(TICK)) is not None:
            now = time.monotonic()
            if got:
                self._keep(got)
                time.sleep(len(got) / FASTEST)
            if now - self._used > IDLE:
                self.end(Ending("idle"))
            if self._ending is not None and now > self._deadline:
                self._shell.close()
        self._shell.close()  # only then the daemon tells the exit code
        ending = self._ending or Ending("exited", self._shell.exit_code())
        with self._news:
            self.ended, self.ended_at = ending, time.monotonic()
            self._news.notify_all()
        self._told(ending)

    def _keep(self, data: bytes) -> None:
        with self._news:
            if self._readers:
                self._used = time.monotonic()
                # Half of what is kept is for a reader that comes back, half for one that is slow.
                keeping_up = lambda: self._end - min(self._readers.values(), default=self._end) < KEPT // 2  # noqa: E731
                self._news.wait_for(keeping_up, WAIT_FOR_READER)
            self._kept += data
            if len(self._kept) > KEPT:
                gone = len(self._kept) - KEPT
                del self._kept[:gone]
                self._begin += gone
            self._news.notify_all()


class Terminals:
    """All terminals of the host."""

    def __init__(self, attach: Attach, operations: Operations, note: Callable[[str], None]) -> None:
        self._attach = attach
        self._operations = operations
        self._note = note
        self._lock = threading.Lock()
        self._all: dict[str, Terminal] = {}
        self._opening = 0

    def open(self, appliance: str, instance: str, size: tuple[int, int], author: str) -> Terminal:
        """A new shell. Raises TooManyTerminals, and AgentError when the container takes none."""
        with self._lock:
            self._forget()
            if self._opening + sum(one.ended is None for one in self._all.values()) >= MOST:
                raise TooManyTerminals(f"{MOST} terminals are open already", hint="end one of them first")
            self._opening += 1
        try:
            terminal = self._open(appliance, instance, size, author)
            with self._lock:
                self._all[terminal.id] = terminal
        finally:
            with self._lock:
                self._opening -= 1
        return terminal

    def get(self, identity: str, author: str) -> Terminal:
        """The terminal that `author` opened. Raises NoTerminal."""
        with self._lock:
            self._forget()
            found = self._all.get(identity)
        if found is None or found.author != author:
            raise NoTerminal("there is no such terminal", hint="it has ended, or somebody else opened it")
        return found

    def _open(self, appliance: str, instance: str, size: tuple[int, int], author: str) -> Terminal:
        operation = self._operations.begin(Order(TERMINAL, appliance, author))
        self._note(f"{author} opens a terminal in {appliance}")
        self._operations.say(operation, f"opened by {author}, as root in the container {instance}")
        try:
            shell = self._attach(appliance, instance, size)
        except AgentError as error:
            self._operations.fail(operation, error.sentence())
            raise
        return Terminal(appliance, author, operation.id, shell, lambda ending: self._write_down(operation, ending))

    def _write_down(self, operation: Operation, ending: Ending) -> None:
        self._note(f"the terminal of {operation.author} in {operation.target} was {ending.sentence()}")
        self._operations.say(operation, ending.sentence())
        self._operations.finish(operation)

    def _forget(self) -> None:
        now = time.monotonic()
        gone = [one.id for one in self._all.values() if one.ended and now - one.ended_at > REMEMBERED]
        for identity in gone:
            del self._all[identity]
