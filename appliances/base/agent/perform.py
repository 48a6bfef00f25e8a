"""What the five actions mean, for an appliance and for a daemon, and when they have been carried out."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from appliances.base.agent import secretstore
from appliances.base.agent.applied import Applied, PlanStore
from appliances.base.agent.board import WELL_ENOUGH, Board
from appliances.base.agent.distribution import Appliance, Daemon, Distribution, load_distribution
from appliances.base.agent.errors import AgentError, WrongSettings
from appliances.base.agent.held import Held
from appliances.base.agent.incus import Incus
from appliances.base.agent.operations import Operation
from appliances.base.agent.paths import Paths
from appliances.base.agent.plan import EVERYBODY, Plan, changes
from appliances.base.agent.safemode import SafeMode
from appliances.base.agent.settings import Value, unmet
from appliances.base.agent.trial import Trial

if TYPE_CHECKING:
    from appliances.base.agent.converge import Convergence

PATIENCE = 300.0  # seconds until the target has to be as wanted
SETTLING = 240.0  # seconds that what a plan changes has to get well; a slow machine starts a web daemon in 60
HOPELESS = 60.0  # seconds after its first failure at which a daemon that has failed is not waited for any longer
LOOK = 1.0
OFF = ("stop", "disable")
PLAN = "plan"  # the target of `apply`
RESUMED = "resumed"  # argument of an `apply` that an earlier agent began


class Performer:
    """Carries out one action at a time, in the agent's thread."""

    def __init__(
        self,
        paths: Paths,
        plans: PlanStore,
        incus: Incus,
        board: Board,
        held: Held,
        safe: SafeMode,
        convergence: Convergence,
        say: Callable[[str], None],
    ) -> None:
        self._paths = paths
        self._plans = plans
        self._incus = incus
        self._board = board
        self._held = held
        self._safe = safe
        self._convergence = convergence
        self._say = say
        self._trial = Trial(paths.trial)

    def perform(self, operation: Operation) -> None:
        """Do what an operation asks for and wait for the result.

        `start|stop|restart|enable|disable` have `<appliance>` or `<appliance>.<daemon>` for a target; `configure` an
        appliance, and settings for arguments; `apply` brings the draft of the plan into force. Raises AgentError when
        it cannot be done, or when the target is not as wanted after 300 s.
        """
        action, author = operation.action, operation.author
        distribution = load_distribution(self._paths.distribution)
        if operation.arguments.get(RESUMED):
            self._resume(distribution, author)
            return
        if action == "apply":
            self._bring(self._plans.draft(distribution), distribution, author)
            return
        name, _, daemon_name = operation.target.partition(".")
        appliance = distribution.appliance(name)
        if action == "configure":
            self._configure(appliance, operation.arguments, distribution, author)
            return
        if action not in OFF and self._safe.leave(appliance.name):
            self._say(f"{appliance.name} leaves safe mode")
            self._start_daemons(appliance, self._plans.current(distribution).plan)
        if daemon_name:
            self._daemon(action, appliance, appliance.daemon(daemon_name), distribution, author)
        else:
            self._appliance(action, appliance, distribution, author)
        self._wait(action, appliance, daemon_name)

    def _configure(
        self, appliance: Appliance, values: dict[str, Value | None], distribution: Distribution, author: str
    ) -> None:
        def change(plan: Plan) -> None:
            plan.set(appliance, values)

        plan = self._plans.changed(distribution, change)
        if wrong := unmet(appliance.settings, plan.settings(appliance)):  # those that came before count too
            raise WrongSettings(wrong, appliance=appliance.name)
        self._bring(plan, distribution, author)
        self._plans.note(distribution, change)
        secretstore.forget(self._paths.secrets, self._plans.references(distribution))

    def _bring(self, plan: Plan, distribution: Distribution, author: str) -> None:
        """Bring a plan into force; when what it changes does not get well, the plan before it comes back."""
        before = self._plans.current(distribution)
        told = changes(before.plan, plan, distribution)
        for line in itertools.chain(*told.values()):
            self._say(line)
        for name in plan.appliances:
            if before.plan.enabled(name) and not plan.enabled(name):
                self._name_consumers(distribution.appliance(name), distribution)
            if plan.enabled(name) and not before.plan.enabled(name):
                self._held.release(name)
        touched = set(plan.appliances if EVERYBODY in told else told)
        self._trial.begin(before.number, touched)
        applied = self._plans.apply(plan, author)
        self._say(f"plan {applied.number} is in force")
        self._judge(before, applied, touched, author)

    def on_trial(self) -> bool:
        """Whether an agent was killed before it knew how a plan went that it had brought into force."""
        return self._trial.read() is not None

    def _resume(self, distribution: Distribution, author: str) -> None:
        """Go on where that agent stopped. Raises AgentError when the plan was taken back."""
        noted = self._trial.read()
        applied = self._plans.current(distribution)
        if noted is None or applied.number == noted[0]:
            self._trial.end()  # it was killed before the new plan came into force
            return
        before = next((one for one in self._plans.history() if one.number == noted[0]), None)
        if before is not None:
            self._judge(before, applied, noted[1] & {one.name for one in distribution.appliances}, author)
        self._trial.end()

    def _judge(self, before: Applied, applied: Applied, names: set[str], author: str) -> None:
        """Wait until what a plan changed is well; otherwise bring the one before it back, and raise AgentError."""
        problem = self._unsettled(names)
        if problem is None:
            self._trial.end()
            return
        back = self._plans.apply(before.plan, author)
        self._trial.end()
        self._say(f"{problem}: what plan {before.number} said is in force again, as plan {back.number}")
        self._unsettled(names)
        raise AgentError(
            f"plan {applied.number} was taken back: {problem}",
            hint=f"see: asrctl logs {next(iter(names))}" if len(names) == 1 else "see: asrctl check",
        )

    def _unsettled(self, names: set[str]) -> str | None:
        """Make rounds until these appliances are well or off; why they are not, when that does not happen.

        Their time begins when the first round is done: that one may have to restart all containers.
        What has failed for good (systemd gave its daemon up, and so did a repair) is not waited for to the end.
        """
        deadline: float | None = None
        failed_since: dict[str, float] = {}
        while True:
            try:
                self._convergence.round()
            except AgentError as error:
                if error.appliance in (None, *names):
                    return error.sentence()
            shown = [one for name in names if (one := self._board.appliance(name))]
            bad = [one for one in shown if one.health not in WELL_ENOUGH and one.state not in ("stopped", "disabled")]
            if not bad:
                return None
            now = time.monotonic()
            deadline = deadline or now + SETTLING
            failed = {one.name for one in bad if one.state == "error"}
            hopeless = any(now - failed_since.setdefault(name, now) > HOPELESS for name in failed)
            if hopeless or now >= deadline:
                return "; ".join(f"{one.name} is {one.state}: {one.detail or 'waiting'}" for one in bad)
            time.sleep(LOOK)

    def _appliance(self, action: str, appliance: Appliance, distribution: Distribution, author: str) -> None:
        plan = self._plans.current(distribution).plan
        if action in OFF:
            self._name_consumers(appliance, distribution)
        if action in ("start", "restart") and not plan.enabled(appliance.name):
            raise AgentError(
                "is disabled", appliance=appliance.name, hint=f"asrctl enable {appliance.name} starts it too"
            )
        if action in ("enable", "disable"):
            self._plans.change(
                distribution, author, lambda one: one.switch_appliance(appliance.name, action == "enable")
            )
        if action == "stop":
            self._held.hold(appliance.name)
        else:
            self._held.release(appliance.name)
        if action == "restart":
            found = self._incus.instance(appliance.instance)
            if found is not None and found["status"] == "Running":
                self._say(f"stopping {appliance.name}")
                self._incus.stop(appliance.instance, appliance=appliance.name)

    def _daemon(
        self, action: str, appliance: Appliance, daemon: Daemon, distribution: Distribution, author: str
    ) -> None:
        plan = self._plans.current(distribution).plan
        target = f"{appliance.name}.{daemon.name}"
        if action in ("start", "restart"):
            if not plan.daemon_enabled(appliance.name, daemon.name):
                raise AgentError(
                    f"{daemon.name} is disabled",
                    appliance=appliance.name,
                    hint=f"asrctl enable {target} starts it too",
                )
            self._systemctl(action, appliance, daemon)
        if action in ("enable", "disable"):
            enabled = action == "enable"
            self._plans.change(
                distribution, author, lambda one: one.switch_daemon(appliance.name, daemon.name, enabled)
            )
        if action == "stop":
            self._held.hold(target)
        else:
            self._held.release(target)

    def _systemctl(self, action: str, appliance: Appliance, daemon: Daemon) -> None:
        found = self._incus.instance(appliance.instance)
        if found is None or found["status"] != "Running":
            raise AgentError("does not run", appliance=appliance.name, hint=f"first: asrctl start {appliance.name}")
        self._say(f"{action} of {daemon.unit} in {appliance.name}")
        ran = self._incus.run(
            appliance.instance,
            ["systemctl", action, daemon.unit],
            appliance=appliance.name,
            step=f"systemctl {action}",
            timeout=180,
        )
        if ran.code != 0:
            raise AgentError(
                ran.stderr.strip(),
                appliance=appliance.name,
                step=f"systemctl {action}",
                hint=f"see: asrctl logs {appliance.name}.{daemon.name}",
            )

    def _start_daemons(self, appliance: Appliance, plan: Plan) -> None:
        """Start what safe mode has stopped; how that goes, the rounds see."""
        found = self._incus.instance(appliance.instance)
        if found is not None and found["status"] == "Running":
            units = [one.unit for one in appliance.daemons if plan.daemon_enabled(appliance.name, one.name)]
            command = ["systemctl", "start", "--no-block", *units]
            self._incus.run(appliance.instance, command, appliance=appliance.name, step="leave safe mode", timeout=60)

    def _name_consumers(self, appliance: Appliance, distribution: Distribution) -> None:
        consumers = distribution.consumers(appliance.name)
        if consumers:
            self._say(f"{appliance.name} is used by {', '.join(consumers)}: they will miss it")

    def _wait(self, action: str, appliance: Appliance, daemon: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._convergence.round()
            except AgentError as error:
                if error.appliance in (None, appliance.name):
                    raise
            detail = self._lacking(action, appliance.name, daemon)
            if detail is None:
                return
            if time.monotonic() > deadline:
                raise AgentError(
                    f"not as wanted after {PATIENCE:.0f} s: {detail}",
                    appliance=appliance.name,
                    hint=f"see: asrctl logs {appliance.name}",
                )
            self._say(detail)
            time.sleep(LOOK)

    def _lacking(self, action: str, name: str, daemon: str) -> str | None:
        """What is still missing, in words; None when the target is as wanted."""
        appliance = self._board.appliance(name)
        if appliance is None:
            return f"{name} is not known yet"
        state, health, detail = appliance.state, appliance.health, appliance.detail
        if daemon:
            one = next(one for one in appliance.daemons if one.name == daemon)
            if action == "enable" and state in ("stopped", "disabled"):
                return None  # it will run as soon as its appliance does
            state, health, detail = one.state, one.health, one.detail
        if action in OFF:
            return None if state in ("stopped", "disabled", "absent") else f"{name} is still {state}"
        return None if health in WELL_ENOUGH else f"{name} is {state}: {detail or 'waiting'}"
