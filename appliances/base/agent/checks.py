"""All checks of `asrctl check`: every daemon, and the host's own conditions for running them."""

from __future__ import annotations

import datetime
import os
import shutil
import socket
from pathlib import Path
from typing import Any

from cryptography import x509

from appliances.base.agent import acme, entryservice, firewall, machine, outsidecert, routes
from appliances.base.agent.board import WELL_ENOUGH
from appliances.base.agent.clock import Clock, judge
from appliances.base.agent.distribution import Network, PublishedPort, load_distribution
from appliances.base.agent.errors import AgentError
from appliances.base.agent.incus import Incus
from appliances.base.agent.paths import Paths
from appliances.base.agent.preseed import POOL
from appliances.base.agent.space import remedy

FULL = 0.9  # a file system or pool fuller than this is reported
SHORT = 0.95  # memory that is used more than this is reported
EARLIEST = datetime.timedelta(days=30)
RENEWED = datetime.timedelta(days=14)  # a certificate that somebody renews has been by then


def run_all(status: dict[str, Any], paths: Paths, incus: Incus, network: Network, clock: Clock) -> list[dict[str, Any]]:
    """`[{name, ok, detail}]`: what the host needs, then every daemon that should run."""
    found = [_agent(status), *_disk(paths), _memory(), *_storage(incus), _clock(paths, clock), _authority(paths)]
    found += [*_outside(paths), _entry(paths), _firewall(), _routes(network)]
    for appliance in status["appliances"]:
        if appliance["state"] == "disabled":
            continue
        if not appliance["daemons"] or appliance["state"] in ("stopped", "absent", "error"):
            detail = appliance["detail"] or f"is {appliance['state']}"
            found.append(_check(appliance["name"], False, detail))
            continue
        for daemon in appliance["daemons"]:
            if daemon["enabled"]:
                ok = daemon["health"] in WELL_ENOUGH
                detail = daemon["detail"] or f"is {daemon['state']}"
                found.append(_check(f"{appliance['name']}.{daemon['name']}", ok, detail))
    return found


def _agent(status: dict[str, Any]) -> dict[str, Any]:
    return _check("agent", status["phase"] != "failed", status["error"] or status["phase"])


def _disk(paths: Paths) -> list[dict[str, Any]]:
    usage = shutil.disk_usage(paths.var)
    found = [_check("disk", usage.used / usage.total < FULL, _space(usage.used, usage.total))]
    status = os.statvfs(paths.var)
    if status.f_files:  # btrfs has no such number
        used = 1 - status.f_favail / status.f_files
        found.append(_check("files", used < FULL, f"{used:.0%} of {status.f_files} possible files exist"))
    return found


def _memory(meminfo: Path = Path("/proc/meminfo")) -> dict[str, Any]:
    values = {line.split(":")[0]: int(line.split()[1]) << 10 for line in meminfo.read_text().splitlines()}
    total, used = values["MemTotal"], values["MemTotal"] - values["MemAvailable"]
    return _check("memory", used / total < SHORT, _space(used, total))


def _storage(incus: Incus) -> list[dict[str, Any]]:
    """The pool, and every volume that has a limit of its own: either may run full, and stops what writes there."""
    try:
        return [_pool(incus), *(one for name in sorted(incus.volumes(POOL)) if (one := _volume(incus, name)))]
    except AgentError as error:
        return [_check("storage pool", False, error.message)]


def _pool(incus: Incus) -> dict[str, Any]:
    space = incus.pool_space(POOL)
    if space is None:
        return _check("storage pool", False, f"Incus has no storage pool {POOL}")
    used, total = space
    if used / total < FULL:
        return _check("storage pool", True, _space(used, total))
    pool = incus.pool(POOL) or {}
    hint = remedy(pool.get("driver", ""), pool.get("config") or {}, int(used - total * FULL))
    return _check("storage pool", False, f"{_space(used, total)}: {hint}")


