"""The plan: which appliances and daemons of the distribution this host runs, and with what limits.

People edit the draft (/etc/asrbox/plan.yaml); what is in force is the newest of the plans that were applied
(applied.py).
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from appliances.base.agent import files
from appliances.base.agent.distribution import Appliance, Distribution, Limits
from appliances.base.agent.errors import AgentError, UnknownName
from appliances.base.agent.settings import Value, unmet

HEADER = """\
# What this host is to run. Edit it, look at the difference with `asrctl plan`, bring it into force with `asrctl apply`.
# limits override what the appliance asks for: memory and disk like 2GiB, cpu in cores, processes as a number.
# settings: `asrctl config APPLIANCE` lists those that there are.
# network: with `ipv6: on` every daemon gets an IPv6 address beside its IPv4 one; the containers restart for it.
"""
EVERYBODY = "*"  # what changes the network changes every appliance
_SIZE = re.compile(r"(\d+) ?(KiB|MiB|GiB|TiB)?")
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def bytes_of(text: Any) -> Any:
    """`2GiB` → bytes; anything else is left for the model to refuse."""
    if isinstance(text, str):
        found = _SIZE.fullmatch(text.strip())
        if not found:
            raise ValueError("expected a size such as 512MiB or 2GiB")
        return int(found[1]) * _UNITS.get(found[2] or "", 1)
    return text


def size_text(size: int) -> str:
    """Bytes → the largest unit that is exact: `2GiB`."""
    for unit, factor in reversed(_UNITS.items()):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


Memory = Annotated[int, BeforeValidator(bytes_of), Field(ge=64 << 20), PlainSerializer(size_text)]
Disk = Annotated[int, BeforeValidator(bytes_of), Field(ge=1 << 30), PlainSerializer(size_text)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class LimitOverrides(_Model):
    memory: Memory | None = None
    cpu: Annotated[int, Field(ge=1)] | None = None
    processes: Annotated[int, Field(ge=10)] | None = None
    disk: Disk | None = None


class PlannedAppliance(_Model):
    enabled: bool = True
    disabled_daemons: list[str] = []
    limits: LimitOverrides = LimitOverrides()
    settings: dict[str, bool | int | str] = {}


class PlannedNetwork(_Model):
    ipv6: bool = False


class Plan(_Model):
    version: Literal[1] = 1
    network: PlannedNetwork = PlannedNetwork()
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
        chosen = {key: value for key, value in planned.limits if value is not None}
        return appliance.limits.model_copy(update=chosen)

    def wanted(self, distribution: Distribution) -> Distribution:
        """The distribution as this plan wants it on the host: without IPv6 addresses unless they are switched on."""
        return distribution.with_ipv6(self.network.ipv6)

    def settings(self, appliance: Appliance) -> dict[str, Value]:
        """Every setting of the appliance: as the plan has it, else its default."""
        planned = self.appliances.get(appliance.name, PlannedAppliance()).settings
        return {one.key: planned.get(one.key, one.default) for one in appliance.settings}

    def set(self, appliance: Appliance, values: dict[str, Value | None]) -> None:
        """Change settings; None brings the default back. The values have been checked."""
        planned = self.appliances.setdefault(appliance.name, PlannedAppliance())
        kept = {**planned.settings, **values}
        planned.settings = {key: value for key, value in kept.items() if value is not None}

    def switch_appliance(self, name: str, enabled: bool) -> None:
        self.appliances.setdefault(name, PlannedAppliance()).enabled = enabled

    def switch_daemon(self, appliance: str, daemon: str, enabled: bool) -> None:
        planned = self.appliances.setdefault(appliance, PlannedAppliance())
        others = [name for name in planned.disabled_daemons if name != daemon]
        planned.disabled_daemons = others if enabled else [*others, daemon]

    def text(self) -> str:
        """As YAML, without what is not set."""
        body: str = yaml.safe_dump(self.model_dump(exclude_none=True), sort_keys=False, allow_unicode=True)
        return body


def load(path: Path, distribution: Distribution) -> Plan:
    """Read and check a plan. Raises AgentError with file, line or key, and what to do."""
    try:
        data = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise AgentError(
            f"{path} is missing", hint="bring back the plan that is in force: asrctl plan restore"
        ) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise AgentError(f"{path}:{line}: not YAML: {error.problem}") from error
    plan = parse(data, path)
    _check_names(path, plan, distribution)
    return plan


def parse(data: Any, path: Path) -> Plan:
    """A plan out of plain data. Raises AgentError with the key."""
    try:
        return Plan.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise AgentError(f"{path}: {key or 'the file'}: {first['msg'].removeprefix('Value error, ')}") from error


def save(path: Path, plan: Plan) -> None:
    """Write the draft; a power cut leaves the old one or the new one."""
    files.folder(path.parent)
    files.write(path, HEADER + plan.text())


def first(seed: Path, distribution: Distribution) -> Plan:
    """The plan of a new host, from the distribution and the answers of the installation in `seed`."""
    answers = _answers(seed)
    chosen = _chosen_by_seed(seed, answers, distribution)
    ipv6 = answers.get("ipv6", False)
    if not isinstance(ipv6, bool):
        raise AgentError(f"{seed}: ipv6: expected true or false", step="plan")
    network = PlannedNetwork(ipv6=ipv6)
    _check_network(f"{seed}: ipv6", network, distribution)
    enabled = {one.name: PlannedAppliance(enabled=one.name in chosen) for one in distribution.appliances}
    return Plan(network=network, appliances=enabled)


def changes(before: Plan, after: Plan, distribution: Distribution) -> dict[str, list[str]]:
    """What `after` says otherwise than `before`: appliance → in words, one line each; EVERYBODY: of all of them."""
    by_appliance: dict[str, list[str]] = {}
    if before.network.ipv6 != after.network.ipv6:
        by_appliance[EVERYBODY] = [f"network: ipv6 {_switched(after.network.ipv6)}"]
    for appliance in distribution.appliances:
        name = appliance.name
        found = []
        if before.enabled(name) != after.enabled(name):
            found.append(f"{name}: {_switched(after.enabled(name))}")
        for daemon in appliance.daemons:
            was, is_ = before.daemon_enabled(name, daemon.name), after.daemon_enabled(name, daemon.name)
            if was != is_:
                found.append(f"{name}.{daemon.name}: {_switched(is_)}")
        old, new = before.limits(appliance), after.limits(appliance)
        for key in type(new).model_fields:
            was, is_ = getattr(old, key), getattr(new, key)
            if was != is_:
                found.append(f"{name}: {key} {_limit_text(key, was)} → {_limit_text(key, is_)}")
        had, has = before.settings(appliance), after.settings(appliance)
        secret = {one.key for one in appliance.settings if one.kind == "secret"}
        for key in has:
            if had[key] != has[key]:
                told = _secret_text(has[key]) if key in secret else f"{had[key]} → {has[key]}"
                found.append(f"{name}: {key} {told}")
        if found:
            by_appliance[name] = found
    return by_appliance


def _secret_text(value: Value) -> str:
    return "entered anew" if value else "forgotten"


def _switched(on: bool) -> str:
    return "enabled" if on else "disabled"


def _limit_text(key: str, value: int | None) -> str:
    if value is None:
        return "as the pool gives"
    return size_text(value) if key in ("memory", "disk") else str(value)


def _check_names(path: Path, plan: Plan, distribution: Distribution) -> None:
    _check_network(f"{path}: network.ipv6", plan.network, distribution)
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
        for key, value in planned.settings.items():
            place = f"{path}: appliances.{name}.settings.{key}"
            try:
                planned.settings[key] = known[name].setting(key).check_planned(value)
            except ValueError as error:
                raise AgentError(f"{place}: {error}") from error
            except UnknownName as error:
                raise AgentError(f"{place}: {error.message}", hint=error.hint) from error
        for key, sentence in unmet(known[name].settings, plan.settings(known[name])).items():
            raise AgentError(f"{path}: appliances.{name}.settings.{key}: {sentence}")


def _check_network(place: str, network: PlannedNetwork, distribution: Distribution) -> None:
    if network.ipv6 and not distribution.network.ipv6:
        raise AgentError(
            f"{place}: this distribution has no IPv6 addresses",
            hint="leave it off, or build the ISO with a network.range6 in its file in distro/",
        )


def _answers(seed: Path) -> dict[str, Any]:
    """What the answer file says; nothing when there is none."""
    if not seed.exists():
        return {}
    try:
        return tomllib.loads(seed.read_text())
    except tomllib.TOMLDecodeError as error:
        raise AgentError(f"{seed}: not TOML: {error}", step="plan") from error


def _chosen_by_seed(seed: Path, answers: dict[str, Any], distribution: Distribution) -> set[str]:
    """Names of the appliances that the answer file asks for; all when it is silent."""
    known = [one.name for one in distribution.appliances]
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
