"""What the ISO brought: distribution.json, typed, and the order in which appliances start."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from appliances.base.agent.datafile import Bytes, Model, load
from appliances.base.agent.errors import AgentError, UnknownName
from appliances.base.agent.settings import Setting

AGENT_ENDPOINT = "agent.host"
AGENT_PORT = 8443
LINK_LOCAL = IPv6Network("fe80::/64")  # RFC 4291, section 2.5.6

Port = Annotated[int, Field(ge=1, le=65535)]
Address = IPv4Address | IPv6Address


class Network(Model):
    range: IPv4Network
    bridge: str
    host: IPv4Address
    domain: str
    range6: IPv6Network | None = None
    host6: IPv6Address | None = None  # None where IPv6 is off (Distribution.with_ipv6)

    @property
    def ipv6(self) -> bool:
        """Whether IPv6 is on."""
        return self.host6 is not None

    @property
    def gone6(self) -> IPv6Network | None:
        """The range that nothing has addresses of: where IPv6 is off."""
        return None if self.ipv6 else self.range6

    def number(self, block: IPv4Network) -> int:
        """Which block of the range it is; the host's own is 0."""
        return (int(block.network_address) - int(self.range.network_address)) >> 8

    def link_local(self, block: IPv4Network) -> IPv6Address:
        """The container's address on the bridge alone, which the neighbour discovery of its kernel speaks from."""
        return LINK_LOCAL[self.number(block)]


class Health(Model):
    kind: Literal["tcp", "https"]
    path: str = "/healthz"


class PublishedPath(Model):
    """A web UI behind the entry: `path` is / or one word such as /billing."""

    path: Annotated[str, Field(pattern=r"^/([a-z0-9][a-z0-9-]*)?$")]

    @property
    def prefix(self) -> str:
        """What the entry takes off before the daemon sees a path: "/billing", "" for the root."""
        return self.path.rstrip("/")


class PublishedPort(Model):
    """An outside port of its own, on which TLS ends at the entry."""

    port: Port
    client_certificate: Literal["required", "none"] = "none"


