"""The rules between containers with IPv6, loaded into a real kernel: a bridge and two neighbours in namespaces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from appliances.base.agent import firewall
from builder.run import run
from tests.unit.agent.examples import distribution_ipv6

SHIPPED = distribution_ipv6()
AUTH, BILLING = (SHIPPED.appliance(name) for name in ("auth", "asr_billing"))
AGENT6, AUTH6, BILLING6 = "fd34:ed37:338c::1", "fd34:ed37:338c:2::2", "fd34:ed37:338c:3::3"
FOREIGN_MAC = "02:00:00:00:00:99"
LISTEN = """
import socket, sys
with socket.create_server((sys.argv[1], int(sys.argv[2])), family=socket.AF_INET6) as plug:
    print("listening", flush=True)
    while True:
        plug.accept()[0].close()
"""
CONNECT = """
import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])), 1, (sys.argv[3], 0) if sys.argv[3] else None)
"""
# An ICMPv6 message (in hex) to all neighbours; the kernel makes the checksum.
TELL = """
import socket, sys
with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as plug:
    plug.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    plug.sendto(bytes.fromhex(sys.argv[1]), ("ff02::1", 0, 0, socket.if_nametoindex("eth0")))
"""
ROUTER = "8600000040000708" + "00" * 8  # RFC 4861, section 4.2: a way out for half an hour
# Section 4.4: billing's address is at another MAC address, forget what you knew.
BILLING_IS_HERE = "8800000020000000fd34ed37338c000300000000000000030201020000000099"


@dataclass(frozen=True)
class Net:
    """Names of the namespaces."""

    host: str
    auth: str
    billing: str

    def connects(self, place: str, address: str, port: int, source: str = "") -> bool:
        command = ["ip", "netns", "exec", place, sys.executable, "-c", CONNECT, address, str(port), source]
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0

    def dropped(self) -> dict[str, int]:
        listed = json.loads(run(["ip", "netns", "exec", self.host, "nft", "-j", "list", "counters"]).stdout)["nftables"]
        counters = [one["counter"] for one in listed if "counter" in one]
        return {one["name"]: one["packets"] for one in counters}

    def neighbour(self, address: str) -> str:
        """The MAC address at which the host believes an address to be."""
        shown = run(["ip", "-n", self.host, "neighbour", "show", address, "dev", "asr0"]).stdout.split()
        return shown[shown.index("lladdr") + 1]


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    net = Net(*(f"asrbox-fw6-{os.getpid()}-{name}" for name in ("host", "auth", "billing")))
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for name in (net.host, net.auth, net.billing):
            run(["ip", "netns", "add", name])
        run(["ip", "-n", net.host, "link", "add", "asr0", "type", "bridge"])
        run(["ip", "-n", net.host, "link", "set", "asr0", "up"])
        run(["ip", "-n", net.host, "address", "add", f"{AGENT6}/56", "dev", "asr0", "nodad"])
        for name, appliance in ((net.auth, AUTH), (net.billing, BILLING)):
            cable = firewall.interface(SHIPPED.network, appliance)
            run(["ip", "-n", net.host, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name])
            run(["ip", "-n", net.host, "link", "set", cable, "addrgenmode", "none", "master", "asr0", "up"])
            run(["ip", "-n", name, "link", "set", "eth0", "addrgenmode", "none", "up"])
            addresses = [f"{one}/56" for one in appliance.sources6]
            for address in (*addresses, f"{SHIPPED.network.link_local(appliance.block)}/64"):
                run(["ip", "-n", name, "address", "add", address, "dev", "eth0", "nodad"])
        load = ["ip", "netns", "exec", net.host, "nft", "--file", "-"]
        subprocess.run(load, input=firewall.rules(SHIPPED), text=True, check=True)
        for name, address, port in ((net.host, AGENT6, 8443), (net.auth, AUTH6, 443), (net.billing, BILLING6, 443)):
            command = ["ip", "netns", "exec", name, sys.executable, "-c", LISTEN, address, str(port)]
            daemon = subprocess.Popen(command, stdout=subprocess.PIPE)
            daemons.append(daemon)
            assert daemon.stdout and daemon.stdout.readline() == b"listening\n"
        yield net
    finally:
        for daemon in daemons:
            daemon.kill()
            daemon.wait()
        for name in (net.host, net.auth, net.billing):
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)


def test_only_what_is_declared_passes(net: Net) -> None:
    assert net.connects(net.billing, AUTH6, 443)
    assert net.connects(net.billing, AGENT6, 8443)
    assert net.connects(net.host, BILLING6, 443)
    before = net.dropped()
    assert not net.connects(net.auth, BILLING6, 443)
    assert not net.connects(net.auth, AGENT6, 8443)
    after = net.dropped()
    assert after["between"] > before["between"] and after["host"] > before["host"]


def test_nobody_speaks_from_an_address_of_another(net: Net) -> None:
    before = net.dropped()["between"]
    run(["ip", "-n", net.auth, "address", "add", f"{BILLING6}/56", "dev", "eth0", "nodad"])
    assert not net.connects(net.auth, AGENT6, 8443, BILLING6)
    run(["ip", "-n", net.auth, "address", "delete", f"{BILLING6}/56", "dev", "eth0"])
    assert net.dropped()["between"] > before
    assert net.connects(net.host, BILLING6, 443), "its owner keeps it"


def test_nobody_answers_for_another(net: Net) -> None:
    assert net.connects(net.host, BILLING6, 443)
    known, before = net.neighbour(BILLING6), net.dropped()["between"]
    run(["ip", "netns", "exec", net.auth, sys.executable, "-c", TELL, BILLING_IS_HERE])
    time.sleep(0.2)
    assert net.neighbour(BILLING6) == known != FOREIGN_MAC
    assert net.dropped()["between"] > before


def test_nobody_is_a_router(net: Net) -> None:
    before = net.dropped()
    run(["ip", "netns", "exec", net.auth, sys.executable, "-c", TELL, ROUTER])
    time.sleep(0.2)
    after = net.dropped()
    assert after["between"] > before["between"] and after["host"] > before["host"]
    assert run(["ip", "-n", net.host, "-6", "route", "show", "default"]).stdout == ""
    assert run(["ip", "-n", net.billing, "-6", "route", "show", "default"]).stdout == ""
