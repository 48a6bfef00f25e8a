"""The daemon: one thread that makes rounds and carries out operations, and what it is put together of."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import traceback

from appliances.base.agent import acme, api, audit, images, server
from appliances.base.agent.applied import PlanStore
from appliances.base.agent.backend import Backend, Parts
from appliances.base.agent.board import Board
from appliances.base.agent.certificates import Certificates
from appliances.base.agent.checkup import Checkup
from appliances.base.agent.clientdesk import ClientDesk
from appliances.base.agent.console import Console
from appliances.base.agent.converge import Convergence
from appliances.base.agent.errors import AgentError, of_disk
from appliances.base.agent.events import Events
from appliances.base.agent.held import Held
from appliances.base.agent.hostadmin import HostAdmin
from appliances.base.agent.hostsetup import HostSetup
from appliances.base.agent.incus import Incus
from appliances.base.agent.inforce import InForce
from appliances.base.agent.inside import Inside
from appliances.base.agent.lookout import Lookout
from appliances.base.agent.operations import AGENT, Operations, Order
from appliances.base.agent.orders import Orders
from appliances.base.agent.paths import Paths
from appliances.base.agent.perform import PLAN, RESUMED, Performer
from appliances.base.agent.planning import Planning
from appliances.base.agent.progress import Progress
from appliances.base.agent.recorder import Recorder
from appliances.base.agent.safemode import SafeMode
from appliances.base.agent.underway import Underway
from appliances.base.agent.usage import Usage

BETWEEN_ROUNDS = 10.0  # seconds on a healthy host
UNTIL_HEALTHY = 2.0  # seconds while something is not healthy yet
LONGEST_RETRY = 60.0  # seconds


class Agent:
    """Everything that lives as long as the process. `backend` is what the API gets of it."""

    def __init__(self, paths: Paths, incus: Incus) -> None:
        self._paths = paths
        journal = audit.Journal(paths.audit)
        events = Events()
        self._board = Board(lambda: events.tell("status"))
        self._console = Console(paths.console, paths.issue, self._board)
        note = self._console.note
        recorder = Recorder(journal, note)
        operations = Operations(
            paths.operations, recorder.operation, lambda identity: events.tell("operation", identity)
        )
        self._orders = Orders(operations)
        self._underway = Underway(operations, note)
        plans = PlanStore(paths.plans, paths.plan, paths.seed, recorder.plan)
        self._in_force = InForce(paths, plans)
        self._checkup = Checkup(paths, incus, self._board, self._in_force, note)
        self._lookout = Lookout(paths, self._in_force, self._checkup, lambda: events.tell("alarms"), note)
        self._host = HostAdmin(paths.root, paths.network_trial, self._in_force.networks, recorder.act)
        self._usage = Usage()
        self._certificates = Certificates(
            paths, operations, lambda: self._in_force.settings_with(acme.OWNER), self._orders.wake, note
        )
        held, safe, say = Held(paths.held), SafeMode(paths.safe_mode), self._underway.say
        setup = HostSetup(paths, incus, say, lambda verifier: api.create_app(self.backend, verifier))
        self._progress = Progress(paths, incus, self._board, self._console)
        self._convergence = Convergence(
            paths, plans, incus, self._board, held, safe, setup, self._progress, say, self._underway.recorded
        )
        self._performer = Performer(paths, plans, incus, self._board, held, safe, self._convergence, say)
        self.backend = Backend(
            Parts(
                paths=paths,
                events=events,
                board=self._board,
                recorder=recorder,
                operations=operations,
                orders=self._orders,
                in_force=self._in_force,
                planning=Planning(
                    paths, plans, self._in_force, self._orders, self._certificates.refuse, self._convergence.preview
                ),
                host=self._host,
                inside=Inside(incus, self._in_force, operations, note),
                certificates=self._certificates,
                clients=ClientDesk(paths, self._in_force, recorder.act, self._orders.wake),
                checkup=self._checkup,
                lookout=self._lookout,
                usage=self._usage,
            )
        )

    def run(self) -> None:
        """Serve and make rounds for ever. A signal ends the process anywhere: the next start finishes the work."""
        images.unmount(self._paths.image_mount)  # an earlier agent that was killed may have left it mounted
        server.serve_socket(api.create_app(self.backend, None), self._paths.socket)
        self._lookout.start()
        if self._performer.on_trial():
            self._orders.take(Order("apply", PLAN, AGENT, {RESUMED: True}))
        threading.Thread(target=self._host.trial.run, name="network-trial", daemon=True).start()
        self._certificates.start()
        self._usage.start(self._in_force.instances)
        notify("READY=1")
        pause = 0.0
        retry = UNTIL_HEALTHY
        while True:
            self._orders.wait(pause)
            began = time.monotonic()
            healthy = self._attempt()
            if healthy is None:
                pause, retry = retry, min(retry * 2, LONGEST_RETRY)
            else:
                retry = UNTIL_HEALTHY
                # On a slow machine looking takes long, and those that are looked at need the processor to start.
                took = time.monotonic() - began
                pause = BETWEEN_ROUNDS if healthy else min(max(UNTIL_HEALTHY, took), BETWEEN_ROUNDS)
            self._lookout.consider()

    def _attempt(self) -> bool | None:
        """One turn; None when it could not be made. Then the board and the console say why."""
        try:
            return self._turn()
        except AgentError as error:
            self._fail(error.sentence())
        except OSError as error:
            self._fail(of_disk(error).sentence())
        return None

    def _turn(self) -> bool:
        """Carry out what was asked for, then one round."""
        for operation in self._orders.waiting():
            try:
                self._underway.carry_out(operation, self._performer.perform)
            finally:
                self._certificates.nudge()
        self._checkup.look_at_clock()
        healthy = self._convergence.round()
        notify(f"STATUS={self._board.read()['progress']['text']}")
        return healthy

    def _fail(self, sentence: str) -> None:
        self._board.fail(sentence)
        self._console.milestone(f"FAILED: {sentence}")
        self._convergence.show()


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
        os._exit(130)
    except Exception:
        # Threads of the API live on: without this the process would stay, do nothing, and nobody would start it again.
        traceback.print_exc()
        os._exit(1)
