"""One round of the agent: read what should be, prepare the host, make Incus like it, look how everybody is."""

from __future__ import annotations

import contextlib
import datetime
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from cheroot import wsgi
from flask import Flask

from appliances.base.agent import (
    abilities,
    ca,
    clientcerts,
    distribution,
    entry,
    entryservice,
    execute,
    files,
    firewall,
    images,
    instances,
    ipv6,
    outside,
    preseed,
    reconcile,
    routes,
    runtime,
    secretstore,
    server,
    tokens,
    wire,
)
from appliances.base.agent.applied import PlanStore
from appliances.base.agent.board import ApplianceStatus, Board, Phase
from appliances.base.agent.console import Console
from appliances.base.agent.distribution import AGENT_ENDPOINT, AGENT_PORT, Appliance, Distribution, ImageList
from appliances.base.agent.errors import AgentError, UnknownName
from appliances.base.agent.held import Held
from appliances.base.agent.incus import Incus
from appliances.base.agent.paths import Paths
from appliances.base.agent.plan import Plan
from appliances.base.agent.safemode import SafeMode
from appliances.base.agent.watch import Backoff, Watch

PREPARED = 2  # steps before the actions: secrets and CA; Incus
INCUS_START = 120.0  # seconds for the container daemon to come up
INCUS_IDLE = 120.0  # seconds to let it finish what an earlier agent asked for
PROVIDER_WAIT = 300.0  # seconds an appliance waits for those that it consumes; then it starts anyway
LOOK = 2.0  # seconds between looks while waiting
# Made by auth on its volume when the administrator has changed the first password.
PASSWORD_CHANGED = "/var/lib/asrbox/data/administrator-password-changed"  # noqa: S105


@dataclass(frozen=True)
class Intent:
    """What should be: the files that the installer and people wrote. The distribution is as the plan wants it."""

    distribution: Distribution
    image_list: ImageList
    plan: Plan


