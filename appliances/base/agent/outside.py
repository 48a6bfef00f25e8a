"""The host as the rest of the world sees it: its name and its own addresses outside of the appliances' bridge."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outside:
    """Host name and global addresses (IPv4 before IPv6) by which people reach this host."""

    hostname: str
    addresses: tuple[str, ...]


def look(bridge: str) -> Outside:
    """Ask the kernel. A host without a network yet has no addresses."""
    return Outside(socket.gethostname(), addresses_of(ip("address", "show", "up", "scope", "global"), bridge))


def ip(*arguments: str) -> list[dict[str, Any]]:
    """What `ip -json` prints; nothing where it fails."""
    shown = subprocess.run(  # noqa: S603
        ["/usr/sbin/ip", "-json", *arguments], stdout=subprocess.PIPE, check=False, timeout=10
    )
    found: list[dict[str, Any]] = json.loads(shown.stdout or b"[]")
    return found


def addresses_of(links: list[dict[str, Any]], bridge: str) -> tuple[str, ...]:
    """Addresses out of `ip -json address`, without those of the appliances' bridge and temporary IPv6 ones."""
    found: list[tuple[str, str]] = []
    for link in links:
        entries = link.get("addr_info")
        if link.get("ifname") in (bridge, "lo") or not isinstance(entries, list):
            continue
        for entry in entries:
            if "local" in entry and not entry.get("temporary"):
                found.append((str(entry.get("family")), str(entry["local"])))
    return tuple(address for _, address in sorted(found, key=lambda one: one[0]))


def url(address: str, path: str) -> str:
    """The https address of what is published at `path`; IPv6 in brackets."""
    host = f"[{address}]" if ":" in address else address
    return f"https://{host}{path.rstrip('/')}/"
