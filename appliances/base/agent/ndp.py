"""Neighbour discovery (RFC 4861) as frames: the question who has an IPv6 address, and who says that he has it."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address

ETH_P_IPV6 = 0x86DD
_ETHERNET = struct.Struct("!6s6sH")
_IPV6 = struct.Struct("!IHBB16s16s")  # version, class and flow; length; next header; hop limit; from; to
_MESSAGE = struct.Struct("!BBHI16s")  # type, code, checksum, flags; the address that it is about
_NOBODY = IPv6Address("::")
_ICMPV6, _NEAR = 58, 255  # a message that a router has passed on has a smaller hop limit
_SOLICITATION, _ADVERTISEMENT = 135, 136
_LINK_ADDRESS = {_SOLICITATION: 1, _ADVERTISEMENT: 2}  # the option that tells a MAC address


def probe(own: bytes, address: IPv6Address) -> bytes:
    """A question about `address` that tells nobody an address of the asker (RFC 4862, section 5.4.2)."""
    group = address.packed[-3:]
    to = IPv6Address(b"\xff\x02" + b"\0" * 9 + b"\x01\xff" + group)
    message = _MESSAGE.pack(_SOLICITATION, 0, 0, 0, address.packed)
    message = message[:2] + _checksum(to, message) + message[4:]
    header = _IPV6.pack(6 << 28, len(message), _ICMPV6, _NEAR, _NOBODY.packed, to.packed)
    return _ETHERNET.pack(b"\x33\x33\xff" + group, own, ETH_P_IPV6) + header + message


def claim(frame: bytes, own: bytes) -> tuple[IPv6Address, str] | None:
    """Address and MAC address of somebody who says in a frame that the address is his; None: nobody does.

    An advertisement claims what it is about, a question the address it comes from, and one that comes from nowhere
    what it is about: somebody is about to take it.
    """
    if len(frame) < _ETHERNET.size + _IPV6.size + _MESSAGE.size:
        return None
    _, sender, kind = _ETHERNET.unpack_from(frame)
    _, _, following, hops, source, _ = _IPV6.unpack_from(frame, _ETHERNET.size)
    if (kind, following, hops) != (ETH_P_IPV6, _ICMPV6, _NEAR) or sender == own:
        return None
    start = _ETHERNET.size + _IPV6.size
    asked, code, _, _, target = _MESSAGE.unpack_from(frame, start)
    if asked not in _LINK_ADDRESS or code:
        return None
    told = frame[start + _MESSAGE.size :]
    owner = told[2:8] if len(told) >= 8 and told[:2] == bytes((_LINK_ADDRESS[asked], 1)) else sender
    claimed = IPv6Address(target if asked == _ADVERTISEMENT else source)
    return (IPv6Address(target) if claimed == _NOBODY else claimed), owner.hex(":")


def _checksum(to: IPv6Address, message: bytes) -> bytes:
    """Of a message from nowhere (RFC 8200, section 8.1)."""
    whole = _NOBODY.packed + to.packed + struct.pack("!II", len(message), _ICMPV6) + message
    total = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
