"""The agent as the control panel sees it: its answers as typed values (docs/architecture.md, "APIs")."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from appliances.common.client import EndpointClient

AGENT_ENDPOINT = "agent.host"
ACTIONS = ("start", "stop", "restart", "enable", "disable")

State = Literal["running", "stopped", "starting", "error", "disabled", "absent"]
Well = Literal["ok", "degraded", "failing", "unknown"]


class Daemon(BaseModel):
    """One daemon and its endpoint."""

    name: str
    title: dict[str, str]
    address: str
    address6: str | None = None  # None where IPv6 is off, and of a daemon that has none
    port: int
    protocol: str
    hostname: str
    state: State
    enabled: bool
    health: Well
    detail: str = ""


class Appliance(BaseModel):
    """One container and its daemons."""

    name: str
    instance: str
    title: dict[str, str]
    state: State
    enabled: bool
    health: Well
    detail: str = ""
    daemons: list[Daemon]

    def daemon(self, name: str) -> Daemon | None:
        """The daemon called `name`, or None."""
        return next((one for one in self.daemons if one.name == name), None)


class Progress(BaseModel):
    done: int
    total: int
    text: str


class Status(BaseModel):
    """The whole server at this moment."""

    phase: Literal["starting", "first-boot", "converging", "running", "failed"]
    progress: Progress
    appliances: list[Appliance]
    error: str | None = None

    def appliance(self, name: str) -> Appliance | None:
        """The appliance called `name`, or None."""
        return next((one for one in self.appliances if one.name == name), None)


class Operation(BaseModel):
    """What somebody asked the agent to do. Moments are ISO 8601 in UTC; target is `<appliance>[.<daemon>]`."""

    id: str
    action: str
    target: str
    status: Literal["running", "done", "failed"]
    started_at: str
    ended_at: str | None = None
    author: str
    log: list[str] = []
    error: str | None = None


class Setting(BaseModel):
    """Something that people may choose for an appliance, with the value in force."""

    key: str
    kind: Literal["bool", "int", "text", "choice", "secret"]  # of a secret `value` is whether there is one
    title: dict[str, str]
    help: dict[str, str]
    default: bool | int | str
    value: bool | int | str
    minimum: int | None = None
    maximum: int | None = None
    example: str | None = None
    choices: dict[str, dict[str, str]] = {}
    needs: dict[str, bool | int | str] = {}  # other settings → what they have to be when this one is not its default


class Alarm(BaseModel):
    """A check that has been red for so long that people were told; `since` is ISO 8601 in UTC."""

    name: str
    detail: str
    since: str


class Sample(BaseModel):
    """A moment: bytes, processors used on average, processes and threads."""

    at: str
    memory: int
    cpu: float
    processes: int


class Limits(BaseModel):
    """What an appliance may use: bytes, processors, processes and threads."""

    memory: int
    cpu: int
    processes: int


class Usage(BaseModel):
    """What an appliance used in the last two hours, the oldest first."""

    name: str
    limits: Limits
    samples: list[Sample]


class Pass(BaseModel):
    """A connection that an appliance may open. The endpoint is `<daemon>.<appliance>`, or agent.host."""

    appliance: str
    endpoint: str
    address: str
    address6: str | None = None
    port: int
    transport: Literal["tcp", "udp"]


class Published(BaseModel):
    """A port of the host's own addresses, or a path on the entry's, that leads to an endpoint."""

    port: int
    path: str | None
    client_certificate: bool
    endpoint: str


class Network(BaseModel):
    """The appliances' network. `dropped`: packets by where they were dropped, None while there are no rules.

    `host6` is None where IPv6 is off.
    """

    range: str
    range6: str | None = None
    bridge: str
    host: str
    host6: str | None = None
    domain: str
    hostname: str
    addresses: list[str]
    dropped: dict[str, int] | None
    passes: list[Pass]
    published: list[Published]


class Interface(BaseModel):
    """A network device of the server; `state` is UP, DOWN or UNKNOWN."""

    name: str
    state: str
    mac: str
    addresses: list[str]


class Person(BaseModel):
    """Somebody who may log in on the server itself."""

    name: str
    administrator: bool
    password: bool
    keys: int


class Server(BaseModel):
    """The machine itself; `load` of 1, 5 and 15 minutes."""

    hostname: str
    system: str
    kernel: str
    booted_at: datetime
    load: list[float]
    processors: int
    clock_synchronised: bool
    interfaces: list[Interface]
    gateways: list[str]
    resolvers: list[str]
    people: list[Person]


class Check(BaseModel):
    """One check of the agent."""

    name: str
    ok: bool
    detail: str


class Acme(BaseModel):
    """How it goes with ACME: what is asked for and where, why the last attempt failed, when the next one is.

    `operation` is the attempt that is being made.
    """

    names: list[str]
    directory: str
    error: str | None
    failed_at: datetime | None
    next_at: datetime | None
    operation: str | None


class Certificate(BaseModel):
    """The certificate that browsers see. `way`: the host's CA signs it, people brought it, or it came by ACME."""

    way: Literal["own", "brought", "acme"]
    names: list[str]
    issuer: str | None
    since: datetime | None
    ends: datetime | None
    acme: Acme | None


class NetworkCard(BaseModel):
    name: str
    mac: str


class NetworkTrial(BaseModel):
    """A change of the server's network that waits to be confirmed; `seconds` are left."""

    wanted: dict[str, Any]
    author: str
    applied: bool
    seconds: int


