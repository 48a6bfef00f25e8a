"""Does somebody else use an address already? Asked on the bridge as RFC 5227 has it, before a daemon binds to it."""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections.abc import Collection
from ipaddress import IPv4Address

from appliances.base.agent.errors import AgentError

ETH_P_ARP = 0x0806
_ARP = struct.Struct("!6s6sH HHBBH6s4s6s4s")  # Ethernet: to, from, type; then the packet of RFC 826
_REQUEST = 1
_EVERYBODY, _NOBODY = b"\xff" * 6, b"\0" * 6
PROBES = 2
PAUSE = 0.25  # seconds to listen after each probe: a bridge inside one host answers in milliseconds


def users(interface: str, addresses: Collection[IPv4Address]) -> dict[IPv4Address, str]:
    """Addresses that somebody on this interface answers for → MAC address. Needs CAP_NET_RAW.

    Raises OSError when there is no such interface. One that is down has nobody on it.
    """
    found: dict[IPv4Address, str] = {}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP)) as plug:
        plug.bind((interface, ETH_P_ARP))
        own: bytes = plug.getsockname()[4]
        for _ in range(PROBES):
            try:
                for address in addresses:
                    plug.send(probe(own, address))
            except OSError as error:
                if error.errno in (errno.ENETDOWN, errno.ENOBUFS):
                    return found
                raise
            deadline = time.monotonic() + PAUSE
            while (left := deadline - time.monotonic()) > 0:
                plug.settimeout(left)
                try:
                    frame = plug.recv(128)
                except TimeoutError:
                    break
                if (claimed := claim(frame, own)) and claimed[0] in addresses:
                    found[claimed[0]] = claimed[1]
    return found


def refuse_taken(interface: str, addresses: Collection[IPv4Address], appliance: str) -> None:
    """Raises AgentError when an address of the appliance is in use on the wire."""
    try:
        taken = users(interface, addresses)
    except OSError as error:
        raise AgentError(f"cannot ask on {interface}: {error.strerror}", appliance=appliance, step="start") from error
    if taken:
        raise AgentError(
            "; ".join(f"{address} is used already by {owner} on {interface}" for address, owner in taken.items()),
            appliance=appliance,
            step="start",
            hint="find whose it is with `incus list` and `bridge fdb`, stop that, and the appliance starts by itself",
        )


def probe(own: bytes, address: IPv4Address) -> bytes:
    """An ARP probe: a question about `address` that tells nobody an address of the asker."""
    return _ARP.pack(
        _EVERYBODY, own, ETH_P_ARP, 1, 0x0800, 6, 4, _REQUEST, own, _NOBODY[:4], _NOBODY, address.packed
    )  # fmt: skip


def claim(frame: bytes, own: bytes) -> tuple[IPv4Address, str] | None:
    """Address and MAC address of somebody who says in an ARP frame that the address is his; None: nobody does."""
    if len(frame) < _ARP.size:
        return None
    fields = _ARP.unpack_from(frame)
    sender, address = fields[8], IPv4Address(fields[9])
    if fields[2:7] != (ETH_P_ARP, 1, 0x0800, 6, 4) or sender == own or not int(address):
        return None
    return address, sender.hex(":")
