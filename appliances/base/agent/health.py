"""Is a daemon well? Its endpoint is asked as a client would, and systemd in its container about the unit."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from appliances.base.agent.distribution import Appliance, Daemon
from appliances.base.agent.errors import AgentError
from appliances.base.agent.incus import Incus

TIMEOUT = 5.0  # seconds for one endpoint


@dataclass(frozen=True)
class Answer:
    """What an endpoint said. `reached` is false when nobody answered at all; `failing`: names of its failing checks."""

    ok: bool
    reached: bool
    detail: str
    failing: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Unit:
    """State of a systemd unit: ActiveState, Result and UnitFileState in systemd's words."""

    active: str
    result: str = ""
    file: str = ""


class _Connection(http.client.HTTPSConnection):
    """HTTPS to a known address, verified against the daemon's name: no resolver is asked."""

    def __init__(self, address: str, port: int, hostname: str, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(hostname, port, context=context, timeout=timeout)
        self._address = address
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


def ask(daemon: Daemon, ca: Path, timeout: float = TIMEOUT) -> Answer:
    """Ask an endpoint how it is: connect (kind tcp), or GET its health page verified with the host's CA (https).

    One with two addresses is as well as the first of them that is not.
    """
    answers = (_ask_at(str(address), daemon, ca, timeout) for address in daemon.addresses)
    found = next(answers)
    for another in answers:
        if found.ok:
            found = another
    return found


def _ask_at(address: str, daemon: Daemon, ca: Path, timeout: float) -> Answer:
    try:
        if daemon.health.kind == "tcp":
            socket.create_connection((address, daemon.port), timeout).close()
            return Answer(True, True, "answers")
        return _ask_https(address, daemon, ssl.create_default_context(cafile=str(ca)), timeout)
    except (OSError, http.client.HTTPException, ssl.SSLError) as error:
        where = f"[{address}]:{daemon.port}" if ":" in address else f"{address}:{daemon.port}"
        return Answer(False, False, f"{where} does not answer: {error or type(error).__name__}")


def units(incus: Incus, appliance: Appliance) -> dict[str, Unit]:
    """States of the daemons' units by daemon name, in one call. Raises AgentError when systemd does not answer."""
    command = ["systemctl", "show", "--property=ActiveState,Result,UnitFileState"]
    ran = incus.run(
        appliance.instance,
        [*command, *(daemon.unit for daemon in appliance.daemons)],
        appliance=appliance.name,
        step="ask systemd",
        timeout=30,
    )
    blocks = parse_units(ran.stdout)
    if ran.code != 0 or len(blocks) != len(appliance.daemons):
        raise AgentError(ran.stderr.strip() or "systemd does not answer", appliance=appliance.name, step="ask systemd")
    return {daemon.name: unit for daemon, unit in zip(appliance.daemons, blocks, strict=True)}


def parse_units(shown: str) -> list[Unit]:
    """Units out of `systemctl show` of several units: blocks of key=value with an empty line between."""
    found = []
    for block in shown.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "ActiveState" in values:
            found.append(Unit(values["ActiveState"], values.get("Result", ""), values.get("UnitFileState", "")))
    return found


def _ask_https(address: str, daemon: Daemon, context: ssl.SSLContext, timeout: float) -> Answer:
    connection = _Connection(address, daemon.port, daemon.hostname, context, timeout)
    try:
        connection.request("GET", daemon.health.path, headers={"Host": daemon.hostname})
        response = connection.getresponse()
        body = response.read(65536)
    finally:
        connection.close()
    if response.status == 200:
        return Answer(True, True, "answers")
    failing = failing_checks(body)
    detail = "; ".join(f"{name}: {why}" for name, why in failing.items())
    return Answer(False, True, detail or f"GET {daemon.health.path} says {response.status}", frozenset(failing))


def failing_checks(body: bytes) -> dict[str, str]:
    """The failing checks of a /healthz body with their details; empty when it is not such a body."""
    try:
        checks = json.loads(body)["checks"]
        return {str(name): str(check["detail"]) for name, check in checks.items() if not check["ok"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