def read_intent(paths: Paths, plans: PlanStore) -> Intent:
    """Read distribution, image list and the plan in force. Raises AgentError naming file and key."""
    shipped = distribution.load_distribution(paths.distribution)
    image_list = distribution.load_images(paths.image_list)
    plan = plans.current(shipped).plan
    return Intent(plan.wanted(shipped), image_list, plan)


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
        console: Console,
        say: Callable[[str], None],
        recorded: Callable[[str], AbstractContextManager[Callable[[str], None]]],
        tls_app: Callable[[tokens.Verifier], Flask],
    ) -> None:
        self._paths = paths
        self._plans = plans
        self._incus = incus
        self._board = board
        self._held = held
        self._safe = safe
        self._console = console
        self._say = say
        self._recorded = recorded
        self._tls_app = tls_app
        self._tls: dict[str, wsgi.Server] = {}
        self._abilities: instances.HostAbilities | None = None
        self._backoff = Backoff()
        self._firewall = firewall.Firewall()
        self._entry = entryservice.EntryService(paths, say)
        self._began = time.monotonic()
        self._steps = PREPARED
        self._prepared = False
        self.ready = False
        self.failures: dict[str | None, AgentError] = {}

    def round(self) -> bool:
        """Do one round; returns whether every enabled appliance is healthy. Raises AgentError when it cannot go on."""
        self.failures = {}
        intent = read_intent(self._paths, self._plans)
        self._board.introduce(intent.distribution)
        ipv6.refuse(intent.distribution.network)
        self._prepare_progress(0, "making secrets and the certificate authority")
        seen = outside.look(intent.distribution.network.bridge)
        renderer, renewed = self._prepare(intent, seen)
        self._prepare_progress(1, "setting Incus up")
        open_outside = self._open(intent, renderer.authority, seen)
        self._set_up_incus(intent, renderer)
        if not self._prepared:
            self._incus.wait_idle(INCUS_IDLE)
        self._prepared = True
        actual = execute.observe(self._incus)
        wanted = self._desired(intent)
        actions = reconcile.reconcile(wanted, actual)
        self._steps = max(self._steps, PREPARED + len(actions) + len(intent.distribution.appliances))
        if actions:
            self._act(actions, intent, wanted)
        watch = self._watch()
        started = {one.appliance for one in actions if isinstance(one, reconcile.StartInstance)}
        self._reload(intent, watch, renewed, actual, started - self.failures.keys())
        healthy = self._look_at_all(intent, watch, open_outside)
        self._console.show(intent.distribution, seen, self._password(intent.distribution))
        return healthy

    def _watch(self) -> Watch:
        ca_certificate = self._paths.ca / "ca.crt"
        return Watch(self._incus, self._board, self._held, self._safe, ca_certificate, self._say, self._backoff)

    def preview(self, plan: Plan) -> list[str]:
        """What would be done to the containers if this plan were in force, in words. Any thread may ask."""
        if self._abilities is None:
            raise AgentError("the agent has not looked at this host yet", hint="ask again in a minute")
        shipped = plan.wanted(distribution.load_distribution(self._paths.distribution))
        intent = replace(read_intent(self._paths, self._plans), distribution=shipped, plan=plan)
        return [str(action) for action in reconcile.reconcile(self._desired(intent), execute.observe(self._incus))]

    def show(self) -> None:
        """Bring the text above the log-in prompt up to date, as far as the host can be read at all."""
        with contextlib.suppress(AgentError):
            self._refresh_console(read_intent(self._paths, self._plans))

    # preparing ------------------------------------------------------------------------------------------------

    def _prepare(self, intent: Intent, seen: outside.Outside) -> tuple[runtime.Renderer, dict[str, set[str]]]:
        """Secrets, CA, tokens, runtime folders; returns the renderer and the renewed daemons by appliance."""
        paths, shipped = self._paths, intent.distribution
        for folder in (paths.var, paths.runtime):
            files.folder(folder, mode=0o711)
        files.folder(paths.state, mode=0o700)
        released = datetime.date.fromisoformat(shipped.released)
        title = f"{shipped.title['en']} CA of {seen.hostname}"
        authority = ca.Authority(paths.ca, title, released, datetime.datetime.now(datetime.UTC))
        known = tokens.ensure_all(paths.tokens, shipped)
        renderer = runtime.Renderer(paths, shipped, authority, known, self._owner_base())
        renewed = {one.name: renderer.render(one, intent.plan.settings(one)) for one in shipped.appliances}
        return renderer, renewed

    def _open(self, intent: Intent, authority: ca.Authority, seen: outside.Outside) -> bool:
        """What is published, at the entry; whether it answers there. That it cannot be stops nothing else."""
        shipped = intent.distribution
        try:
            self._entry.show(shipped, self._board.appliances())
            clients = {}
            if entry.wants_client_certificates(shipped):
                clients = client_certificates(self._paths, shipped).for_the_entry()
            return self._entry.ensure(shipped, authority, seen, clients)
        except AgentError as error:
            self.failures[error.appliance] = error
            self._say(error.sentence())
            return False

    def _owner_base(self) -> int:
        """First host id of the containers' id map, where the kernel cannot shift owners; else 0."""
        if self._abilities is None or self._abilities.shifts_mounts:
            return 0
        return id_base(Path("/etc/subuid"))

    def _set_up_incus(self, intent: Intent, renderer: runtime.Renderer) -> None:
        described = self._incus.wait_ready(INCUS_START)
        if self._abilities is None:
            self._abilities = abilities.probe(described)
            if not self._abilities.shifts_mounts:
                renderer.owner_base = self._owner_base()
                for one in intent.distribution.appliances:
                    renderer.render(one, intent.plan.settings(one))
        if self._incus.pool(preseed.POOL) is None:
            storage = preseed.choose_storage(intent.distribution)
        else:
            storage = self._existing_storage(intent.distribution)
        if self._incus.network(intent.distribution.network.bridge) is None:
            for reach in routes.ranges(intent.distribution.network):
                routes.refuse_overlap(reach, intent.distribution.network.bridge)
        for done in preseed.apply(self._incus, preseed.desired(intent.distribution, storage)):
            self._say(done)
        if self._abilities.filters_frames and self._firewall.ensure(firewall.rules(intent.distribution)):
            self._say("loaded the firewall between the containers")
        self._serve_tls(intent.distribution, renderer)

    def _existing_storage(self, shipped: Distribution) -> preseed.Storage:
        """The storage that the pool was made of: it is not chosen anew when a volume group appears later."""
        pool = self._incus.pool(preseed.POOL)
        driver = pool["driver"] if pool else None
        return preseed.choose_storage(shipped, driver if driver in ("lvm", "btrfs") else None)

    def _serve_tls(self, shipped: Distribution, renderer: runtime.Renderer) -> None:
        network = shipped.network
        certificate, key = self._paths.ca / "agent.crt", self._paths.ca / "agent.key"
        addresses = [str(address) for address in (network.host, network.host6) if address is not None]
        subject = ca.subject_of([f"{AGENT_ENDPOINT}.{network.domain}"], addresses)
        renewed = renderer.authority.ensure(certificate, key, subject, gone=network.gone6)
        for address in [address for address in self._tls if address not in addresses]:
            self._tls.pop(address).stop()
        for address in addresses:
            if address not in self._tls:
                app = self._tls_app(tokens.Verifier(renderer.service_tokens))
                self._tls[address] = server.serve_tls(app, address, AGENT_PORT, certificate, key)
            elif renewed:
                server.renew(self._tls[address], certificate, key)

    # acting ---------------------------------------------------------------------------------------------------

    def _desired(self, intent: Intent) -> list[instances.DesiredInstance]:
        assert self._abilities is not None
        return instances.desired_instances(
            intent.distribution,
            intent.image_list,
            intent.plan,
            self._held.appliances(),
            self._paths.runtime,
            self._abilities,
        )

    def _act(self, actions: list[reconcile.Action], intent: Intent, wanted: list[instances.DesiredInstance]) -> None:
        def announce(done: int, action: reconcile.Action) -> None:
            text = str(action)
            self._say(text)
            self._board.busy(action.appliance, text)
            self._progress(PREPARED + done, text, acting=True)
            self._refresh_console(intent)

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
        total = len(intent.distribution.appliances)
        if waiting:
            self._progress(self._steps - len(waiting), f"waiting for {', '.join(one.name for one in waiting)}")
        elif not open_outside:
            self._progress(self._steps, "waiting for the entry")
        elif not self.ready:
            self._become_ready(intent)
        else:
            self._board.progress("running", total, total, "all appliances are healthy")
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

    def _become_ready(self, intent: Intent) -> None:
        seconds = time.monotonic() - self._began
        total = len(intent.distribution.appliances)
        if not self._paths.first_boot.exists():
            files.write_json(self._paths.first_boot, {"seconds": round(seconds, 1)})
        self.ready = True
        self._board.progress("running", total, total, "all appliances are healthy")
        self._refresh_console(intent)
        self._console.milestone(f"ready in {seconds:.1f} s")

    # telling --------------------------------------------------------------------------------------------------

    def _prepare_progress(self, done: int, text: str) -> None:
        if not self._prepared:
            self._progress(done, text)

    def _progress(self, done: int, text: str, *, acting: bool = False) -> None:
        if self.ready and not acting:
            return  # routine of a running host: nothing to announce
        phase: Phase = "converging" if self._paths.first_boot.exists() else "first-boot"
        self._board.progress(phase, done, self._steps, text)
        self._console.milestone(f"phase {phase} {done}/{self._steps} {text}")

    def _refresh_console(self, intent: Intent) -> None:
        seen = outside.look(intent.distribution.network.bridge)
        self._console.show(intent.distribution, seen, self._password(intent.distribution, ask=False))

    def _password(self, shipped: Distribution, *, ask: bool = True) -> str | None:
        """The administrator's first password; None once auth says (when asked, or has said) that it was changed."""
        marker = self._paths.password_changed
        owners = [one for one in shipped.appliances if secretstore.ADMINISTRATOR in one.secrets]
        if not owners or marker.exists():
            return None
        status = self._board.appliance(owners[0].name)
        if ask and status is not None and status.state == "running":
            try:
                ran = self._incus.run(
                    owners[0].instance,
                    ["test", "-e", PASSWORD_CHANGED],
                    appliance=owners[0].name,
                    step="ask for the password's state",
                )
            except AgentError:
                return secretstore.once(self._paths.secrets / owners[0].name / secretstore.ADMINISTRATOR, readable=True)
            if ran.code == 0:
                files.write(marker, "")
                return None
        return secretstore.once(self._paths.secrets / owners[0].name / secretstore.ADMINISTRATOR, readable=True)


def client_certificates(paths: Paths, shipped: Distribution) -> clientcerts.ClientCertificates:
    """Those of this host; their CA is made when it is first needed."""

    def authority() -> ca.Authority:
        title = f"{shipped.title['en']} clients of {socket.gethostname()}"
        released = datetime.date.fromisoformat(shipped.released)
        files.folder(paths.ca, mode=0o700)
        return ca.Authority(paths.client_authority, title, released, datetime.datetime.now(datetime.UTC))

    return clientcerts.ClientCertificates(paths.client_authority, authority)


def id_base(subuid: Path) -> int:
    """First host id that the container daemon gives to containers: root's largest range in /etc/subuid."""
    ranges = []
    if subuid.exists():
        for line in subuid.read_text().splitlines():
            owner, _, numbers = line.partition(":")
            if owner == "root" and numbers.replace(":", "").isdigit():
                first, count = numbers.split(":")
                ranges.append((int(count), int(first)))
    return max(ranges)[1] if ranges else 1_000_000


def forget_mounts(paths: Paths) -> None:
    """Take away what an earlier agent that was killed left mounted."""
    images.unmount(paths.image_mount)
