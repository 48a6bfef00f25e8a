"""Does somebody else use an address already? Asked on the bridge before a daemon binds to it: for IPv4 as RFC 5227
has it, for IPv6 as RFC 4862.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import time
from collections.abc import Callable, Collection
from typing import Any

from appliances.base.agent import arp, ndp
from appliances.base.agent.distribution import Address
from appliances.base.agent.errors import AgentError

# Version of IP → its number on Ethernet, the question about an address, and who says that he has one.
_Probe = Callable[[bytes, Any], bytes]
_Claim = Callable[[bytes, bytes], tuple[Address, str] | None]
PROTOCOLS: dict[int, tuple[int, _Probe, _Claim]] = {
    4: (arp.ETH_P_ARP, arp.probe, arp.claim),
    6: (ndp.ETH_P_IPV6, ndp.probe, ndp.claim),
}
PROBES = 2
PAUSE = 0.25  # seconds to listen after each probe: a bridge inside one host answers in milliseconds


def users(interface: str, addresses: Collection[Address]) -> dict[Address, str]:
    """Addresses that somebody on this interface answers for → MAC address. Needs CAP_NET_RAW.

    Raises OSError when there is no such interface. One that is down has nobody on it.
    """
    found: dict[Address, str] = {}
    with contextlib.ExitStack() as plugs, selectors.DefaultSelector() as listening:
        for version in sorted({one.version for one in addresses}):
            protocol = PROTOCOLS[version][0]
            plug = plugs.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol)))
            plug.bind((interface, protocol))
            plug.setblocking(False)
            listening.register(plug, selectors.EVENT_READ, version)
        for _ in range(PROBES):
            try:
                _ask(listening, addresses)
            except OSError as error:
                if error.errno in (errno.ENETDOWN, errno.ENOBUFS):
                    return found
                raise
            deadline = time.monotonic() + PAUSE
            while (left := deadline - time.monotonic()) > 0:
                for key, _ready in listening.select(left):
                    claimed = _hear(key.fileobj, PROTOCOLS[key.data][2])
                    if claimed and claimed[0] in addresses:
                        found[claimed[0]] = claimed[1]
    return found


def _ask(listening: selectors.BaseSelector, addresses: Collection[Address]) -> None:
    for key in listening.get_map().values():
        plug: Any = key.fileobj
        for address in addresses:
            if address.version == key.data:
                plug.send(PROTOCOLS[key.data][1](plug.getsockname()[4], address))


def _hear(plug: Any, claim: _Claim) -> tuple[Address, str] | None:
    return claim(plug.recv(128), plug.getsockname()[4])


def refuse_taken(interface: str, addresses: Collection[Address], appliance: str | None, step: str = "start") -> None:
    """Raises AgentError when an address of the appliance, or of the host (None), is in use on the wire."""
    try:
        taken = users(interface, addresses)
    except OSError as error:
        raise AgentError(f"cannot ask on {interface}: {error.strerror}", appliance=appliance, step=step) from error
    if taken:
        raise AgentError(
            "; ".join(f"{address} is used already by {owner} on {interface}" for address, owner in taken.items()),
            appliance=appliance,
            step=step,
            hint="find whose it is with `incus list` and `bridge fdb`, stop that, and "
            + ("the appliance starts by itself" if appliance else "try again"),
        )
