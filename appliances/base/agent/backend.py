"""What the API gets of the agent (api.Backend): each question goes on to the part that knows the answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliances.base.agent import audit, firewall, journal, machine, networkview, outside
from appliances.base.agent.board import Board
from appliances.base.agent.certificates import Certificates
from appliances.base.agent.checkup import Checkup
from appliances.base.agent.clientdesk import ClientDesk
from appliances.base.agent.events import Events
from appliances.base.agent.hostadmin import HostAdmin
from appliances.base.agent.inforce import InForce
from appliances.base.agent.inside import Inside
from appliances.base.agent.lookout import Lookout
from appliances.base.agent.operations import Operation, Operations, Order
from appliances.base.agent.orders import Orders
from appliances.base.agent.paths import Paths
from appliances.base.agent.planning import Planning
from appliances.base.agent.recorder import Recorder
from appliances.base.agent.terminals import Terminal
from appliances.base.agent.usage import Usage


@dataclass(frozen=True)
class Parts:
    """Everything that answers."""

    paths: Paths
    events: Events
    board: Board
    recorder: Recorder
    operations: Operations
    orders: Orders
    in_force: InForce
    planning: Planning
    host: HostAdmin
    inside: Inside
    certificates: Certificates
    clients: ClientDesk
    checkup: Checkup
    lookout: Lookout
    usage: Usage


class Backend:
    """Errors, and what is in the answers, are those of the parts. Safe to use from threads, as they are."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.events = parts.events
        self.host = parts.host

    def status(self) -> dict[str, Any]:
        return self._parts.board.read()

    def check(self) -> list[dict[str, Any]]:
        return self._parts.checkup.make()

    def network(self) -> dict[str, Any]:
        wanted = self._parts.in_force.distribution()
        return networkview.view(wanted, outside.look(wanted.network.bridge), firewall.dropped())

    def server(self) -> dict[str, Any]:
        """The machine itself: system, clock, network, who may log in."""
        return machine.look(Path("/"), self._parts.in_force.shipped().network.bridge)

    def usage(self) -> list[dict[str, Any]]:
        """Per appliance its limits and the samples of the last two hours."""
        shipped = self._parts.in_force.shipped()
        return self._parts.usage.of_all(shipped, self._parts.in_force.applied(shipped).plan)

    # orders and what became of them -----------------------------------------------------------------------------

    def request(self, action: str, target: str, author: str) -> Operation:
        """Take an order; it is carried out by the agent's own thread. Raises UnknownName for a wrong target."""
        self._parts.in_force.target(target)
        return self._parts.orders.take(Order(action, target, author))

    def operation(self, identity: str) -> Operation | None:
        return self._parts.operations.get(identity)

    def operations(self) -> list[Operation]:
        return self._parts.operations.newest_first()

    def audited(self, wanted: audit.Wanted, before: int | None, size: int) -> dict[str, Any]:
        """A page of the journal of what was done: `{"entries": […], "next": number or None}`, the newest first."""
        entries, following = audit.page(self._parts.paths.audit, wanted, before, size)
        return {"entries": [asdict(one) for one in entries], "next": following}

    def record(self, who: str, kind: str, part: str, what: str, details: dict[str, Any]) -> None:
        self._parts.recorder.act(who, kind, part, what, details)

    # plan and settings ------------------------------------------------------------------------------------------

    def plan(self) -> dict[str, Any]:
        return self._parts.planning.plan()

    def plans(self) -> list[dict[str, Any]]:
        return self._parts.planning.plans()

    def apply(self, author: str) -> Operation:
        return self._parts.planning.apply(author)

    def restore(self, number: int | None) -> int:
        return self._parts.planning.restore(number)

    def settings(self, appliance: str) -> list[dict[str, Any]]:
        return self._parts.planning.settings(appliance)

    def configure(self, appliance: str, wanted: dict[str, Any], author: str) -> Operation:
        return self._parts.planning.configure(appliance, wanted, author)

    # inside of containers ---------------------------------------------------------------------------------------

    def logs(self, appliance: str, daemon: str | None, lines: int, cursor: str | None) -> dict[str, Any]:
        return self._parts.inside.logs(appliance, daemon, lines, cursor)

    def follow(self, appliance: str, daemon: str | None, cursor: str | None) -> journal.Follow:
        return self._parts.inside.follow(appliance, daemon, cursor)

    def open_terminal(self, appliance: str, size: tuple[int, int], author: str) -> Terminal:
        return self._parts.inside.open_terminal(appliance, size, author)

    def terminal(self, identity: str, author: str) -> Terminal:
        return self._parts.inside.terminal(identity, author)

    # certificates -----------------------------------------------------------------------------------------------

    def certificate(self) -> dict[str, Any]:
        """Which certificate browsers see, and how it goes with ACME."""
        return self._parts.certificates.read()

    def bring_certificate(self, chain: str, key: str) -> dict[str, Any]:
        """Show browsers this one from the next round on. Raises AgentError for one that would not work."""
        self._parts.certificates.bring(chain, key)
        return self.certificate()

    def drop_certificate(self) -> dict[str, Any]:
        """Back to the certificates of the host's own CA."""
        self._parts.certificates.drop()
        return self.certificate()

    def renew_certificate(self, author: str) -> Operation:
        return self._parts.certificates.renew(author)

    def client_certificates(self) -> list[dict[str, Any]]:
        return self._parts.clients.listed()

    def issue_client_certificate(self, name: str, days: int, author: str) -> dict[str, Any]:
        return self._parts.clients.issue(name, days, author)

    def revoke_client_certificate(self, name: str, author: str) -> list[dict[str, Any]]:
        return self._parts.clients.revoke(name, author)

    # alarms -----------------------------------------------------------------------------------------------------

    def alarms(self) -> dict[str, Any]:
        return self._parts.lookout.read()

    def try_alarms(self) -> list[str]:
        return self._parts.lookout.try_out()
