"""From the YAML files of a checkout to one resolved distribution: everything that no single file can know.

All mistakes of all files are collected and told at once.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from builder.errors import AsrboxError, ErrorList
from builder.manifest import Appliance, BaseManifest, Daemon, Distribution, Image, base_manifest
from builder.yamlfile import YamlFile, parse, read_yaml

AGENT_PORT = 8443
# TCP ports that the host itself listens on: the entry, the agent, remote log-in, names for the bridge.
HOST_PORTS = {22: "sshd", 53: "the bridge's name service", 80: "the entry", 443: "the entry", AGENT_PORT: "the agent"}
HOST_ENDPOINTS = {"agent.host"}
# RFC 4193 (the half that is assigned), RFC 4291 section 2.4; RFC 3849 and RFC 9637 are for books only.
UNICAST6 = (ipaddress.IPv6Network("fd00::/8"), ipaddress.IPv6Network("2000::/3"))
DOCUMENTATION6 = (ipaddress.IPv6Network("2001:db8::/32"), ipaddress.IPv6Network("3fff::/20"))


@dataclass(frozen=True)
class Project:
    """A checkout: where the manifests, roles and sources of one distribution are."""

    root: Path

    def distribution_file(self, name: str) -> Path:
        return self.root / "distro" / f"{name}.yaml"

    def base_file(self, name: str) -> Path:
        """The manifest of a base: by its name, or (with a / in it) by its path."""
        return Path(name) if "/" in name else self.root / "distro" / "bases" / f"{name}.yaml"

    def image_file(self, name: str) -> Path:
        return self.root / "images" / f"{name}.yaml"

    def appliance_file(self, name: str) -> Path:
        return self.root / "appliances" / name / "appliance.yaml"

    def role(self, name: str) -> Path:
        return self.root / "roles" / name

    def lock(self, base: str) -> Path:
        return self.root / "distro" / "locks" / f"{base}.json"

    @property
    def build_tools_lock(self) -> Path:
        return self.root / "distro" / "locks" / "build.txt"

    @property
    def tools_lock(self) -> Path:
        return self.root / "distro" / "locks" / "tools.txt"

    def wheel_lock(self, base: str, tree: str) -> Path:
        return self.root / "distro" / "locks" / base / f"{tree}.txt"


@dataclass(frozen=True)
class Resolved:
    """A valid distribution: the parsed manifests, and every address computed from the network plan."""

    project: Project
    distribution: Distribution
    base: BaseManifest
    host: Image
    container: Image
    appliances: dict[str, Appliance]

    @property
    def network(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(self.distribution.network.range)

    @property
    def host_address(self) -> ipaddress.IPv4Address:
        return self.network[1]

    @property
    def network6(self) -> ipaddress.IPv6Network | None:
        """The IPv6 range beside the IPv4 one; None when the distribution has none."""
        range6 = self.distribution.network.range6
        return None if range6 is None else ipaddress.IPv6Network(range6)

    def address6(self, appliance: str, daemon: Daemon) -> ipaddress.IPv6Address | None:
        """The second address of a daemon: the n-th /64 for block n, and in it the same host number as in IPv4."""
        if self.network6 is None or not daemon.ipv6:
            return None
        number = int(self.address(appliance, daemon)) - int(self.block(appliance).network_address)
        return self.network6[(self.distribution.appliances[appliance] << 64) + number]

    @property
    def volume_label(self) -> str:
        """Label of the medium: letters, digits and _ only, since it travels through GRUB, udev and Anaconda."""
        return f"{self.distribution.distribution}_{self.distribution.version.replace('.', '_')}".upper()

    def block(self, appliance: str) -> ipaddress.IPv4Network:
        """The /24 block of an appliance."""
        first = int(self.network.network_address) + 256 * self.distribution.appliances[appliance]
        return ipaddress.IPv4Network((first, 24))

    def address(self, appliance: str, daemon: Daemon) -> ipaddress.IPv4Address:
        """The address of a daemon, which is also its identity on the network."""
        if isinstance(daemon.address, str):
            return ipaddress.IPv4Address(daemon.address)
        return self.block(appliance)[daemon.address]

    def hostname(self, appliance: str, daemon: str) -> str:
        return f"{daemon}.{instance(appliance)}.{self.distribution.network.domain}".replace("_", "-")

    def packages(self) -> dict[str, list[str]]:
        """Tree → names of the packages that its manifest asks for."""
        family = self.base.family
        wanted = {"host": self.host.packages.get(family, []), "container": self.container.packages.get(family, [])}
        wanted.update({name: entry.packages.get(family, []) for name, entry in self.appliances.items()})
        return wanted

    def wheel_lock(self, tree: str) -> Path:
        """The lock of the Python parts of a tree."""
        return self.project.wheel_lock(self.base.python_locks or self.base.base, tree)

    def python(self) -> dict[str, list[str]]:
        """Tree → Python requirements; those of the container image go into every appliance."""
        wanted = {"host": list(self.host.python)}
        for name, appliance in self.appliances.items():
            wanted[name] = [*self.container.python, *appliance.python]
        return wanted

    @cached_property
    def start_order(self) -> list[str]:
        """Appliances so that each comes after all that it consumes, otherwise in the order of the plan."""
        order: list[str] = []

        def visit(name: str, trail: tuple[str, ...]) -> None:
            if name in trail:
                circle = " → ".join([*trail[trail.index(name) :], name])
                raise AsrboxError(f"appliances wait for each other in a circle: {circle}")
            if name in order or name not in self.appliances:
                return
            for endpoint in self.appliances[name].consumes:
                visit(endpoint.split(".")[1], (*trail, name))
            order.append(name)

        for name in self.distribution.appliances:
            visit(name, ())
        return order

    def as_json(self) -> dict[str, Any]:
        """The content of distribution.json (docs/architecture.md); sizes in bytes, appliances in start order."""
        d = self.distribution
        return {
            "name": d.distribution,
            "version": d.version,
            "base": d.base,
            "released": d.released,
            "title": d.title.model_dump(),
            "network": {
                "range": d.network.range,
                "bridge": d.network.bridge,
                "host": str(self.host_address),
                "domain": d.network.domain,
                **({"range6": str(self.network6), "host6": str(self.network6[1])} if self.network6 else {}),
            },
            "install": d.install.model_dump(),
            "appliances": [self._appliance_json(name) for name in self.start_order],
        }

    def _appliance_json(self, name: str) -> dict[str, Any]:
        appliance = self.appliances[name]
        daemons = [
            {
                "name": daemon_name,
                **daemon.model_dump(exclude={"address", "health", "publish", "ipv6"}),
                "publish": daemon.publish.as_json() if daemon.publish else None,
                "address": str(self.address(name, daemon)),
                **({"address6": str(address6)} if (address6 := self.address6(name, daemon)) else {}),
                "hostname": self.hostname(name, daemon_name),
                "health": daemon.health.model_dump(exclude_none=True),
            }
            for daemon_name, daemon in appliance.daemons.items()
        ]
        return {
            "name": name,
            "instance": instance(name),
            "block": str(self.block(name)),
            "title": appliance.title.model_dump(),
            "summary": appliance.summary.model_dump(),
            "daemons": daemons,
            "volumes": [{"name": key, **volume.model_dump()} for key, volume in appliance.volumes.items()],
            "limits": appliance.limits.model_dump(),
            "consumes": list(appliance.consumes),
            "settings": [{"key": key, **one.model_dump(exclude_none=True)} for key, one in appliance.settings.items()],
            "secrets": list(appliance.secrets),
        }


def instance(appliance: str) -> str:
    """Name of the Incus instance: like a host name, so without _."""
    return appliance.replace("_", "-")


def load(project: Project, name: str = "asrbox", base_name: str | None = None) -> Resolved:
    """Read and check everything. Raises ErrorList (or AsrboxError) with every mistake found.

    `base_name` is taken instead of the base of the distribution: a name, or the path of a manifest.
    """
    file = read_yaml(project.distribution_file(name))
    distribution = parse(file, Distribution)
    errors: list[AsrboxError] = []
    base = _base(project, file, distribution.base if base_name is None else base_name, base_name is None, errors)
    if base is not None:
        distribution = distribution.model_copy(update={"base": base.base})
    images = {name: _collect(errors, project.image_file(name), Image) for name in ("host", "container")}
    appliances: dict[str, Appliance] = {}
    files: dict[str, YamlFile] = {}
    for appliance in distribution.appliances:
        path = project.appliance_file(appliance)
        if not path.is_file():
            known = sorted(found.parent.name for found in project.root.glob("appliances/*/appliance.yaml"))
            errors.append(
                file.error(
                    f"there is no appliance {appliance!r}: {path.relative_to(project.root)} does not exist",
                    ("appliances", appliance),
                    f"known appliances: {', '.join(known)}",
                )
            )
            continue
        try:
            files[appliance] = read_yaml(path)
            appliances[appliance] = parse(files[appliance], Appliance)
        except AsrboxError as error:
            errors.append(error)
    if errors:
        raise ErrorList(errors)
    assert base and images["host"] and images["container"]
    resolved = Resolved(project, distribution, base, images["host"], images["container"], appliances)
    errors = [*_check_plan(resolved, file), *_check_roles(resolved, file)]
    for appliance, appliance_file in files.items():
        errors += _check_appliance(resolved, appliance, appliance_file)
    errors += _check_clashes(resolved, files)
    if errors:
        raise ErrorList(errors)
    resolved.start_order  # noqa: B018  a circle is a mistake of the manifests too
    return resolved


def _collect(errors: list[AsrboxError], path: Path, model: type[Image]) -> Image | None:
    try:
        return parse(read_yaml(path), model)
    except AsrboxError as error:
        errors.append(error)
        return None


def _base(
    project: Project, file: YamlFile, name: str, from_file: bool, errors: list[AsrboxError]
) -> BaseManifest | None:
    path = project.base_file(name)
    if not path.is_file():
        known = sorted(found.stem for found in (project.root / "distro" / "bases").glob("*.yaml"))
        hint = f"known bases: {', '.join(known)}"
        what = f"there is no base {name!r}"
        errors.append(file.error(what, ("base",), hint) if from_file else AsrboxError(what, hint=hint))
        return None
    try:
        return base_manifest(read_yaml(path))
    except AsrboxError as error:
        errors.append(error)
        return None


def _check_plan(resolved: Resolved, file: YamlFile) -> list[AsrboxError]:
    errors = _check_range6(resolved, file)
    blocks: dict[int, str] = {}
    room = resolved.network.num_addresses // 256
    room6 = room if resolved.network6 is None else resolved.network6.num_addresses >> 64
    for name, block in resolved.distribution.appliances.items():
        key = ("appliances", name)
        if block >= room:
            errors.append(
                file.error(
                    f"block {block} is outside the network plan {resolved.network}, which has blocks 1 to {room - 1}",
                    key,
                    "take a smaller number or a larger network.range",
                )
            )
        elif block >= room6:
            errors.append(
                file.error(
                    f"block {block} is outside the IPv6 range {resolved.network6}, which has blocks 1 to {room6 - 1}",
                    key,
                    "take a smaller number or a larger network.range6",
                )
            )
        if block in blocks:
            hint = "give each appliance a block of its own"
            errors.append(file.error(f"block {block} belongs to {blocks[block]} already", key, hint))
        blocks.setdefault(block, name)
    return errors


def _check_range6(resolved: Resolved, file: YamlFile) -> list[AsrboxError]:
    """A range of which every address may be somebody's."""
    network = resolved.network6
    if network is None:
        return []
    if not any(network.subnet_of(one) for one in UNICAST6):
        what = f"{network} is neither unique-local (fd00::/8) nor global unicast (2000::/3)"
    elif any(network.overlaps(one) for one in DOCUMENTATION6):
        what = f"{network} is kept for documentation (RFC 3849, RFC 9637)"
    else:
        return []
    hint = "take a /56 of fd00::/8 with 40 random bits after the fd (RFC 4193), or one of your own"
    return [file.error(what, ("network", "range6"), hint)]


