"""The agent's API: shapes of the contract, who may ask, problems as RFC 9457."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from appliances.base.agent import journal, machine
from appliances.base.agent.api import create_app
from appliances.base.agent.audit import Journal, Wanted, page
from appliances.base.agent.board import Board
from appliances.base.agent.distribution import Distribution
from appliances.base.agent.errors import AgentError, UnknownName, WrongSettings
from appliances.base.agent.events import Events
from appliances.base.agent.journal import Follow
from appliances.base.agent.operations import Operation, Operations, Order
from appliances.base.agent.terminals import Terminal, Terminals
from appliances.base.agent.tokens import ServiceToken, Verifier
from tests.unit.agent.examples import acme_json, certificate_json, distribution, network_json
from tests.unit.agent.local_shell import Journalctl, LocalShell

TOKEN = "t" * 43


class FakeHost:
    """A host in memory: the real one would make accounts on the machine that runs the tests."""

    def __init__(self) -> None:
        self.on_trial: dict[str, Any] | None = None
        self.given: dict[str, Any] = {}
        self.persons: dict[str, dict[str, Any]] = {"admin": self._person("admin", ["ssh-ed25519 …Rk3v anna"], True)}
        self.done: list[tuple[str, ...]] = []

    @staticmethod
    def _person(name: str, keys: list[str], administrator: bool) -> dict[str, Any]:
        return {"name": name, "administrator": administrator, "password": True, "locked": False, "keys": keys}

    def network(self) -> dict[str, Any]:
        return {
            "method": "dhcp", "interface": "", "address": "", "gateway": "", "dns": [], "hostname": "box",
            "time_servers": [], "cards": [{"name": "eth0", "mac": "52:54:00:12:34:56"}], "trial": self.on_trial,
            "trouble": None, "by_hand": None,
        }  # fmt: skip

    def change_network(self, given: Mapping[str, Any], author: str) -> dict[str, Any]:
        if given.get("method") == "static" and "/" not in str(given.get("address")):
            raise WrongSettings({"address": "address needs its prefix length"}, appliance="network")
        self.given = dict(given)
        self.on_trial = {"wanted": self.given, "author": author, "applied": True, "seconds": 90}
        return {"seconds": 90}

    def confirm_network(self, author: str) -> dict[str, Any]:
        if self.on_trial is None:
            raise AgentError("no change of the network waits to be confirmed")
        self.on_trial = None
        return self.given

    def revert_network(self, author: str) -> None:
        self.confirm_network(author)

    def people(self) -> list[dict[str, Any]]:
        return list(self.persons.values())

    def add_person(
        self, name: str, keys: Sequence[str], password_hash: str | None, administrator: bool, author: str
    ) -> list[dict[str, Any]]:
        self.persons[name] = self._person(name, list(keys), administrator)
        return self.people()

    def set_keys(self, name: str, keys: Sequence[str], author: str) -> list[dict[str, Any]]:
        if name not in self.persons:
            raise UnknownName(f"there is no account {name!r}")
        self.persons[name]["keys"] = list(keys)
        return self.people()

    def act_on_person(self, name: str, action: str, author: str) -> list[dict[str, Any]]:
        if action not in ("lock", "unlock", "remove") or name not in self.persons:
            raise UnknownName(f"there is no account {name!r}")
        self.done.append((name, action, author))
        return self.people()


class Backend:
    """An agent that takes orders and carries out none."""

    def __init__(self, folder: Path) -> None:
        self.shipped: Distribution = distribution()
        self.board = Board()
        self.board.introduce(self.shipped)
        self.host = FakeHost()
        self.events = Events()
        self.known = Operations(folder, changed=lambda identity: self.events.tell("operation", identity))
        self.attached = Journalctl()
        self.terminals = Terminals(lambda appliance, instance, size: LocalShell(size), self.known, lambda text: None)
        self.folder = folder / "audit"
        self.journal = Journal(self.folder)
        self.channels: list[str] = []
        self.standing: list[dict[str, str]] = []
        self.trouble: dict[str, str] = {}
        self.waiting = 0
        self.issued: dict[str, Any] = {
            "name": "payments",
            "serial": "1f",
            "issued_at": "2026-11-23T08:00:00+00:00",
            "ends_at": "2027-11-23T08:00:00+00:00",
            "author": "anna",
            "revoked_at": None,
        }
        self.acme: dict[str, Any] | None = acme_json()
        self.asked_logs: tuple[Any, ...] = ()
        self.planned: dict[str, Any] = {
            "number": 3,
            "applied_at": "2026-11-23T07:00:00Z",
            "author": "anna",
            "file": "/etc/asrbox/plan.yaml",
            "changes": [],
            "actions": [],
            "drift": [],
            "error": None,
        }

    def status(self) -> dict[str, Any]:
        return self.board.read()

    def request(self, action: str, target: str, author: str) -> Operation:
        name, _, daemon = target.partition(".")
        appliance = self.shipped.appliance(name)
        if daemon:
            appliance.daemon(daemon)
        return self.known.begin(Order(action, target, author))

    def operation(self, identity: str) -> Operation | None:
        return self.known.get(identity)

    def operations(self) -> list[Operation]:
        return self.known.newest_first()

    def network(self) -> dict[str, Any]:
        return network_json()

    def client_certificates(self) -> list[dict[str, Any]]:
        return [self.issued]

    def issue_client_certificate(self, name: str, days: int, author: str) -> dict[str, Any]:
        if not 1 <= days <= 1825:
            raise AgentError(f"a client certificate is valid for 1 to 1825 days, not {days}")
        pem = {"certificate": "BEGIN", "key": "BEGIN", "authority": "BEGIN"}
        return {**self.issued, "name": name, "author": author, **pem}

    def revoke_client_certificate(self, name: str, author: str) -> list[dict[str, Any]]:
        if name != "payments":
            raise UnknownName(f"no client certificate was issued for {name!r}")
        return [{**self.issued, "revoked_at": "2026-11-23T09:00:00+00:00"}]

    def usage(self) -> list[dict[str, Any]]:
        sample = {"at": "2026-11-23T08:00:00+00:00", "memory": 120 << 20, "cpu": 0.05, "processes": 31}
        limits = {"memory": 384 << 20, "cpu": 1, "processes": 200}
        return [
            {"name": "auth", "limits": limits, "samples": [sample]},
            {"name": "asr_billing", "limits": limits, "samples": []},
        ]

    def alarms(self) -> dict[str, Any]:
        return {
            "standing": self.standing, "waiting": self.waiting, "trouble": self.trouble, "channels": self.channels
        }  # fmt: skip

    def try_alarms(self) -> list[str]:
        if not self.channels:
            raise AgentError("nobody is to be told of alarms", hint="name somebody first")
        return self.channels

    def server(self) -> dict[str, Any]:
        return machine.look(Path("/"), "asr0")

    def certificate(self) -> dict[str, Any]:
        return certificate_json(self.acme)

    def bring_certificate(self, chain: str, key: str) -> dict[str, Any]:
        if "BEGIN" not in chain:
            raise AgentError("the certificate cannot be read")
        self.acme = None
        return {**certificate_json(None), "own": False, "way": "brought", "names": ["isp.example"], "issuer": "CA"}

    def drop_certificate(self) -> dict[str, Any]:
        return self.certificate()

    def renew_certificate(self, author: str) -> Operation:
        if self.acme is None:
            raise AgentError("ACME is off", hint="name what to ask a certificate for")
        return self.known.begin(Order("renew", "certificate", author))

    def audited(self, wanted: Wanted, before: int | None, size: int) -> dict[str, Any]:
        entries, following = page(self.folder, wanted, before, size)
        return {"entries": [asdict(one) for one in entries], "next": following}

    def record(self, who: str, kind: str, part: str, what: str, details: dict[str, Any]) -> None:
        self.journal.add(who, kind, part, what, details=details)

    def logs(self, appliance: str, daemon: str | None, lines: int, cursor: str | None) -> dict[str, Any]:
        self.asked_logs = (appliance, daemon, lines, cursor)
        return {"lines": ["one"], "severities": ["info"], "cursor": "s=1"}

    def follow(self, appliance: str, daemon: str | None, cursor: str | None) -> Follow:
        owner = self.shipped.appliance(appliance)
        unit = owner.daemon(daemon).unit if daemon else None
        journal.command(unit, lines=0, cursor=cursor, follow=True)
        return Follow(self.attached)  # type: ignore[arg-type]

    def open_terminal(self, appliance: str, size: tuple[int, int], author: str) -> Terminal:
        return self.terminals.open(appliance, self.shipped.appliance(appliance).instance, size, author)

    def terminal(self, identity: str, author: str) -> Terminal:
        return self.terminals.get(identity, author)

    def check(self) -> list[dict[str, Any]]:
        return [{"name": "agent", "ok": True, "detail": "running"}]

    def plan(self) -> dict[str, Any]:
        return self.planned

    def plans(self) -> list[dict[str, Any]]:
        return [{"number": 3, "applied_at": "2026-11-23T07:00:00Z", "author": "anna"}]

    def apply(self, author: str) -> Operation:
        if self.planned["error"]:
            raise AgentError(self.planned["error"])
        return self.request("apply", "auth", author)

    def settings(self, appliance: str) -> list[dict[str, Any]]:
        return [{**one.model_dump(), "value": one.default} for one in self.shipped.appliance(appliance).settings]

    def configure(self, appliance: str, wanted: dict[str, Any], author: str) -> Operation:
        self.configured = wanted
        return self.request("configure", appliance, author)

    def restore(self, number: int | None) -> int:
        if number not in (None, 3):
            raise AgentError(f"there is no plan {number}")
        return 3


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return Backend(tmp_path)


@pytest.fixture
def root(backend: Backend) -> FlaskClient:
    """A caller on the unix socket."""
    return create_app(backend, None).test_client()


def test_status_has_the_shape_of_the_contract(root: FlaskClient) -> None:
    found = root.get("/api/v1/status").get_json()

    assert found["distribution"] == {"name": "asrbox", "version": "0.1.0"}
    assert found["phase"] == "starting"
    assert set(found["progress"]) == {"done", "total", "text"}
    billing = found["appliances"][0]
    assert {"name", "instance", "title", "state", "enabled", "health", "detail", "daemons"} <= set(billing)
    assert billing["daemons"][0]["address"] == "198.18.83.2"


def test_an_order_becomes_an_operation_with_its_author(root: FlaskClient) -> None:
    answer = root.post("/api/v1/appliances/asr_billing/daemons/web/restart", headers={"X-Asrbox-User": "anna"})

    assert answer.status_code == 202
    found = root.get(f"/api/v1/operations/{answer.get_json()['operation']}").get_json()
    assert (found["action"], found["target"], found["status"]) == ("restart", "asr_billing.web", "running")
    assert root.get("/api/v1/operations").get_json() == [found]


def test_the_author_is_made_harmless(root: FlaskClient, backend: Backend) -> None:
    root.post("/api/v1/appliances/auth/start", headers={"X-Asrbox-User": "anna <b>"})

    assert backend.operations()[0].author == "anna__b_"


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("POST", "/api/v1/appliances/mail/start", 404, "there is no appliance 'mail'"),
        ("POST", "/api/v1/appliances/auth/daemons/smtp/start", 404, "has no daemon 'smtp'"),
        ("POST", "/api/v1/appliances/auth/explode", 404, "there is no action 'explode'"),
        ("GET", "/api/v1/appliances/auth/start", 405, "not allowed"),
        ("GET", "/api/v1/operations/none", 404, "there is no operation 'none'"),
        ("GET", "/api/v1/appliances/auth/logs?lines=many", 400, "'many' is not a number"),
        ("GET", "/elsewhere", 404, "not found"),
    ],
)
def test_a_wrong_request_is_a_problem_that_says_why(
    root: FlaskClient, method: str, path: str, status: int, says: str
) -> None:
    answer = root.open(path, method=method)

    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert says in answer.get_json()["detail"]


def test_logs_are_bounded(root: FlaskClient, backend: Backend) -> None:
    assert root.get("/api/v1/appliances/auth/logs?lines=999999&daemon=web&cursor=s").get_json()["lines"] == ["one"]

    assert backend.asked_logs == ("auth", "web", 5000, "s")


def test_over_tls_only_a_token_for_the_agent_opens(backend: Backend) -> None:
    verifier = Verifier([ServiceToken("base", "agent.host", TOKEN), ServiceToken("base", "web.auth", "other")])
    caller = create_app(backend, verifier).test_client()

    def status(authorization: str | None) -> int:
        headers = {"Authorization": authorization} if authorization else {}
        return caller.get("/api/v1/status", headers=headers).status_code

    assert status(f"Bearer {TOKEN}") == 200
    assert status(None) == status("Bearer other") == status(f"Basic {TOKEN}") == status("Bearer ") == 401
    assert caller.get("/healthz").status_code == 200


def test_the_plan_is_shown_applied_and_restored(root: FlaskClient, backend: Backend) -> None:
    assert root.get("/api/v1/plan").get_json()["number"] == 3
    assert root.get("/api/v1/plans").get_json()[0]["author"] == "anna"

    begun = root.post("/api/v1/plan/apply", headers={"X-Asrbox-User": "anna"})
    assert begun.status_code == 202
    assert backend.operations()[0].author == "anna"

    assert root.post("/api/v1/plan/restore?number=3").get_json() == {"number": 3}
    assert root.post("/api/v1/plan/restore?number=4").get_json()["detail"] == "there is no plan 4"
    assert root.post("/api/v1/plan/restore?number=x").get_json()["detail"] == "number: 'x' is not a number"


def test_a_wrong_plan_is_not_applied(root: FlaskClient, backend: Backend) -> None:
    backend.planned["error"] = "/etc/asrbox/plan.yaml:3: not YAML"

    refused = root.post("/api/v1/plan/apply")

    assert (refused.status_code, refused.get_json()["detail"]) == (400, "/etc/asrbox/plan.yaml:3: not YAML")
    assert backend.operations() == []


def test_settings_are_listed_and_changed(root: FlaskClient, backend: Backend) -> None:
    assert root.get("/api/v1/appliances/auth/settings").get_json()[0]["key"] == "session_hours"

    begun = root.post("/api/v1/appliances/auth/settings", json={"session_hours": 8})
    assert (begun.status_code, backend.configured) == (202, {"session_hours": 8})

    for body in ("", "[]", "{}", "{"):
        refused = root.post("/api/v1/appliances/auth/settings", data=body, content_type="application/json")
        assert refused.status_code == 400
        assert "expected an object of settings" in refused.get_json()["detail"]


def test_a_certificate_is_brought_and_dropped(root: FlaskClient) -> None:
    assert root.get("/api/v1/certificate").get_json()["own"] is True
    assert root.put("/api/v1/certificate", json={"chain": "BEGIN", "key": "k"}).get_json()["names"] == ["isp.example"]
    for body in ({"chain": "BEGIN"}, {"chain": 1, "key": "k"}, []):
        refused = root.put("/api/v1/certificate", json=body)
        assert refused.status_code == 400
        assert 'expected {"chain": "…", "key": "…"}' in refused.get_json()["detail"]
    assert root.put("/api/v1/certificate", json={"chain": "x", "key": "k"}).status_code == 400
    assert root.delete("/api/v1/certificate").get_json()["own"] is True


def test_a_client_certificate_is_issued_listed_and_revoked(root: FlaskClient) -> None:
    answer = root.post("/api/v1/client-certificates", json={"name": "bank"}, headers={"X-Asrbox-User": "anna"})
    assert (answer.status_code, answer.get_json()["author"]) == (201, "anna")
    assert root.get("/api/v1/client-certificates").get_json()[0]["name"] == "payments"
    assert root.delete("/api/v1/client-certificates/payments").get_json()[0]["revoked_at"]
    assert root.delete("/api/v1/client-certificates/bank").status_code == 404
    for body in ({}, {"name": 1}, {"name": "x", "days": "many"}, {"name": "x", "days": True}, []):
        refused = root.post("/api/v1/client-certificates", json=body)
        assert refused.status_code == 400
        assert 'expected {"name": "…", "days": 365}' in refused.get_json()["detail"]


def test_an_authority_is_asked_now_as_an_operation_while_acme_is_on(root: FlaskClient, backend: Backend) -> None:
    begun = root.post("/api/v1/certificate/renew", headers={"X-Asrbox-User": "anna"})
    assert begun.status_code == 202
    found = backend.operations()[0]
    assert (found.id, found.action, found.author) == (begun.get_json()["operation"], "renew", "anna")
    backend.acme = None
    refused = root.post("/api/v1/certificate/renew")
    assert (refused.status_code, refused.get_json()["title"]) == (400, "ACME is off")
