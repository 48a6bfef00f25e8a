"""IPv6 is switched on and off on a running host, with a real Incus, real bridges and a real firewall."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest
import yaml

from tests.containers.asking import appliance, dropped, init_of, instances, until
from tests.containers.incus_host import IncusHost

MARK = "/var/lib/asrbox/data/kept-over-ipv6"
AGENT6, AUTH6, BILLING6, BASE6 = (f"fd34:ed37:338c{end}" for end in ("::1", ":2::2", ":3::3", ":1::2"))
CONNECT = (
    "import socket, sys; source = (sys.argv[3], 0) if sys.argv[3] else None; "
    "socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.5, source)"
)
# A router's advertisement (RFC 4861, section 4.2) of a way out for half an hour; the kernel makes the checksum.
ADVERTISE = """
import socket
with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as plug:
    plug.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    plug.sendto(bytes([134, 0, 0, 0, 64, 0, 7, 8]) + bytes(8), ("ff02::1", 0, 0, socket.if_nametoindex("eth0")))
"""
HANDSHAKE = """
import socket, ssl, sys
context = ssl.create_default_context(cafile="/var/lib/asrbox/ca/ca.crt")
context.wrap_socket(socket.create_connection((sys.argv[1], int(sys.argv[2])), 5), server_hostname=sys.argv[1])
"""


def connects(host: IncusHost, instance: str, address: str, port: int, source: str = "") -> bool:
    """Whether a program in the container can open a connection, perhaps from an address it chose."""
    command = ["incus", "exec", instance, "--", "python3", "-c", CONNECT, address, str(port), source]
    return host.run(command, check=False).returncode == 0


def ipv6_of(host: IncusHost) -> dict[str, str]:
    """What the bridge and the containers have of IPv6, link-local addresses too; nothing of the loopback."""
    show = ["ip", "-6", "address", "show"]
    found = {one["name"]: host.in_container(one["name"], *show, "eth0") for one in instances(host)}
    found["asr0"] = host.run([*show, "dev", "asr0"]).stdout
    found["cables"] = host.run([*show, "master", "asr0"]).stdout
    return {name: text for name, text in found.items() if text.strip()}


def switch(host: IncusHost, on: bool) -> str:
    """As a person does it: edit the plan, apply it. Returns what `asrctl plan` said before."""
    file = host.path("/etc/asrbox/plan.yaml")
    plan = yaml.safe_load(file.read_text())
    plan["network"] = {"ipv6": on}
    file.write_text(yaml.safe_dump(plan))
    shown = host.asrctl("plan").stdout
    assert "apply: done" in host.asrctl("apply").stdout
    return shown


def second_addresses(host: IncusHost) -> dict[str, str | None]:
    return {
        f"{daemon['name']}.{one['name']}": daemon["address6"]
        for one in host.status()["appliances"]
        for daemon in one["daemons"]
    }


def everybody_answers_on_both(host: IncusHost) -> None:
    until(lambda: {one["health"] for one in host.status()["appliances"]} == {"ok"})
    found = host.status()["appliances"]
    for daemon in (daemon for one in found for daemon in one["daemons"]):
        for address in filter(None, (daemon["address"], daemon["address6"])):
            if daemon["protocol"] == "https":  # its certificate is for that address
                host.run(["/opt/asrbox/bin/python", "-c", HANDSHAKE, address, str(daemon["port"])])
            else:
                host.run(["python3", "-c", CONNECT, address, str(daemon["port"]), ""])


@pytest.fixture
def switched_off_after_all(host: IncusHost) -> Iterator[IncusHost]:
    yield host
    if any(second_addresses(host).values()):
        switch(host, False)


def test_ipv6_is_switched_on_and_off_on_a_running_host(switched_off_after_all: IncusHost) -> None:
    host = switched_off_after_all
    assert ipv6_of(host) == {}
    host.in_container("auth", "touch", MARK)

    shown = switch(host, True)

    assert "network: ipv6 enabled" in shown and "changing user.asrbox.addresses of auth" in shown
    assert second_addresses(host) == {
        "web.base": BASE6, "web.auth": AUTH6, "web.asr_billing": BILLING6, "firebird.asr_billing": None,
    }  # fmt: skip
    everybody_answers_on_both(host)
    assert host.in_container("auth", "ls", MARK).strip() == MARK

    # names resolve to both, and Firebird to its only one
    resolved = host.in_container("base", "getent", "ahosts", "web.auth.asrbox.internal").split()
    assert {AUTH6, "198.18.82.2"} <= set(resolved)
    assert "fd34:" not in host.in_container("asr-billing", "getent", "ahosts", "firebird.asr-billing.asrbox.internal")

    # what is declared passes; nothing else
    before = dropped(host, "between")
    assert connects(host, "base", AUTH6, 443), "base consumes web.auth"
    assert connects(host, "base", AGENT6, 8443), "and the agent"
    assert not connects(host, "base", BILLING6, 443), "nobody consumes the billing"
    assert dropped(host, "between") > before
    before = dropped(host, "host")
    assert not connects(host, "auth", AGENT6, 8443), "auth consumes nothing"
    assert dropped(host, "host") > before

    # nobody takes an address of another, and nobody is a router
    before = dropped(host, "between")
    host.in_container("auth", "ip", "address", "add", f"{BASE6}/56", "dev", "eth0", "nodad")
    assert not connects(host, "auth", AGENT6, 8443, BASE6), "that is what base may do"
    assert dropped(host, "between") > before
    host.in_container("auth", "ip", "address", "delete", f"{BASE6}/56", "dev", "eth0")
    before = dropped(host, "between"), dropped(host, "host")
    host.in_container("auth", "python3", "-c", ADVERTISE)
    assert (dropped(host, "between"), dropped(host, "host")) > before
    assert host.run(["ip", "-6", "route", "show", "default", "dev", "asr0"]).stdout == ""

    # it stays
    inits = {one["name"]: init_of(host, one["name"]) for one in instances(host)}
    assert host.agent is not None
    host.agent.kill(signal.SIGKILL)
    host.forget_console()
    host.start_agent()
    host.wait_ready()
    assert {one["name"]: init_of(host, one["name"]) for one in instances(host)} == inits
    host.asrctl("restart", "auth")
    assert appliance(host, "auth")["health"] == "ok"
    everybody_answers_on_both(host)

    # and goes without a trace
    assert "network: ipv6 disabled" in switch(host, False)
    assert ipv6_of(host) == {}
    everybody_answers_on_both(host)
    told = json.loads(host.path("/var/lib/asrbox/runtime/asr_billing/appliance.json").read_text())
    assert "address6" not in json.dumps(told)
    assert "fd34:" not in host.in_container("base", "cat", "/etc/hosts")
    assert host.in_container("auth", "ls", MARK).strip() == MARK
    host.in_container("auth", "rm", MARK)
