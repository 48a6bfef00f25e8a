"""Address resolution (RFC 826) as frames: the question who has an IPv4 address, and who says that he has it."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

ETH_P_ARP = 0x0806
_ARP = struct.Struct("!6s6sH HHBBH6s4s6s4s")  # Ethernet: to, from, type; then the packet of RFC 826
_REQUEST = 1
_EVERYBODY, _NOBODY = b"\xff" * 6, b"\0" * 6


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
