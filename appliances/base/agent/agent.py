"""The daemon: one thread that makes rounds and carries out operations, and the threads that serve the API."""

from __future__ import annotations

import os
import queue
import signal
import socket
import sys
import threading
import time
from typing import Any

from appliances.base.agent import api, checks, converge, server, tokens
from appliances.base.agent.board import Board
from appliances.base.agent.console import Console
from appliances.base.agent.distribution import Appliance, load_distribution
from appliances.base.agent.errors import AgentError
from appliances.base.agent.held import Held
from appliances.base.agent.incus import Incus
from appliances.base.agent.operations import Operation, Operations
from appliances.base.agent.paths import Paths
from appliances.base.agent.perform import Performer

BETWEEN_ROUNDS = 10.0  # seconds on a healthy host
UNTIL_HEALTHY = 2.0  # seconds while something is not healthy yet
LONGEST_RETRY = 60.0  # seconds


class Agent:
    """Everything that lives as long as the process; also the API's backend."""

    def __init__(self, paths: Paths, incus: Incus) -> None:
        self._paths = paths
        self._incus = incus
        self._board = Board()
        self._held = Held(paths.held)
        self._operations = Operations(paths.operations)
        self._queue: queue.Queue[Operation] = queue.Queue()
        self._wake = threading.Event()
        self._console = Console(paths.console, paths.issue, self._board)
        self._current: Operation | None = None
        self._convergence = converge.Convergence(
            paths, incus, self._board, self._held, self._console, self._say, self._tls_app
        )
        self._performer = Performer(paths, incus, self._board, self._held, self._convergence, self._say)

    def run(self) -> None:
        """Serve and make rounds for ever. A signal ends the process anywhere: the next start finishes the work."""
        converge.forget_mounts(self._paths)
        server.serve_socket(api.create_app(self, None), self._paths.socket)
        notify("READY=1")
        pause = 0.0
        retry = UNTIL_HEALTHY
        while True:
            self._wake.wait(pause)
            self._wake.clear()
            began = time.monotonic()
            try:
                healthy = self._turn()
                retry = UNTIL_HEALTHY
                # On a slow machine looking takes long, and those that are looked at need the processor to start.
                took = time.monotonic() - began
                pause = BETWEEN_ROUNDS if healthy else min(max(UNTIL_HEALTHY, took), BETWEEN_ROUNDS)
            except AgentError as error:
                self._fail(error.sentence())
                pause, retry = retry, min(retry * 2, LONGEST_RETRY)

    def _turn(self) -> bool:
        """Carry out what was asked for, then one round."""
        while not self._queue.empty():
            self._perform(self._queue.get())
        healthy = self._convergence.round()
        notify(f"STATUS={self._board.read()['progress']['text']}")
        return healthy

    def _perform(self, operation: Operation) -> None:
        self._current = operation
        try:
            self._performer.perform(operation.action, operation.target)
            self._operations.finish(operation)
        except AgentError as error:
            self._operations.fail(operation, error.sentence())
        finally:
            self._current = None

    def _say(self, text: str) -> None:
        """Into the journal, and into the log of the operation that is being carried out."""
        self._console.note(text)
        if self._current is not None:
            self._operations.say(self._current, text)

    def _fail(self, sentence: str) -> None:
        self._board.fail(sentence)
        self._console.milestone(f"FAILED: {sentence}")
        self._convergence.show()

    def _tls_app(self, verifier: tokens.Verifier) -> Any:
        return api.create_app(self, verifier)

    # what the API asks ----------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        return self._board.read()

    def request(self, action: str, target: str, author: str) -> Operation:
        """Take an order; it is carried out by the agent's own thread. Raises UnknownName for a wrong target."""
        self._target(target)
        operation = self._operations.begin(action, target, author)
        self._queue.put(operation)
        self._wake.set()
        return operation

    def operation(self, identity: str) -> Operation | None:
        return self._operations.get(identity)

    def operations(self) -> list[Operation]:
        return self._operations.newest_first()

    def logs(self, appliance: str, daemon: str | None, lines: int, cursor: str | None) -> dict[str, Any]:
        """The journal of an appliance, or of one daemon: `{"lines": […], "cursor": …}`, from `cursor` on if given."""
        owner = self._target(f"{appliance}.{daemon}" if daemon else appliance)
        command = ["journalctl", "--no-pager", "--quiet", "--output=short-iso", "--show-cursor"]
        command += [f"--lines={lines}"]
        if daemon:
            command += [f"--unit={owner.daemon(daemon).unit}"]
        if cursor:
            command += [f"--after-cursor={cursor}"]
        ran = self._incus.run(owner.instance, command, appliance=appliance, step="read the journal")
        if ran.code != 0:
            raise AgentError(ran.stderr.strip() or "journalctl failed", appliance=appliance, step="read the journal")
        return split_cursor(ran.stdout, cursor)

    def check(self) -> list[dict[str, Any]]:
        return checks.run_all(self.status(), self._paths, self._incus)

    def _target(self, target: str) -> Appliance:
        name, _, daemon = target.partition(".")
        appliance = load_distribution(self._paths.distribution).appliance(name)
        if daemon:
            appliance.daemon(daemon)
        return appliance


def split_cursor(text: str, before: str | None) -> dict[str, Any]:
    """Lines and cursor out of what `journalctl --show-cursor` printed; without a new cursor the old one stays."""
    lines = text.splitlines()
    mark = "-- cursor: "
    cursor = before
    if lines and lines[-1].startswith(mark):
        cursor = lines.pop().removeprefix(mark)
    return {"lines": lines, "cursor": cursor}


def notify(state: str) -> None:
    """Tell systemd (Type=notify) how the service is; nobody is told when systemd did not ask."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as plug:
        plug.connect("\0" + address[1:] if address.startswith("@") else address)
        plug.send(state.encode())


def main() -> None:
    """Entry point of asrbox-agent.service."""
    if os.geteuid() != 0:
        sys.exit("asrbox-agent: has to run as root (it is started by: systemctl start asrbox-agent)")
    # At once: an orderly exit would wait for the threads of the API, and the next start finishes the work anyway.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    os.umask(0o022)
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    print(f"asrbox-agent started at {started}", file=sys.stderr, flush=True)
    try:
        Agent(Paths.of_environment(), Incus()).run()
    except KeyboardInterrupt:
        sys.exit(130)
