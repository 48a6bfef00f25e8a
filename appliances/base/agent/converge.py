"""One round of the agent: read what should be, prepare the host, make Incus like it, look how everybody is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

from appliances.base.agent import (
    ca,
    clientcerts,
    entry,
    entryservice,
    execute,
    instances,
    ipv6,
    outside,
    reconcile,
    wire,
)
from appliances.base.agent.applied import PlanStore
from appliances.base.agent.board import ApplianceStatus, Board
from appliances.base.agent.distribution import Appliance, load_distribution
from appliances.base.agent.errors import AgentError, UnknownName
from appliances.base.agent.held import Held
from appliances.base.agent.hostsetup import HostSetup
from appliances.base.agent.incus import Incus
from appliances.base.agent.intent import Intent, read_intent
from appliances.base.agent.paths import Paths
from appliances.base.agent.plan import Plan
from appliances.base.agent.progress import Progress
from appliances.base.agent.safemode import SafeMode
from appliances.base.agent.watch import Backoff, Watch

INCUS_IDLE = 120.0  # seconds to let it finish what an earlier agent asked for
PROVIDER_WAIT = 300.0  # seconds an appliance waits for those that it consumes; then it starts anyway
LOOK = 2.0  # seconds between looks while waiting


class Convergence:
    """Repeats rounds. Keeps only what would be wasteful to ask each time; a new one loses nothing."""

    def __init__(
        self,
        paths: Paths,
        plans: PlanStore,
        incus: Incus,
        board: Board,
        held: Held,
        safe: SafeMode,
        setup: HostSetup,
        progress: Progress,
        say: Callable[[str], None],
        recorded: Callable[[str], AbstractContextManager[Callable[[str], None]]],
    ) -> None:
        self._paths = paths
        self._plans = plans
        self._incus = incus
        self._board = board
        self._held = held
        self._safe = safe
        self._setup = setup
        self._progress = progress
        self._say = say
        self._recorded = recorded
        self._backoff = Backoff()
        self._entry = entryservice.EntryService(paths, say)
        self.failures: dict[str | None, AgentError] = {}

    def round(self) -> bool:
        """Do one round; returns whether every enabled appliance is healthy. Raises AgentError when it cannot go on."""
        self.failures = {}
        intent = read_intent(self._paths, self._plans)
        self._board.introduce(intent.distribution)
        ipv6.refuse(intent.distribution.network)
        self._progress.preparing(0, "making secrets and the certificate authority")
        seen = outside.look(intent.distribution.network.bridge)
        renderer, renewed = self._setup.write_runtime(intent, seen)
        self._progress.preparing(1, "setting Incus up")
        open_outside = self._open(intent, renderer.authority, seen)
        self._setup.set_up_incus(intent, renderer)
        if not self._progress.prepared:
            self._incus.wait_idle(INCUS_IDLE)
        self._progress.prepared = True
        actual = execute.observe(self._incus)
        wanted = self._desired(intent)
        actions = reconcile.reconcile(wanted, actual)
        self._progress.expect(len(actions), len(intent.distribution.appliances))
        if actions:
            self._act(actions, intent, wanted)
        watch = self._watch()
        started = {one.appliance for one in actions if isinstance(one, reconcile.StartInstance)}
        self._reload(intent, watch, renewed, actual, started - self.failures.keys())
        healthy = self._look_at_all(intent, watch, open_outside)
        self._progress.show(intent.distribution, seen)
        return healthy

    def _watch(self) -> Watch:
        ca_certificate = self._paths.ca / "ca.crt"
        return Watch(self._incus, self._board, self._held, self._safe, ca_certificate, self._say, self._backoff)

    def preview(self, plan: Plan) -> list[str]:
        """What would be done to the containers if this plan were in force, in words. Any thread may ask."""
        if self._setup.abilities is None:
            raise AgentError("the agent has not looked at this host yet", hint="ask again in a minute")
        shipped = plan.wanted(load_distribution(self._paths.distribution))
        intent = replace(read_intent(self._paths, self._plans), distribution=shipped, plan=plan)
        return [str(action) for action in reconcile.reconcile(self._desired(intent), execute.observe(self._incus))]

    def show(self) -> None:
        """Bring the text above the log-in prompt up to date, as far as the host can be read at all."""
        with contextlib.suppress(AgentError):
            self._progress.refresh(read_intent(self._paths, self._plans).distribution)

    # publishing ----------------------------------------------------------------------------------------------

    def _open(self, intent: Intent, authority: ca.Authority, seen: outside.Outside) -> bool:
        """What is published, at the entry; whether it answers there. That it cannot be stops nothing else."""
        shipped = intent.distribution
        try:
            self._entry.show(shipped, self._board.appliances())
            clients = {}
            if entry.wants_client_certificates(shipped):
                clients = clientcerts.of_host(self._paths, shipped).for_the_entry()
            return self._entry.ensure(shipped, authority, seen, clients)
        except AgentError as error:
            self.failures[error.appliance] = error
            self._say(error.sentence())
            return False

    # acting ---------------------------------------------------------------------------------------------------

    def _desired(self, intent: Intent) -> list[instances.DesiredInstance]:
        assert self._setup.abilities is not None
        return instances.desired_instances(
            intent.distribution,
            intent.image_list,
            intent.plan,
            self._held.appliances(),
            self._paths.runtime,
            self._setup.abilities,
        )

    def _act(self, actions: list[reconcile.Action], intent: Intent, wanted: list[instances.DesiredInstance]) -> None:
        def announce(done: int, action: reconcile.Action) -> None:
            text = str(action)
            self._say(text)
            self._board.busy(action.appliance, text)
            self._progress.acting(done, text, intent.distribution)

        executor = execute.Executor(
            self._incus,
            wanted,
            intent.image_list,
            self._paths.images,
            self._paths.image_mount,
            announce,
            lambda name, providers: self._before_start(intent, name, providers),
        )
        with self._recorded(", ".join(dict.fromkeys(action.appliance for action in actions))) as failed:
            for error in executor.execute(actions):
                self.failures[error.appliance] = error
                self._say(error.sentence())
                failed(error.sentence())

    def _before_start(self, intent: Intent, name: str, providers: tuple[str, ...]) -> None:
        self._wait_for(intent, name, providers)
        addresses = {one for daemon in intent.distribution.appliance(name).daemons for one in daemon.addresses}
        wire.refuse_taken(intent.distribution.network.bridge, addresses, name)

    def _wait_for(self, intent: Intent, name: str, providers: tuple[str, ...]) -> None:
        """Wait until the appliances that `name` consumes are healthy. After a bound it starts all the same:
        its own health page then says what is missing, and a broken neighbour does not keep everybody down.
        """
        watch = self._watch()
        deadline = time.monotonic() + PROVIDER_WAIT
        for provider in providers:
            appliance = intent.distribution.appliance(provider)
            while True:
                began = time.monotonic()
                if watch.look(appliance, intent.plan):
                    break
                status = self._board.appliance(provider)
                if status is None or status.state == "absent":
                    break
                if time.monotonic() > deadline:
                    self._say(f"{name} starts without {provider}, which is not well: {status.detail}")
                    break
                time.sleep(max(LOOK, time.monotonic() - began))

    def _reload(
        self, intent: Intent, watch: Watch, renewed: dict[str, set[str]], before: reconcile.Actual, started: set[str]
    ) -> None:
        """Let daemons that ran already take up a certificate that was renewed, or a setting that was changed.

        Those of appliances that have just been `started` have read them.
        """
        for name, daemons in renewed.items():
            appliance = intent.distribution.appliance(name)
            found = before.instances.get(appliance.instance)
            if found is not None and found.running and name not in started:
                for daemon in sorted(daemons):
                    self._say(f"{name}.{daemon} has a new certificate")
                    watch.systemctl(appliance, "try-reload-or-restart", appliance.daemon(daemon).unit)
        for mark in sorted(self._paths.restarts.glob("*.*")):
            name, _, daemon = mark.name.partition(".")
            with contextlib.suppress(UnknownName):  # of a distribution before this one
                appliance = intent.distribution.appliance(name)
                found = before.instances.get(appliance.instance)
                if found is not None and found.running and name not in started:  # one that starts now reads them anyway
                    self._say(f"restarting {daemon} of {name} for its new settings")
                    watch.begin_anew(appliance, appliance.daemon(daemon), intent.plan)
            mark.unlink()

    # looking --------------------------------------------------------------------------------------------------

    def _look_at_all(self, intent: Intent, watch: Watch, open_outside: bool) -> bool:
        waiting: list[Appliance] = []
        for appliance in intent.distribution.start_order():
            if not watch.look(appliance, intent.plan):
                waiting.append(appliance)
            if appliance.name in self.failures:
                self._show_failure(appliance, intent.plan, self.failures[appliance.name])
        self._entry.show(intent.distribution, self._board.appliances())
        if self.failures:
            raise next(iter(self.failures.values()))
        if waiting:
            self._progress.waiting([one.name for one in waiting])
        elif not open_outside:
            self._progress.waiting_for_entry()
        else:
            self._progress.healthy(intent.distribution)
        return open_outside and not waiting

    def _show_failure(self, appliance: Appliance, plan: Plan, error: AgentError) -> None:
        before = self._board.appliance(appliance.name)
        self._board.show(
            ApplianceStatus(
                appliance.name,
                appliance.instance,
                appliance.title,
                "error",
                plan.enabled(appliance.name),
                "failing",
                error.sentence(),
                before.daemons if before else (),
            )
        )
