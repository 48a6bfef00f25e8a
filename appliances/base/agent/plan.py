"""The plan: which appliances and daemons of the distribution this host runs (/etc/asrbox/plan.yaml)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from appliances.base.agent import files
from appliances.base.agent.distribution import Appliance, Distribution, Limits
from appliances.base.agent.errors import AgentError

HEADER = """\
# What this host runs. Changed by `asrctl enable` and `asrctl disable`; by hand: then run `asrctl check`.
# limits override what the appliance asks for: memory in bytes, cpu in cores, processes as a number.
"""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class LimitOverrides(_Model):
    memory: Annotated[int, Field(ge=64 * 1024 * 1024)] | None = None
    cpu: Annotated[int, Field(ge=1)] | None = None
    processes: Annotated[int, Field(ge=10)] | None = None


class PlannedAppliance(_Model):
    enabled: bool = True
    disabled_daemons: list[str] = []
    limits: LimitOverrides = LimitOverrides()


class Plan(_Model):
    version: Literal[1] = 1
    appliances: dict[str, PlannedAppliance]

    def enabled(self, appliance: str) -> bool:
        """Whether the appliance is to run. One that the plan does not name is not."""
        planned = self.appliances.get(appliance)
        return planned is not None and planned.enabled

    def daemon_enabled(self, appliance: str, daemon: str) -> bool:
        """Whether the daemon is to run whenever its appliance does."""
        planned = self.appliances.get(appliance)
        return planned is None or daemon not in planned.disabled_daemons

    def limits(self, appliance: Appliance) -> Limits:
        """The limits of the appliance with the plan's overrides."""
        planned = self.appliances.get(appliance.name, PlannedAppliance())
        chosen = planned.limits.model_dump(exclude_none=True)
        return appliance.limits.model_copy(update=chosen)

    def switch_appliance(self, name: str, enabled: bool) -> None:
        self.appliances.setdefault(name, PlannedAppliance()).enabled = enabled

    def switch_daemon(self, appliance: str, daemon: str, enabled: bool) -> None:
        planned = self.appliances.setdefault(appliance, PlannedAppliance())
        others = [name for name in planned.disabled_daemons if name != daemon]
        planned.disabled_daemons = others if enabled else [*others, daemon]


def load(path: Path, distribution: Distribution) -> Plan:
    """Read and check the plan. Raises AgentError with file, line or key, and what to do."""
    try:
        data = yaml.safe_load(path.read_text())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise AgentError(f"{path}:{line}: not YAML: {error.problem}") from error
    try:
        plan = Plan.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise AgentError(f"{path}: {key or 'the file'}: {first['msg']}") from error
    _check_names(path, plan, distribution)
    return plan


def save(path: Path, plan: Plan) -> None:
    """Write the plan; a power cut leaves the old plan or the new one."""
    files.folder(path.parent)
    body: str = yaml.safe_dump(plan.model_dump(exclude_none=True), sort_keys=False, allow_unicode=True)
    files.write(path, HEADER + body)


def ensure(path: Path, seed: Path, distribution: Distribution) -> Plan:
    """The plan of this host; on the first start it is made from the distribution and the answers in `seed`."""
    if not path.exists():
        chosen = _chosen_by_seed(seed, distribution)
        appliances = {one.name: PlannedAppliance(enabled=one.name in chosen) for one in distribution.appliances}
        save(path, Plan(appliances=appliances))
    return load(path, distribution)


def _check_names(path: Path, plan: Plan, distribution: Distribution) -> None:
    known = {one.name: one for one in distribution.appliances}
    for name, planned in plan.appliances.items():
        if name not in known:
            raise AgentError(
                f"{path}: appliances.{name}: there is no such appliance",
                hint=f"this distribution has: {', '.join(known)}",
            )
        daemons = [daemon.name for daemon in known[name].daemons]
        for daemon in planned.disabled_daemons:
            if daemon not in daemons:
                raise AgentError(
                    f"{path}: appliances.{name}.disabled_daemons: there is no daemon {daemon!r}",
                    hint=f"{name} has: {', '.join(daemons)}",
                )


def _chosen_by_seed(seed: Path, distribution: Distribution) -> set[str]:
    """Names of the appliances that the answer file asks for; all when there is none or it is silent."""
    known = [one.name for one in distribution.appliances]
    if not seed.exists():
        return set(known)
    try:
        answers: dict[str, Any] = tomllib.loads(seed.read_text())
    except tomllib.TOMLDecodeError as error:
        raise AgentError(f"{seed}: not TOML: {error}", step="plan") from error
    chosen = answers.get("appliances", known)
    if not isinstance(chosen, list):
        raise AgentError(f"{seed}: appliances: expected a list of names", step="plan")
    for name in chosen:
        if name not in known:
            raise AgentError(
                f"{seed}: appliances: there is no appliance {name!r}",
                step="plan",
                hint=f"this distribution has: {', '.join(known)}",
            )
    return set(chosen)