class Daemon(Model):
    name: str
    unit: str
    title: dict[str, str]
    address: IPv4Address
    address6: IPv6Address | None = None  # None where IPv6 is off, and of a daemon that cannot listen on one
    port: Port
    protocol: str
    hostname: str
    after: list[str] = []
    health: Health
    publish: PublishedPath | PublishedPort | None = None
    critical: bool = False  # when it stays broken, its appliance goes into safe mode

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens, IPv4 first."""
        return (self.address,) if self.address6 is None else (self.address, self.address6)


class Volume(Model):
    name: str
    path: str
    size: Bytes
    owner: str


class Limits(Model):
    memory: Bytes
    cpu: Annotated[int, Field(ge=1)]
    processes: Annotated[int, Field(ge=1)]
    disk: Bytes | None = None  # of the root file system; None: as much as the pool gives


class Appliance(Model):
    name: str
    instance: str
    block: IPv4Network
    title: dict[str, str]
    daemons: list[Daemon]
    volumes: list[Volume] = []
    limits: Limits
    consumes: list[str] = []
    secrets: list[str] = []
    settings: list[Setting] = []

    @property
    def sources(self) -> tuple[IPv4Address, ...]:
        """Its own IPv4 addresses, sorted."""
        return tuple(sorted({daemon.address for daemon in self.daemons}))

    @property
    def sources6(self) -> tuple[IPv6Address, ...]:
        """Its own IPv6 addresses, sorted; without the one that is of the bridge alone."""
        return tuple(sorted({daemon.address6 for daemon in self.daemons if daemon.address6 is not None}))

    def daemon(self, name: str) -> Daemon:
        """The daemon of that name; UnknownName when there is none."""
        for daemon in self.daemons:
            if daemon.name == name:
                return daemon
        known = ", ".join(daemon.name for daemon in self.daemons)
        raise UnknownName(f"has no daemon {name!r}", appliance=self.name, hint=f"it has: {known}")

    def setting(self, key: str) -> Setting:
        """The setting of that name; UnknownName when there is none."""
        for setting in self.settings:
            if setting.key == key:
                return setting
        known = ", ".join(setting.key for setting in self.settings) or "none"
        raise UnknownName(f"has no setting {key!r}", appliance=self.name, hint=f"it has: {known}")


@dataclass(frozen=True)
class Published:
    """A daemon that the outside world finds, and where."""

    appliance: Appliance
    daemon: Daemon
    at: PublishedPath | PublishedPort

    @property
    def endpoint(self) -> str:
        return f"{self.daemon.name}.{self.appliance.name}"

    @property
    def place(self) -> str:
        """Path or port, as people write it."""
        return self.at.path if isinstance(self.at, PublishedPath) else str(self.at.port)


class Install(Model):
    volume_group: str
    pool: str


class Distribution(Model):
    name: str
    version: str
    base: str
    released: str
    title: dict[str, str]
    network: Network
    install: Install
    appliances: list[Appliance]

    def with_ipv6(self, on: bool) -> Distribution:
        """The same as a host has it where IPv6 is on, or off: then nobody has an IPv6 address."""
        if on or not self.network.ipv6:
            return self
        appliances = [
            one.model_copy(update={"daemons": [d.model_copy(update={"address6": None}) for d in one.daemons]})
            for one in self.appliances
        ]
        network = self.network.model_copy(update={"host6": None})
        return self.model_copy(update={"network": network, "appliances": appliances})

    def appliance(self, name: str) -> Appliance:
        """The appliance of that name; UnknownName when there is none."""
        for appliance in self.appliances:
            if appliance.name == name:
                return appliance
        known = ", ".join(appliance.name for appliance in self.appliances)
        raise UnknownName(f"there is no appliance {name!r}", hint=f"this distribution has: {known}")

    def endpoint(self, endpoint: str) -> tuple[Appliance, Daemon]:
        """Appliance and daemon behind `<daemon>.<appliance>`; UnknownName when either does not exist."""
        daemon, _, appliance = endpoint.partition(".")
        owner = self.appliance(appliance)
        return owner, owner.daemon(daemon)

    def published(self) -> list[Published]:
        """All that the outside world finds: paths in their order, then ports."""
        found = [
            Published(appliance, daemon, daemon.publish)
            for appliance in self.appliances
            for daemon in appliance.daemons
            if daemon.publish is not None
        ]
        paths = [one for one in found if isinstance(one.at, PublishedPath)]
        ports = [one for one in found if isinstance(one.at, PublishedPort)]
        return sorted(paths, key=lambda one: one.place) + sorted(ports, key=lambda one: int(one.place))

    def providers(self, appliance: Appliance) -> list[str]:
        """Names of the appliances whose endpoints this one consumes."""
        owners = {endpoint.partition(".")[2] for endpoint in appliance.consumes if endpoint != AGENT_ENDPOINT}
        return sorted(owners - {appliance.name})

    def consumers(self, name: str) -> list[str]:
        """Names of the appliances that consume an endpoint of this one."""
        return [appliance.name for appliance in self.appliances if name in self.providers(appliance)]

    def start_order(self) -> list[Appliance]:
        """All appliances, each after those it consumes; equals stay in the order of the distribution.

        Raises AgentError naming the circle when appliances consume one another in a circle.
        """
        ordered: list[Appliance] = []
        waiting = list(self.appliances)
        while waiting:
            placed = {appliance.name for appliance in ordered}
            ready = [one for one in waiting if placed.issuperset(self.providers(one))]
            if not ready:
                names = ", ".join(one.name for one in waiting)
                raise AgentError(f"the appliances {names} wait for one another", step="start order")
            ordered.append(ready[0])
            waiting.remove(ready[0])
        return ordered

    def stop_levels(self) -> list[list[Appliance]]:
        """All appliances in groups that may stop at once: each group after all that consume one of it."""
        levels: list[list[Appliance]] = []
        waiting = self.start_order()
        while waiting:
            left = {appliance.name for appliance in waiting}
            level = [one for one in waiting if not left.intersection(self.consumers(one.name))]
            levels.append(level)
            waiting = [one for one in waiting if one not in level]
        return levels


def load_distribution(path: Path) -> Distribution:
    """Read distribution.json. Raises AgentError with file and key when it is missing or wrong."""
    distribution = load(Distribution, path)
    for appliance in distribution.appliances:
        for endpoint in appliance.consumes:
            if endpoint != AGENT_ENDPOINT:
                distribution.endpoint(endpoint)
    distribution.start_order()
    return distribution
