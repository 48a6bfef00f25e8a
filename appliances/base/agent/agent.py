"""The daemon: one thread that makes rounds and carries out operations, and the threads that serve the API."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliances.base.agent import (
    acme,
    api,
    audit,
    certificates,
    channels,
    checks,
    clientcerts,
    converge,
    entry,
    firewall,
    journal,
    machine,
    outside,
    secretstore,
    server,
    tokens,
)
from appliances.base.agent.alarms import Alarms, Channel
from appliances.base.agent.applied import Applied, PlanStore
from appliances.base.agent.board import Board
from appliances.base.agent.clock import Clock
from appliances.base.agent.console import Console
from appliances.base.agent.courier import Courier
from appliances.base.agent.distribution import Appliance, Distribution, PublishedPort, load_distribution
from appliances.base.agent.errors import AgentError, WrongSettings, of_disk
from appliances.base.agent.events import Events
from appliances.base.agent.held import Held
from appliances.base.agent.hostadmin import HostAdmin
from appliances.base.agent.hostnet import Any46Network
from appliances.base.agent.incus import Incus
from appliances.base.agent.operations import Operation, Operations
from appliances.base.agent.paths import Paths
from appliances.base.agent.perform import PLAN, RESUMED, Performer
from appliances.base.agent.plan import changes
from appliances.base.agent.reporter import Reporter
from appliances.base.agent.safemode import SafeMode
from appliances.base.agent.settings import unmet
from appliances.base.agent.terminals import SHELL, Shell, Terminal, Terminals
from appliances.base.agent.usage import EVERY, Usage

BETWEEN_ROUNDS = 10.0  # seconds on a healthy host
UNTIL_HEALTHY = 2.0  # seconds while something is not healthy yet
LONGEST_RETRY = 60.0  # seconds
BETWEEN_CHECKS = 60.0  # seconds between looks at everything that may become an alarm
NO_ROOM = "make room on the disk: df -h /var/lib/asrbox"
READING = "read the journal"
OWN_ACTION, OWN_NAME = "converge", "agent"  # operations that nobody asked for


class Agent:
    """Everything that lives as long as the process; also the API's backend."""

    def __init__(self, paths: Paths, incus: Incus) -> None:
        self._paths = paths
        self._incus = incus
        self._journal = audit.Journal(paths.audit)
        self.events = Events()
        self._board = Board(lambda: self.events.tell("status"))
        self._held = Held(paths.held)
        self._safe = SafeMode(paths.safe_mode)
        self._queue: queue.Queue[Operation] = queue.Queue()
        self._wake = threading.Event()
        self._console = Console(paths.console, paths.issue, self._board)
        self._current: Operation | None = None
        self._operations = Operations(
            paths.operations, self._write_down, lambda identity: self.events.tell("operation", identity)
        )
        self._own: Operation | None = None
        self._terminals = Terminals(self._shell, self._operations, self._console.note)
        self._plans = PlanStore(paths.plans, paths.plan, paths.seed, self._write_plan_down)
        self._alarms = Alarms(paths.alarms, changed=lambda: self.events.tell("alarms"))
        self._courier = Courier(self._alarms, self._channels, self._console.note)
        self._reporter = Reporter(self._alarms, self._channels, self._console.note)
        self.host = HostAdmin(paths.root, paths.network_trial, self._inside, self.record)
        self._checked = 0.0
        self._clock = Clock()
        self._usage = Usage()
        self._certificates = certificates.Certificates(
            paths, self._operations, lambda: self._settings_with(acme.OWNER), self._wake.set, self._console.note
        )
        self._convergence = converge.Convergence(
            paths,
            self._plans,
            incus,
            self._board,
            self._held,
            self._safe,
            self._console,
            self._say,
            self._recorded,
            self._tls_app,
        )
        self._performer = Performer(
            paths, self._plans, incus, self._board, self._held, self._safe, self._convergence, self._say
        )

    def run(self) -> None:
        """Serve and make rounds for ever. A signal ends the process anywhere: the next start finishes the work."""
        converge.forget_mounts(self._paths)
        server.serve_socket(api.create_app(self, None), self._paths.socket)
        self._courier.start()
        if self._performer.on_trial():
            self._order("apply", PLAN, OWN_NAME, {RESUMED: True})
        self._reporter.start()
        threading.Thread(target=self.host.trial.run, name="network-trial", daemon=True).start()
        self._certificates.start()
        threading.Thread(target=self._measure, name="usage", daemon=True).start()
        notify("READY=1")
        pause = 0.0
        retry = UNTIL_HEALTHY
        while True:
            self._wake.wait(pause)
            self._wake.clear()
            began = time.monotonic()
            healthy = self._attempt()
            if healthy is None:
                pause, retry = retry, min(retry * 2, LONGEST_RETRY)
            else:
                retry = UNTIL_HEALTHY
                # On a slow machine looking takes long, and those that are looked at need the processor to start.
                took = time.monotonic() - began
                pause = BETWEEN_ROUNDS if healthy else min(max(UNTIL_HEALTHY, took), BETWEEN_ROUNDS)
            self._consider()

    def _attempt(self) -> bool | None:
        """One turn; None when it could not be made. Then the board and the console say why."""
        try:
            return self._turn()
        except AgentError as error:
            self._fail(error.sentence())
        except OSError as error:
            self._fail(of_disk(error).sentence())
        return None

    def _measure(self) -> None:
        """Sample what the appliances use, for ever."""
        while True:
            with contextlib.suppress(AgentError):
                shipped = load_distribution(self._paths.distribution)
                self._usage.sample({one.name: one.instance for one in shipped.appliances})
            time.sleep(EVERY)

    def _consider(self) -> None:
        """Now and then, let what stays broken become an alarm. The first start has its own way to tell."""
        now = time.monotonic()
        if now - self._checked < BETWEEN_CHECKS or not self._paths.first_boot.exists():
            return
        self._checked = now
        try:
            settings = self._settings_with(channels.OWNER)
            after = float(settings.get("alarm_after_minutes", 5)) * 60
            found = self.check()
            if self._alarms.consider(found, after, list(self._channels())):
                self._courier.nudge()
            self._reporter.see(found)
        except (AgentError, OSError) as error:
            self._console.note(f"the checks for alarms could not be made: {error}")

    def _inside(self) -> tuple[list[Any46Network], str]:
        """Networks of the appliances, also one that is not in use yet, and their bridge."""
        network = load_distribution(self._paths.distribution).network
        return [network.range, *([network.range6] if network.range6 else [])], network.bridge

    def _settings_with(self, key: str) -> dict[str, Any]:
        """The settings of the appliance that declares this one; none when this distribution has no such."""
        shipped = load_distribution(self._paths.distribution)
        for appliance in shipped.appliances:
            if any(one.key == key for one in appliance.settings):
                planned = self._plans.current(shipped).plan.settings(appliance)
                return {**planned, **secretstore.entered(self._paths.secrets, appliance, planned)}
        return {}

    def _channels(self) -> dict[str, Channel]:
        settings = self._settings_with(channels.OWNER)
        return channels.wanted(settings, socket.gethostname()) if settings else {}

    def _turn(self) -> bool:
        """Carry out what was asked for, then one round."""
        while not self._queue.empty():
            self._perform(self._queue.get())
        self._look_at_clock()
        healthy = self._convergence.round()
        notify(f"STATUS={self._board.read()['progress']['text']}")
        return healthy

    def _look_at_clock(self) -> None:
        if jump := self._clock.look():
            self._console.note(f"{jump}: certificates that are not valid at this time are renewed")

    def _perform(self, operation: Operation) -> None:
        self._current = operation
        try:
            self._performer.perform(operation)
            self._operations.finish(operation)
        except AgentError as error:
            self._operations.fail(operation, error.sentence())
        except OSError as error:
            self._operations.fail(operation, of_disk(error).sentence())
        finally:
            self._current = None
            self._certificates.nudge()

    @contextlib.contextmanager
    def _recorded(self, target: str) -> Iterator[Callable[[str], None]]:
        """What is done in here as an operation of the agent's own; inside of somebody's operation it belongs to that.

        Gives the function that takes the sentence of what failed. A failed one that is tried again goes on.
        """
        if self._current is not None:
            yield lambda sentence: None
            return
        if self._own is None or self._own.target != target or self._own.status != "failed":
            self._own = self._operations.begin(OWN_ACTION, target, OWN_NAME)
        else:
            self._operations.resume(self._own)
        self._current = operation = self._own
        failures: list[str] = []
        try:
            yield failures.append
        except AgentError as error:
            failures.append(error.sentence())
            raise
        finally:
            self._current = None
            if failures:
                self._operations.fail(operation, failures[0])
            else:
                self._operations.finish(operation)

    def _write_down(self, operation: Operation, note: dict[str, Any]) -> None:
        """Into the journal of what was done. What people ask for is refused when it cannot be written there."""
        asked = operation.status == "running"
        if asked and operation.author == OWN_NAME:
            return  # how it went is enough
        details: dict[str, Any] = {"operation": operation.id, **note}
        if asked and operation.arguments and not note:
            details["arguments"] = operation.arguments
        if not asked:
            details |= {"log": operation.log[-audit.LOG_LINES :]} if operation.log else {}
            details |= {"error": operation.error} if operation.error else {}
        result: audit.Result = "asked" if operation.status == "running" else operation.status
        kind = audit.OF_ACTIONS.get(operation.action, "other")
        try:
            part = "" if operation.target in (PLAN, certificates.TARGET) else operation.target
            self._journal.add(operation.author, kind, part, operation.action, result, details)
        except OSError as error:
            if asked:
                raise AgentError(f"the journal of what was done cannot be written: {error}", hint=NO_ROOM) from error
            self._console.note(f"the journal of what was done cannot be written: {error}")

    def _write_plan_down(self, applied: Applied) -> None:
        self.record(applied.author, "plan", "", "in force", {"number": applied.number})

    def record(self, who: str, kind: str, part: str, what: str, details: dict[str, Any]) -> None:
        """Write down what has been done and was no operation."""
        try:
            self._journal.add(who, kind, part, what, details=details)
        except OSError as error:
            self._console.note(f"the journal of what was done cannot be written: {error}")

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
        return self._order(action, target, author)

    def plan(self) -> dict[str, Any]:
        """The plan in force, and what the draft would change: `error` says why it cannot be applied."""
        shipped = load_distribution(self._paths.distribution)
        applied = self._plans.current(shipped)
        answer: dict[str, Any] = {
            "number": applied.number,
            "applied_at": applied.applied_at,
            "author": applied.author,
            "file": str(self._paths.plan),
            "changes": [],
            "actions": [],
            "drift": self._convergence.preview(applied.plan),
            "error": None,
        }
        try:
            draft = self._plans.draft(shipped)
        except AgentError as error:
            return {**answer, "error": error.sentence()}
        if draft != applied.plan:
            answer["changes"] = list(itertools.chain(*changes(applied.plan, draft, shipped).values()))
            answer["actions"] = self._convergence.preview(draft)
        return answer

    def plans(self) -> list[dict[str, Any]]:
        """The plans that were applied, the newest first."""
        return [
            {"number": one.number, "applied_at": one.applied_at, "author": one.author} for one in self._plans.history()
        ]

    def apply(self, author: str) -> Operation:
        """Take the order to bring the draft into force. Raises AgentError, and changes nothing, when it is wrong."""
        shipped = load_distribution(self._paths.distribution)
        draft = self._plans.draft(shipped)
        for appliance in shipped.appliances:
            self._certificates.refuse(draft.settings(appliance))
        return self._order("apply", PLAN, author)

    def restore(self, number: int | None) -> int:
        """Make the draft what is in force, or what an earlier plan said; returns its number."""
        return self._plans.restore(load_distribution(self._paths.distribution), number).number

    def settings(self, appliance: str) -> list[dict[str, Any]]:
        """What an appliance lets people choose, with the values in force; of a secret only whether there is one."""
        shipped = load_distribution(self._paths.distribution)
        owner = shipped.appliance(appliance)
        values = self._plans.current(shipped).plan.settings(owner)
        shown = {one.key: bool(values[one.key]) if one.kind == "secret" else values[one.key] for one in owner.settings}
        return [{**one.model_dump(), "value": shown[one.key]} for one in owner.settings]

    def configure(self, appliance: str, wanted: dict[str, Any], author: str) -> Operation:
        """Take the order to change settings; None brings a default back. Raises WrongSettings, UnknownName."""
        owner = load_distribution(self._paths.distribution).appliance(appliance)
        wrong: dict[str, str] = {}
        checked: dict[str, Any] = {}
        for key, value in wanted.items():
            setting = owner.setting(key)
            try:
                checked[key] = None if value is None else setting.check(value)
            except ValueError as error:
                wrong[key] = str(error)
        if not wrong:
            plan = self._plans.current(load_distribution(self._paths.distribution)).plan.model_copy(deep=True)
            plan.set(owner, checked)
            wrong = unmet(owner.settings, plan.settings(owner))
            self._certificates.refuse(plan.settings(owner))
        if wrong:
            raise WrongSettings(wrong, appliance=appliance)
        for key, value in checked.items():  # an operation is kept, with its arguments
            if value is not None and owner.setting(key).kind == "secret":
                checked[key] = secretstore.enter(self._paths.secrets, appliance, value)
        return self._order("configure", appliance, author, checked, self._differences(owner, checked))

    def _differences(self, owner: Appliance, wanted: dict[str, Any]) -> dict[str, Any]:
        """What these settings are and are to be, for the journal."""
        before = self._plans.current(load_distribution(self._paths.distribution)).plan.settings(owner)
        after = {key: owner.setting(key).default if value is None else value for key, value in wanted.items()}
        return {"settings": {key: {"before": before[key], "after": after[key]} for key in wanted}}

    def _order(
        self,
        action: str,
        target: str,
        author: str,
        arguments: dict[str, Any] | None = None,
        note: dict[str, Any] | None = None,
    ) -> Operation:
        operation = self._operations.begin(action, target, author, arguments, note)
        self._queue.put(operation)
        self._wake.set()
        return operation

    def audited(self, wanted: audit.Wanted, before: int | None, size: int) -> dict[str, Any]:
        """A page of the journal of what was done: `{"entries": […], "next": number or None}`, the newest first."""
        entries, following = audit.page(self._paths.audit, wanted, before, size)
        return {"entries": [asdict(one) for one in entries], "next": following}

    def operation(self, identity: str) -> Operation | None:
        return self._operations.get(identity)

    def operations(self) -> list[Operation]:
        return self._operations.newest_first()

    def logs(self, appliance: str, daemon: str | None, lines: int, cursor: str | None) -> dict[str, Any]:
        """The journal of an appliance, or of one daemon, from `cursor` on if given (journal.answer)."""
        owner = self._target(f"{appliance}.{daemon}" if daemon else appliance)
        unit = owner.daemon(daemon).unit if daemon else None
        command = journal.command(unit, lines=lines, cursor=cursor)
        ran = self._incus.run(owner.instance, command, appliance=appliance, step=READING)
        if ran.code != 0:
            raise AgentError(ran.stderr.strip() or "journalctl failed", appliance=appliance, step=READING)
        return journal.answer(ran.stdout, cursor)

    def follow(self, appliance: str, daemon: str | None, cursor: str | None) -> journal.Follow:
        """The same as it grows: from `cursor` on, by default from now on."""
        owner = self._target(f"{appliance}.{daemon}" if daemon else appliance)
        unit = owner.daemon(daemon).unit if daemon else None
        command = journal.command(unit, lines=None if cursor else 0, cursor=cursor, follow=True)
        return journal.Follow(self._incus.attach(owner.instance, command, appliance=appliance, step=READING))

    def open_terminal(self, appliance: str, size: tuple[int, int], author: str) -> Terminal:
        """A root shell in a container; it and its end are an operation."""
        return self._terminals.open(appliance, self._target(appliance).instance, size, author)

    def terminal(self, identity: str, author: str) -> Terminal:
        """One that this author opened. Raises NoTerminal."""
        return self._terminals.get(identity, author)

    def _shell(self, appliance: str, instance: str, size: tuple[int, int]) -> Shell:
        return self._incus.attach(instance, SHELL, appliance=appliance, step="open a terminal", size=size)

    def check(self) -> list[dict[str, Any]]:
        self._look_at_clock()
        return checks.run_all(self.status(), self._paths, self._incus, self._in_force().network, self._clock)

    def network(self) -> dict[str, Any]:
        """The appliances' network: its addresses, what may pass and what was dropped, what is published where."""
        shipped = self._in_force()
        network, seen = shipped.network, outside.look(shipped.network.bridge)
        passing = [
            {
                "appliance": one.appliance,
                "endpoint": one.endpoint,
                "address": str(one.address),
                "address6": None if one.address6 is None else str(one.address6),
                "port": one.port,
                "transport": one.transport,
            }
            for one in firewall.passes(shipped)
        ]
        published = [
            {
                "port": one.at.port if isinstance(one.at, PublishedPort) else entry.HTTPS,
                "path": None if isinstance(one.at, PublishedPort) else one.at.path,
                "client_certificate": isinstance(one.at, PublishedPort) and one.at.client_certificate == "required",
                "endpoint": one.endpoint,
            }
            for one in shipped.published()
        ]
        return {
            "range": str(network.range),
            "range6": None if network.range6 is None else str(network.range6),
            "bridge": network.bridge,
            "host": str(network.host),
            "host6": None if network.host6 is None else str(network.host6),
            "domain": network.domain,
            "hostname": seen.hostname,
            "addresses": list(seen.addresses),
            "dropped": firewall.dropped(),
            "passes": passing,
            "published": published,
        }

    def server(self) -> dict[str, Any]:
        """The machine itself: system, clock, network, who may log in."""
        return machine.look(Path("/"), load_distribution(self._paths.distribution).network.bridge)

    def certificate(self) -> dict[str, Any]:
        """Which certificate browsers see, and how it goes with ACME."""
        return self._certificates.read()

    def bring_certificate(self, chain: str, key: str) -> dict[str, Any]:
        """Show browsers this one from the next round on. Raises AgentError for one that would not work."""
        self._certificates.bring(chain, key)
        return self.certificate()

    def drop_certificate(self) -> dict[str, Any]:
        """Back to the certificates of the host's own CA."""
        self._certificates.drop()
        return self.certificate()

    def renew_certificate(self, author: str) -> Operation:
        """Take the order to ask the authority for a certificate now. Raises AgentError while ACME is off."""
        return self._certificates.renew(author)

    def client_certificates(self) -> list[dict[str, Any]]:
        """Those that this host has issued for published ports, the newest first."""
        return [one.model_dump() for one in self._clients().listed()]

    def issue_client_certificate(self, name: str, days: int, author: str) -> dict[str, Any]:
        """A new one with its key, which is not kept. Raises AgentError."""
        bundle = self._clients().issue(name, days, author)
        self._write_client_down("client issue", bundle.issued, author)
        return {**bundle.issued.model_dump(), **bundle.model_dump(exclude={"issued"})}

    def revoke_client_certificate(self, name: str, author: str) -> list[dict[str, Any]]:
        """Those of that name, or the one with that serial, are refused from the next round on. Raises AgentError."""
        revoked = self._clients().revoke(name)
        for one in revoked:
            self._write_client_down("client revoke", one, author)
        self._wake.set()
        return [one.model_dump() for one in revoked]

    def _write_client_down(self, what: str, one: clientcerts.ClientCertificate, author: str) -> None:
        self.record(author, "certificate", "", what, {"name": one.name, "serial": one.serial, "ends": one.ends_at})

    def _clients(self) -> clientcerts.ClientCertificates:
        return converge.client_certificates(self._paths, load_distribution(self._paths.distribution))

    def usage(self) -> list[dict[str, Any]]:
        """Per appliance its limits and the samples of the last two hours."""
        shipped = load_distribution(self._paths.distribution)
        plan = self._plans.current(shipped).plan
        found = []
        for one in shipped.appliances:
            limits = plan.limits(one)
            allowed = {"memory": limits.memory, "cpu": limits.cpu, "processes": limits.processes}
            found.append({"name": one.name, "limits": allowed, "samples": self._usage.read(one.name)})
        return found

    def alarms(self) -> dict[str, Any]:
        return {**self._alarms.read(), "channels": list(self._channels())}

    def try_alarms(self) -> list[str]:
        """Send by every channel a message that shows that it arrives; returns their names. AgentError: none."""
        wanted = list(self._channels())
        if not wanted:
            raise AgentError(
                "nobody is to be told of alarms",
                hint="name somebody first: asrctl config base alarm_mail noc@example.net",
            )
        self._alarms.try_out(wanted)
        self._courier.nudge()
        return wanted

    def _in_force(self) -> Distribution:
        """The distribution as the plan in force wants it."""
        shipped = load_distribution(self._paths.distribution)
        return self._plans.current(shipped).plan.wanted(shipped)

    def _target(self, target: str) -> Appliance:
        name, _, daemon = target.partition(".")
        appliance = load_distribution(self._paths.distribution).appliance(name)
        if daemon:
            appliance.daemon(daemon)
        return appliance


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