class HostNetwork(BaseModel):
    """The server's own network. `by_hand`: why it is not changed here; `trouble`: why the last change was not tried."""

    method: str
    interface: str
    address: str
    gateway: str
    dns: list[str]
    hostname: str
    time_servers: list[str]
    cards: list[NetworkCard]
    trial: NetworkTrial | None
    trouble: str | None
    by_hand: str | None


class HostPerson(BaseModel):
    """Somebody who may log in on the server itself, or may not while `locked`; keys as people know them."""

    name: str
    administrator: bool
    password: bool
    locked: bool
    keys: list[str]


class Difference(BaseModel):
    """A setting before and after."""

    before: bool | int | str | None
    after: bool | int | str | None


class Entry(BaseModel):
    """One thing that was done; `part` is `<appliance>[.<daemon>]`, or nothing for the server as a whole."""

    number: int
    at: datetime
    who: str
    kind: str
    part: str
    what: str
    result: Literal["asked", "done", "failed"]
    details: dict[str, Any] = {}

    @property
    def differences(self) -> dict[str, Difference]:
        """Settings that it changed, if it changed some."""
        found = self.details.get("settings")
        return {key: Difference.model_validate(one) for key, one in found.items()} if isinstance(found, dict) else {}


class JournalPage(BaseModel):
    """Entries, the newest first, and with which `before` the next page begins."""

    entries: list[Entry]
    next: int | None


class Journal(BaseModel):
    """Lines of a journal, the severity (error, warning, info) of each, and where reading goes on."""

    lines: list[str]
    severities: list[str]
    cursor: str | None


class Agent:
    """The agent of this host, over its endpoint. Every call raises EndpointError when it does not answer."""

    def __init__(self, client: EndpointClient) -> None:
        self._client = client

    def status(self) -> Status:
        return Status.model_validate(self._client.get("status"))

    def operations(self) -> list[Operation]:
        """Newest first."""
        return [Operation.model_validate(one) for one in self._client.get("operations")]

    def network(self) -> Network:
        return Network.model_validate(self._client.get("network"))

    def server(self) -> Server:
        return Server.model_validate(self._client.get("server"))

    def checks(self) -> list[Check]:
        """All checks: of the server first, then of the daemons."""
        return [Check.model_validate(one) for one in self._client.get("check")]

    def certificate(self) -> Certificate:
        return Certificate.model_validate(self._client.get("certificate"))

    def renew_certificate(self) -> str:
        """Ask the authority now, by ACME. Returns the id of the operation."""
        return str(self._client.post("certificate", "renew")["operation"])

    def usage(self, appliance: str) -> Usage | None:
        """What an appliance uses, or None when the agent does not know it."""
        found = [Usage.model_validate(one) for one in self._client.get("usage")]
        return next((one for one in found if one.name == appliance), None)

    def alarms(self) -> list[Alarm]:
        """What stands, the oldest first."""
        return [Alarm.model_validate(one) for one in self._client.get("alarms")["standing"]]

    def journal(self, wanted: Mapping[str, str], before: int | None, size: int) -> JournalPage:
        """A page of what was done; `wanted` has any of who, kind, part, since and until."""
        params: dict[str, str | int] = {**wanted, "limit": size}
        if before is not None:
            params["before"] = before
        return JournalPage.model_validate(self._client.get("audit", params=params))

    def host_network(self) -> HostNetwork:
        return HostNetwork.model_validate(self._client.get("host", "network"))

    def change_host_network(self, wanted: Mapping[str, Any]) -> None:
        """Put a change on trial; a refusal's body has `errors` by field."""
        self._client.post("host", "network", json=wanted)

    def end_trial(self, action: str) -> None:
        """confirm or revert."""
        self._client.post("host", "network", action)

    def people(self) -> list[HostPerson]:
        return [HostPerson.model_validate(one) for one in self._client.get("host", "people")]

    def add_person(self, name: str, keys: list[str], password_hash: str | None, administrator: bool) -> None:
        """Let somebody in; a refusal's body has `errors` by field."""
        body = {"name": name, "keys": keys, "password_hash": password_hash, "administrator": administrator}
        self._client.post("host", "people", json=body)

    def set_person_keys(self, name: str, keys: list[str]) -> None:
        self._client.post("host", "people", name, "keys", json={"keys": keys})

    def act_on_person(self, name: str, action: str) -> None:
        """lock, unlock or remove."""
        self._client.post("host", "people", name, action)

    def ask(self, action: str, appliance: str, daemon: str | None = None) -> str:
        """Ask for one of ACTIONS. Returns the id of the operation, which goes on by itself."""
        path = ("appliances", appliance, "daemons", daemon, action) if daemon else ("appliances", appliance, action)
        return str(self._client.post(*path)["operation"])

    def settings(self, appliance: str) -> list[Setting]:
        """What an appliance lets people choose."""
        return [Setting.model_validate(one) for one in self._client.get("appliances", appliance, "settings")]

    def configure(self, appliance: str, values: Mapping[str, str | None]) -> str:
        """Ask for other settings. Returns the id of the operation; a refusal's body has `errors` by setting."""
        return str(self._client.post("appliances", appliance, "settings", json=values)["operation"])

    def logs(self, appliance: str, daemon: str | None, lines: int) -> Journal:
        """The newest lines of the journal, oldest first."""
        params: dict[str, str | int] = {"lines": lines}
        if daemon:
            params["daemon"] = daemon
        return Journal.model_validate(self._client.get("appliances", appliance, "logs", params=params))