def _volume(incus: Incus, name: str) -> dict[str, Any] | None:
    space = incus.volume_space(POOL, name)
    if space is None:
        return None
    used, total = space
    if used / total < FULL:
        return _check(f"volume {name}", True, _space(used, total))
    hint = f"enlarge it: incus storage volume set {POOL} {name} size={(total >> 30) + 2}GiB"
    return _check(f"volume {name}", False, f"{_space(used, total)}: {hint}")


def _clock(paths: Paths, clock: Clock) -> dict[str, Any]:
    released = datetime.date.fromisoformat(load_distribution(paths.distribution).released)
    now = datetime.datetime.now(datetime.UTC)
    return _check("clock", *judge(now, released, clock.recent(), machine.synchronised(Path("/"))))


def _authority(paths: Paths) -> dict[str, Any]:
    try:
        certificate = x509.load_pem_x509_certificate((paths.ca / "ca.crt").read_bytes())
    except (OSError, ValueError) as error:
        return _check("certificate authority", False, str(error))
    end = certificate.not_valid_after_utc
    now = datetime.datetime.now(datetime.UTC)
    if now < certificate.not_valid_before_utc:
        return _check("certificate authority", False, f"not valid before {certificate.not_valid_before_utc:%Y-%m-%d}")
    return _check("certificate authority", end - now > EARLIEST, f"valid until {end:%Y-%m-%d}")


def _outside(paths: Paths, now: datetime.datetime | None = None) -> list[dict[str, Any]]:
    """Only where it is not the own one, which is renewed by itself: brought, by ACME, or still missing by ACME."""
    name, now = "outside certificate", now or datetime.datetime.now(datetime.UTC)
    record = acme.read(paths.acme_record)
    failure = record.error if record else None
    try:
        shown = outsidecert.shown(paths.outside_certificate)
    except AgentError as error:
        return [_check(name, False, error.sentence())]
    if record and (shown is None or not set(record.names) <= set(shown.names)):
        told = f"for {', '.join(record.names)}: none yet"
        return [_check(name, failure is None, f"{told}; {failure}" if failure else told)]
    if shown is None:
        return []
    detail = f"for {', '.join(shown.names)}, valid until {shown.ends:%Y-%m-%d}"
    if shown.way == "brought":
        return [_check(name, shown.ends - now > RENEWED, detail)]
    return [_check(name, not acme.late(shown, now), f"{detail}; it is not renewed: {failure}" if failure else detail)]


def _entry(paths: Paths, address: str = entryservice.LOOPBACK) -> dict[str, Any]:
    """Whether the entry answers, with the configuration that was meant for it, on every port that is published."""
    wanted, answered = entryservice.current(paths), entryservice.asked(address)
    if answered is None or answered != wanted:
        return _check("entry", False, f"{entryservice.silence(answered)}; see: journalctl -u asrbox-entry")
    published = load_distribution(paths.distribution).published()
    closed = [
        one.place for one in published if isinstance(one.at, PublishedPort) and not _listens(address, one.at.port)
    ]
    if closed:
        return _check("entry", False, f"nobody listens on port {', '.join(closed)}")
    return _check("entry", True, f"shows {', '.join(one.place for one in published)}")


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), entryservice.ANSWER).close()
    except OSError:
        return False
    return True


def _firewall() -> dict[str, Any]:
    packets = firewall.dropped()
    if packets is None:
        return _check("firewall", False, "the rules between the containers are not loaded")
    return _check("firewall", True, f"{sum(packets.values())} packets dropped that no appliance declares")


def _routes(network: Network) -> dict[str, Any]:
    ranges = routes.ranges(network)
    found = [f"{one} overlaps with {reach}" for reach in ranges for one in routes.overlapping(reach, network.bridge)]
    detail = "; ".join(found) or f"nothing overlaps with {' and '.join(str(reach) for reach in ranges)}"
    return _check("routes", not found, detail)


def _check(name: str, ok: bool, detail: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "detail": detail}


def _space(used: int, total: int) -> str:
    return f"{used / total:.0%} of {total / 2**30:.1f} GiB used"
