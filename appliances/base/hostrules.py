"""What names, keys, hashes and the gateway of a host look like: the same for the installer and for the agent."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

HASH = re.compile(r"^\$(y|gy|7|2[aby]|6|5)\$[./A-Za-z0-9$=,-]{8,}$")
SSH_KEY = re.compile(
    r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|"
    r"sk-ecdsa-sha2-nistp256@openssh\.com) [A-Za-z0-9+/]{40,}={0,3}( [^\"'\\$`\n]*)?$"
)
HOSTNAME = re.compile(r"^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$")
ACCOUNT = re.compile(r"^[a-z_][a-z0-9_-]{0,31}$")
TAKEN = {"root", "daemon", "bin", "sys", "nobody", "asrbox", "incus", "incus-admin", "sshd", "sudo"}


def wrong_gateway(gateway: IPv4Address | IPv6Address, own: IPv4Interface | IPv6Interface) -> str | None:
    """Why a host with the address `own` cannot have this gateway; None when it can. IPv6 may name a link-local one."""
    if gateway not in own.network and not (gateway.version == 6 and gateway.is_link_local):
        return f"the gateway {gateway} is not in the network {own.network}"
    if gateway == own.ip:
        return f"the gateway {gateway} is the address of this host itself"
    return None