def _check_roles(resolved: Resolved, file: YamlFile) -> list[AsrboxError]:
    roles = {resolved.host.role: "images/host.yaml", resolved.container.role: "images/container.yaml"}
    roles.update(dict.fromkeys(resolved.appliances, ""))
    errors = []
    for role in roles:
        tasks = resolved.project.role(role) / "tasks" / "main.yml"
        if not tasks.is_file():
            key = ("appliances", role) if role in resolved.appliances else ()
            relative = tasks.relative_to(resolved.project.root)
            errors.append(file.error(f"the role {role!r} is missing", key, f"write {relative}"))
    return errors


def _check_settings(appliance: Appliance, file: YamlFile) -> list[AsrboxError]:
    """What settings need of one another can be had."""
    errors = []
    for key, one in appliance.settings.items():
        for other, value in one.needs.items():
            place = ("settings", key, "needs", other)
            if other == key or other not in appliance.settings:
                hint = f"settings here: {', '.join(appliance.settings)}"
                errors.append(file.error(f"there is no other setting {other!r}", place, hint))
                continue
            try:
                taken = appliance.settings[other].declared(other).check(value)
            except ValueError as error:
                errors.append(file.error(str(error), place))
                continue
            if type(taken) is not type(value):
                errors.append(file.error(f"{value!r} is not as {other} has it", place, f"write {taken!r}"))
    return errors


