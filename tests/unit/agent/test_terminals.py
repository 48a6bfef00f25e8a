"""Terminals on real ptys of this machine: what is typed and written, who may, how they end, what is written down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliances.base.agent import terminals
from appliances.base.agent.errors import AgentError
from appliances.base.agent.operations import Operations, Order
from appliances.base.agent.terminals import Ending, NoTerminal, Terminal, TerminalEnded, Terminals, TooManyTerminals
from tests.unit.agent.local_shell import LocalShell


class Host:
    """A host whose containers are this machine."""

    def __init__(self, folder: Path) -> None:
        self.operations = Operations(folder)
        self.shells: list[LocalShell] = []
        self.notes: list[str] = []
        self.broken = False
        self.terminals = Terminals(self._attach, self.operations, self.notes.append)

    def _attach(self, appliance: str, instance: str, size: tuple[int, int]) -> LocalShell:
        if self.broken:
            raise AgentError("Instance is not running", appliance=appliance, step="open a terminal")
        self.shells.append(LocalShell(size))
        return self.shells[-1]

    def open(self, author: str = "anna") -> Terminal:
        return self.terminals.open("auth", "auth", (80, 24), author)

    def log(self) -> list[str]:
        return self.operations.newest_first()[0].log


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    for shell in host.shells:
        shell.close()


def until(condition: Callable[[], bool], timeout: float = 10) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)


def read_until(terminal: Terminal, wanted: bytes, offset: int = 0) -> tuple[bytes, int]:
    """What comes from `offset` on until `wanted` is in it, and where that ends."""
    found, deadline, reader = b"", time.monotonic() + 10, object()
    while wanted not in found:
        assert time.monotonic() < deadline, found
        got = terminal.read(reader, offset, 0.2)
        assert got is not None, found
        found, offset = found + got.data, got.end
    terminal.leave(reader)
    return found, offset


def test_what_is_typed_is_answered_and_the_window_has_its_size(host: Host) -> None:
    terminal = host.open()

    terminal.type("echo о$((6*7))тлично; stty size\n".encode())
    found, offset = read_until(terminal, b"24 80")
    assert "о42тлично".encode() in found

    terminal.resize(132, 50)
    terminal.type(b"stty size\n")
    assert read_until(terminal, b"50 132", offset)[1] > offset


def test_a_reader_that_comes_back_goes_on_where_it_was(host: Host) -> None:
    terminal = host.open()
    terminal.type(b"echo one\n")
    first, offset = read_until(terminal, b"one\r\n$ ")

    terminal.type(b"echo two\n")
    second, _ = read_until(terminal, b"two\r\n$ ", offset)
    whole, _ = read_until(terminal, b"two\r\n$ ")

    assert whole == first + second


def test_of_more_output_than_is_kept_the_reader_is_told_what_is_lost(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminals, "KEPT", 1000)
    terminal = host.open()
    terminal.type(b"seq 100000 100999; echo e'n'd\n")
    until(lambda: (got := terminal.read("", 10**9, 0.1)) is not None and got.end > 7000)
    terminal.leave("")

    got = terminal.read(object(), 0, 1)

    assert got is not None
    assert got.lost == got.begin > 6000
    assert len(got.data) == 1000


def test_only_who_opened_it_gets_at_it(host: Host) -> None:
    terminal = host.open("anna")

    assert host.terminals.get(terminal.id, "anna") is terminal
    for identity, author in ((terminal.id, "oleg"), ("0" * 32, "anna")):
        with pytest.raises(NoTerminal, match="there is no such terminal"):
            host.terminals.get(identity, author)


def test_who_had_it_and_how_it_ended_is_written_down(host: Host) -> None:
    terminal = host.open()
    running = host.operations.newest_first()[0]
    assert (running.action, running.target, running.author, running.status) == ("terminal", "auth", "anna", "running")

    terminal.type(b"exit 3\n")
    until(lambda: running.status == "done")

    assert terminal.ended == Ending("exited", 3)
    assert host.log() == ["opened by anna, as root in the container auth", "ended by its shell, exit code 3"]
    assert host.notes[-1] == "the terminal of anna in auth was ended by its shell, exit code 3"
    with pytest.raises(TerminalEnded, match="this terminal has ended"):
        terminal.type(b"x")
    with pytest.raises(TerminalEnded):
        terminal.resize(80, 24)


def test_on_request_the_shell_ends_with_what_runs_in_it(host: Host) -> None:
    terminal = host.open()
    terminal.type(b"trap '' HUP; sleep 1000 & echo job $!; wait\n")
    found, _ = read_until(terminal, b"job ")
    until(
        lambda: (
            len(
                Path(f"/proc/{host.shells[0].process.pid}/task/{host.shells[0].process.pid}/children")
                .read_text()
                .split()
            )
            == 1
        )
    )
    child = int(Path(f"/proc/{host.shells[0].process.pid}/task/{host.shells[0].process.pid}/children").read_text())

    terminal.end(Ending("closed"))

    until(lambda: terminal.ended == Ending("closed"))
    until(lambda: not Path(f"/proc/{child}").exists())
    assert host.log()[-1] == "ended on request"


def test_without_use_it_ends(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminals, "IDLE", 0.2)
    terminal = host.open()

    until(lambda: terminal.ended == Ending("idle"))
    assert terminal.read(object(), 10**6, 0) is None


def test_output_keeps_it_alive_only_while_somebody_reads(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminals, "IDLE", 0.6)
    terminal, reader = host.open(), object()
    terminal.type(b"while :; do echo x; sleep 0.05; done\n")
    offset, deadline = 0, time.monotonic() + 1.5
    while time.monotonic() < deadline:
        got = terminal.read(reader, offset, 0.1)
        assert got is not None, "it ended while it was read"
        offset = got.end

    terminal.leave(reader)

    until(lambda: terminal.ended == Ending("idle"))


def test_there_are_eight_at_once_and_an_ended_one_makes_room(host: Host) -> None:
    opened = [host.open() for _ in range(terminals.MOST)]
    with pytest.raises(TooManyTerminals, match="8 terminals are open already"):
        host.open()

    opened[0].end(Ending("closed"))
    until(lambda: opened[0].ended is not None)

    host.open()


def test_a_container_that_does_not_run_is_said_and_takes_no_place(host: Host) -> None:
    host.broken = True
    for _ in range(terminals.MOST + 1):
        with pytest.raises(AgentError, match="Instance is not running"):
            host.open()

    assert host.operations.newest_first()[0].status == "failed"


def test_a_terminal_of_an_agent_that_ended_is_no_failure(tmp_path: Path) -> None:
    Operations(tmp_path).begin(Order("terminal", "auth", "anna"))

    found = Operations(tmp_path).newest_first()[0]

    assert (found.status, found.log) == ("done", ["ended together with the agent"])
