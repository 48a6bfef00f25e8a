"""A small agent for the panel to talk to: keeps states in memory, does what it is asked, remembers who asked."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from appliances.common.client import EndpointError
from tests.unit.agent.examples import certificate_json, network_json


def daemon(name: str, address: str, port: int, title: dict[str, str], **changes: Any) -> dict[str, Any]:
    """One daemon that works, as GET /api/v1/status lists it."""
    described = {
        "name": name,
        "title": title,
        "address": address,
        "port": port,
        "protocol": "https" if port == 443 else "tcp",
        "hostname": f"{name}.x.asrbox.internal",
        "state": "running",
        "enabled": True,
        "health": "ok",
        "detail": "",
    }
    return described | changes


def appliance(name: str, title: dict[str, str], daemons: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """One appliance that works."""
    described = {
        "name": name,
        "instance": name.replace("_", "-"),
        "title": title,
        "state": "running",
        "enabled": True,
        "health": "ok",
        "detail": "",
        "daemons": daemons,
    }
    return described | changes


PAGES = {"ru": "Страницы и API", "en": "Pages and API"}


class FakeAgent:
    """Stands in for EndpointClient("agent.host"); `away` makes it not answer."""

    def __init__(self) -> None:
        self.away = False
        self.phase = "running"
        self.progress = {"done": 12, "total": 12, "text": ""}
        self.server: dict[str, Any] = {
            "hostname": "box",
            "system": "Debian GNU/Linux 13 (trixie)",
            "kernel": "6.12.0",
            "booted_at": "2026-11-22T10:00:00+00:00",
            "load": [0.5, 0.25, 0.1],
            "processors": 2,
            "clock_synchronised": True,
            "interfaces": [
                {"name": "ens3", "state": "UP", "mac": "52:54:00:12:34:56", "addresses": ["192.0.2.10/24"]},
                {"name": "ens4", "state": "DOWN", "mac": "52:54:00:12:34:57", "addresses": []},
            ],
            "gateways": ["192.0.2.1 by ens3"],
            "resolvers": ["192.0.2.53"],
            "people": [{"name": "admin", "administrator": True, "password": True, "keys": 2}],
        }
        self.checks: list[dict[str, Any]] = [
            {"name": "disk", "ok": False, "detail": "96% of 19.6 GiB used"},
            {"name": "volume auth-data", "ok": True, "detail": "9% of 1.0 GiB used"},
            {"name": "clock", "ok": True, "detail": "Set by a time server"},
            {"name": "auth.web", "ok": True, "detail": "answers"},
        ]
        self.certificate: dict[str, Any] = certificate_json(None)
        self.network = network_json()
        self.samples: list[dict[str, Any]] = []
        self.alarms: list[dict[str, Any]] = []
        self.operations: list[dict[str, Any]] = []
        self.appliances = [
            appliance(
                "base", {"ru": "Панель управления", "en": "Control panel"}, [daemon("web", "198.18.81.2", 443, PAGES)]
            ),
            appliance("auth", {"ru": "Вход", "en": "Sign-in"}, [daemon("web", "198.18.82.2", 443, PAGES)]),
            appliance(
                "asr_billing",
                {"ru": "Биллинг", "en": "Billing"},
                [
                    daemon("firebird", "198.18.83.2", 3050, {"ru": "База данных Firebird", "en": "Firebird database"}),
                    daemon("web", "198.18.83.3", 443, PAGES),
                ],
            ),
        ]
        self.settings: dict[str, dict[str, Any]] = {
            "auth": {
                "session_hours": {
                    "key": "session_hours",
                    "kind": "int",
                    "title": {"ru": "Предельная длина сеанса", "en": "Longest session"},
                    "help": {"ru": "Потом вход заново.", "en": "Then everybody signs in again."},
                    "default": 12,
                    "value": 12,
                    "minimum": 1,
                    "maximum": 168,
                },
                "language": {
                    "key": "language",
                    "kind": "choice",
                    "title": {"ru": "Язык", "en": "Language"},
                    "help": {"ru": "На нём пишут.", "en": "It is used for writing."},
                    "default": "ru",
                    "value": "ru",
                    "choices": {"ru": {"ru": "Русский", "en": "Russian"}, "en": {"ru": "English", "en": "English"}},
                },
                "directory_password": {
                    "key": "directory_password",
                    "kind": "secret",
                    "title": {"ru": "Пароль каталога", "en": "Password of the directory"},
                    "help": {"ru": "Нужен каталогу.", "en": "The directory asks for it."},
                    "default": "",
                    "value": False,
                },
            }
        }
        self.host_network: dict[str, Any] = {
            "method": "dhcp",
            "interface": "",
            "address": "",
            "gateway": "",
            "dns": [],
            "hostname": "box",
            "time_servers": [],
            "cards": [{"name": "ens3", "mac": "52:54:00:12:34:56"}],
            "trial": None,
            "trouble": None,
            "by_hand": None,
        }
        self.people: list[dict[str, Any]] = [
            {
                "name": "admin",
                "administrator": True,
                "password": True,
                "locked": False,
                "keys": ["ssh-ed25519 …AARk3vZZ anna@laptop"],
            }
        ]
        self.host_orders: list[tuple[tuple[str, ...], Any]] = []
        self.refusal: dict[str, Any] | None = None  # how orders about the host are refused
        self.entries: list[dict[str, Any]] = []  # of the journal of actions, the oldest first
        self.asked: list[dict[str, Any]] = []  # what was asked of that journal
        self.entered: list[str | None] = []  # values of the secret setting, as they came
        self.lines = ["2026-11-22T10:00:00+0000 auth systemd[1]: Started asrbox-app@auth.service."]

    def part(self, name: str, daemon_name: str = "") -> dict[str, Any]:
        """The appliance or daemon called so; KeyError when there is none."""
        found = {one["name"]: one for one in self.appliances}[name]
        return {one["name"]: one for one in found["daemons"]}[daemon_name] if daemon_name else found

    def get(self, *path: str, params: dict[str, Any] | None = None) -> Any:
        """GET /api/v1/<path…>"""
        self._present()
        if path == ("status",):
            return {
                "distribution": {"name": "asrbox", "version": "0.1.0"},
                "phase": self.phase,
                "progress": self.progress,
                "appliances": self.appliances,
                "error": None,
            }
        if path == ("network",):
            return self.network
        if path == ("certificate",):
            return self.certificate
        if path == ("server",):
            return self.server
        if path == ("check",):
            return self.checks
        if path == ("host", "network"):
            return self.host_network
        if path == ("host", "people"):
            return self.people
        if path == ("audit",):
            return self._journal(dict(params or {}))
        if path == ("usage",):
            limits = {"memory": 400 << 20, "cpu": 2, "processes": 200}
            return [{"name": one["name"], "limits": limits, "samples": self.samples} for one in self.appliances]
        if path == ("alarms",):
            return {"standing": self.alarms, "waiting": 0, "trouble": {}, "channels": []}
        if path == ("operations",):
            return self.operations
        if path[0] == "appliances" and path[-1] == "logs":
            if self.part(path[1])["state"] != "running":
                raise EndpointError("agent.host", "400 refused", 400, {"detail": "the container is not running"})
            lines = self.lines[-int((params or {})["lines"]) :]
            return {"lines": lines, "severities": ["info"] * len(lines), "cursor": "s=1"}
        if path[0] == "appliances" and path[-1] == "settings":
            return list(self.settings.get(path[1], {}).values())
        raise AssertionError(f"the panel asked for something unknown: GET {path}")

    def _journal(self, params: dict[str, Any]) -> dict[str, Any]:
        """As the agent: the newest first, only what is wanted, and where it goes on."""
        self.asked.append(params)
        found = [
            one
            for one in reversed(self.entries)
            if one["number"] < params.get("before", 10**9)
            and all(one[name] == params[name] for name in ("who", "kind", "part") if name in params)
        ]
        size = int(params["limit"])
        return {"entries": found[:size], "next": found[size - 1]["number"] if len(found) > size else None}

    def post(self, *path: str, json: Any = None) -> Any:
        """POST /api/v1/<path…>"""
        self._present()
        if path[0] == "appliances" and path[-1] == "settings":
            return self._configure(path[1], json)
        if path[0] == "host":
            self.host_orders.append((path[1:], json))
            if self.refusal is not None:
                raise EndpointError("agent.host", "400 refused", 400, self.refusal)
            return {}
        if path == ("certificate", "renew"):
            if self.certificate["acme"] is None:
                raise EndpointError("agent.host", "400 refused", 400, {"detail": "ACME is off"})
            self.certificate["acme"].update(operation="1", next_at=None)
            return {"operation": "1"}
        found = re.fullmatch(r"appliances/(\w+)(?:/daemons/(\w+))?/(\w+)", "/".join(path))
        assert found, f"the panel asked for something unknown: POST {path}"
        name, daemon_name, action = found[1], found[2] or "", found[3]
        try:
            part = self.part(name, daemon_name)
        except KeyError:
            raise EndpointError("agent.host", "404", 404, {"detail": f"there is no {name}"}) from None
        part["state"] = {"stop": "stopped", "disable": "disabled"}.get(action, "running")
        part["enabled"] = {"enable": True, "disable": False}.get(action, part["enabled"])
        now = datetime.now(UTC).isoformat(timespec="seconds")
        target = f"{name}.{daemon_name}" if daemon_name else name
        self.operations.insert(
            0,
            {
                "id": str(len(self.operations) + 1),
                "action": action,
                "target": target,
                "status": "done",
                "started_at": now,
                "ended_at": now,
                "author": "administrator",
                "log": [f"{action} {target}"],
                "error": None,
            },
        )
        return {"operation": self.operations[0]["id"]}

    def _configure(self, name: str, wanted: dict[str, Any]) -> dict[str, str]:
        """As the agent: numbers in their bounds, else a refusal that names each setting."""
        if "directory_password" in wanted:
            self.entered.append(wanted["directory_password"])
            self.settings[name]["directory_password"]["value"] = wanted.pop("directory_password") is not None
        wrong = {
            key: f"{key} takes a number from 1 to 168"
            for key in wanted
            if wanted[key].isdigit() and not 1 <= int(wanted[key]) <= 168
        }
        if wrong:
            raise EndpointError(
                "agent.host", "400 refused", 400, {"detail": "; ".join(wrong.values()), "errors": wrong}
            )
        for key, value in wanted.items():
            self.settings[name][key]["value"] = int(value) if value.isdigit() else value
        return {"operation": "1"}

    def _present(self) -> None:
        if self.away:
            raise EndpointError("agent.host", "no answer from https://198.18.80.1:8443: Connection refused")