def _check_appliance(resolved: Resolved, name: str, file: YamlFile) -> list[AsrboxError]:
    appliance = resolved.appliances[name]
    errors = []
    if appliance.appliance != name:
        hint = f"write `appliance: {name}` or rename the folder"
        errors.append(file.error(f"the folder is called {name!r}", ("appliance",), hint))
    block = resolved.block(name)
    for daemon_name, daemon in appliance.daemons.items():
        key = ("daemons", daemon_name)
        try:
            inside = resolved.address(name, daemon) in block
        except ValueError:
            inside = False
        if not inside:
            errors.append(
                file.error(
                    f"the address {daemon.address!r} is outside the network plan: {name} owns {block}",
                    (*key, "address"),
                    f"write a host number from 1 to 254 or an address inside {block}",
                )
            )
        if daemon.health.kind == "https" and not daemon.health.path:
            errors.append(file.error("an https check needs a path", (*key, "health"), "add `path: /healthz`"))
        if daemon.publish is not None and daemon.protocol not in ("https", "http"):
            message = f"the entry speaks https and http to a daemon, not {daemon.protocol}"
            errors.append(file.error(message, (*key, "publish"), "remove it, or let the daemon speak https"))
        if daemon.publish is not None and daemon.publish.port in HOST_PORTS:
            message = f"port {daemon.publish.port} of the host belongs to {HOST_PORTS[daemon.publish.port]}"
            errors.append(file.error(message, (*key, "publish", "port"), "take another port"))
        for index, other in enumerate(daemon.after):
            if other not in appliance.daemons or other == daemon_name:
                hint = f"daemons here: {', '.join(appliance.daemons)}"
                errors.append(file.error(f"there is no other daemon {other!r}", (*key, "after", index), hint))
    errors += _check_settings(appliance, file)
    paths: dict[str, str] = {}
    for volume_name, volume in appliance.volumes.items():
        if volume.path in paths:
            errors.append(
                file.error(
                    f"{volume.path} is mounted twice: by {paths[volume.path]} and {volume_name}",
                    ("volumes", volume_name, "path"),
                    "give each volume a path of its own",
                )
            )
        paths.setdefault(volume.path, volume_name)
    for index, endpoint in enumerate(appliance.consumes):
        daemon_name, owner = endpoint.split(".")
        known = owner in resolved.appliances and daemon_name in resolved.appliances[owner].daemons
        if not known and endpoint not in HOST_ENDPOINTS:
            every = [f"{d}.{a}" for a, entry in resolved.appliances.items() for d in entry.daemons]
            hint = f"endpoints: {', '.join(sorted([*every, *HOST_ENDPOINTS]))}"
            errors.append(file.error(f"there is no endpoint {endpoint!r}", ("consumes", index), hint))
    return errors


def _check_clashes(resolved: Resolved, files: dict[str, YamlFile]) -> list[AsrboxError]:
    errors = []
    endpoints: dict[tuple[str, str, int], str] = {}
    published: dict[str, str] = {}
    for name, appliance in resolved.appliances.items():
        for daemon_name, daemon in appliance.daemons.items():
            this = f"{daemon_name}.{name}"
            kind = "udp" if daemon.protocol == "udp" else "tcp"
            try:
                endpoint = (kind, str(resolved.address(name, daemon)), daemon.port)
            except ValueError:
                continue
            key = ("daemons", daemon_name)
            if endpoint in endpoints:
                message = f"{endpoint[1]}:{daemon.port} belongs to {endpoints[endpoint]} already"
                errors.append(files[name].error(message, (*key, "address"), "take another address or port"))
            endpoints.setdefault(endpoint, this)
            if daemon.publish is not None:
                what = "path" if daemon.publish.path else "port"
                place = f"{what} {daemon.publish.path or daemon.publish.port}"
                if place in published:
                    message = f"{place} of the host publishes {published[place]} already"
                    errors.append(files[name].error(message, (*key, "publish", what), f"take another {what}"))
                published.setdefault(place, this)
    return errors
