"""What there is to know about the machine itself: its system, clock, network, who may log in. Read, never changed."""

from __future__ import annotations

import datetime
import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliances.base.agent import outside

ADMINISTRATORS = {"sudo", "wheel"}
NO_SHELL = ("nologin", "false")
FIRST_PERSON, LAST_PERSON = 1000, 60000  # user ids of people


@dataclass(frozen=True)
class Interface:
    """A network device of the host's own; `state` in the kernel's words: UP, DOWN, UNKNOWN."""

    name: str
    state: str
    mac: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    """Somebody who may log in: `keys` of ssh, and whether a password is set."""

    name: str
    administrator: bool
    password: bool
    keys: int


def look(root: Path, bridge: str) -> dict[str, Any]:
    """All facts, for GET /api/v1/server. `root` is `/`."""
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return {
        "hostname": platform.node(),
        "system": system(_text(root / "etc/os-release")),
        "kernel": platform.release(),
        "booted_at": datetime.datetime.fromtimestamp(booted, datetime.UTC).isoformat(timespec="seconds"),
        "load": [round(one, 2) for one in os.getloadavg()],
        "processors": os.cpu_count() or 1,
        "clock_synchronised": synchronised(root),
        "interfaces": [asdict(one) for one in interfaces(outside.ip("address", "show"), bridge)],
        "gateways": gateways(
            [*outside.ip("-4", "route", "show", "default"), *outside.ip("-6", "route", "show", "default")]
        ),
        "resolvers": resolvers(
            _text(root / "run/systemd/resolve/resolv.conf") or _text(root / "etc/resolv.conf"),
        ),
        "people": [asdict(one) for one in people(root)],
    }


def synchronised(root: Path) -> bool:
    """Whether a time server has set the clock: systemd-timesyncd makes this file then."""
    return (root / "run/systemd/timesync/synchronized").exists()


def system(os_release: str) -> str:
    """The name of the system, as /etc/os-release has it."""
    for line in os_release.splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip("\"'")
    return "Linux"


def interfaces(links: list[dict[str, Any]], bridge: str) -> list[Interface]:
    """Out of `ip -json address`, without the appliances' bridge and their ends of the cables."""
    found = []
    for link in links:
        if "LOOPBACK" in link.get("flags", []) or link.get("ifname") == bridge or link.get("master") == bridge:
            continue
        addresses = [f"{one['local']}/{one['prefixlen']}" for one in link.get("addr_info", []) if "local" in one]
        found.append(
            Interface(link["ifname"], link.get("operstate", "UNKNOWN"), link.get("address", ""), tuple(addresses))
        )
    return found


def gateways(routes: list[dict[str, Any]]) -> list[str]:
    """Default routes out of `ip -json route`, as `192.0.2.1 by eth0`."""
    return [f"{one.get('gateway', 'direct')} by {one['dev']}" for one in routes if "dev" in one]


def resolvers(text: str) -> list[str]:
    """Name servers of a resolv.conf."""
    lines = [line.split() for line in text.splitlines()]
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


def people(root: Path) -> list[Person]:
    """Who may log in, out of passwd, group, shadow and the keys in the home folders."""
    users = [line.split(":") for line in _text(root / "etc/passwd").splitlines()]
    groups = [line.split(":") for line in _text(root / "etc/group").splitlines()]
    secrets = dict(line.split(":")[:2] for line in _text(root / "etc/shadow").splitlines())
    administrators = {
        name for group in groups if group[0] in ADMINISTRATORS and len(group) > 3 for name in group[3].split(",")
    }
    found = []
    for user in users:
        if len(user) < 7 or user[6].endswith(NO_SHELL):
            continue
        name, number, home = user[0], int(user[2]), user[5].lstrip("/")
        password = secrets.get(name, "")[:1] not in ("", "!", "*")
        keys = _keys(_text(root / home / ".ssh/authorized_keys"))
        if FIRST_PERSON <= number <= LAST_PERSON or (number == 0 and (password or keys)):
            found.append(Person(name, number == 0 or name in administrators, password, keys))
    return found


def _keys(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
