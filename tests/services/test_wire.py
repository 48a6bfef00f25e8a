"""Somebody has an address already: asked on a real bridge, in a network namespace of its own without any way out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from builder.run import run

BRIDGE = "asr0"
TAKEN, FREE = "198.18.95.2", "198.18.95.3"
TAKEN6, FREE6 = "fd34:ed37:338c:f::2", "fd34:ed37:338c:f::3"
OWNER = "02:00:00:00:95:02"
ASK = """
import sys
from ipaddress import ip_address
from appliances.base.agent import wire
from appliances.base.agent.errors import AgentError
try:
    wire.refuse_taken(sys.argv[1], {ip_address(one) for one in sys.argv[2:]}, "auth")
    print("free")
except AgentError as error:
    print(error.sentence())
"""


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """Name of a namespace with a bridge, and of nothing but a neighbour on it who has one address."""
    name, neighbour = f"asrbox-wire-{os.getpid()}", f"asrbox-wire-{os.getpid()}-b"
    try:
        for one in (name, neighbour):
            run(["ip", "netns", "add", one])
        run(["ip", "-n", name, "link", "add", BRIDGE, "type", "bridge"])
        run(["ip", "-n", name, "link", "add", "port", "type", "veth", "peer", "name", "eth0", "netns", neighbour])
        run(["ip", "-n", name, "link", "set", "port", "master", BRIDGE, "up"])
        run(["ip", "-n", name, "link", "set", BRIDGE, "up"])
        run(["ip", "-n", neighbour, "link", "set", "eth0", "address", OWNER, "up"])
        run(["ip", "-n", neighbour, "address", "add", f"{TAKEN}/24", "dev", "eth0"])
        run(["ip", "-n", neighbour, "address", "add", f"{TAKEN6}/56", "dev", "eth0", "nodad"])
        yield name
    finally:
        for one in (name, neighbour):
            subprocess.run(["ip", "netns", "delete", one], stderr=subprocess.DEVNULL, check=False)


def ask(host: str, interface: str, *addresses: str) -> str:
    return run(["ip", "netns", "exec", host, sys.executable, "-c", ASK, interface, *addresses]).stdout.strip()


def test_an_address_that_a_neighbour_has_is_refused_with_his_name(host: str) -> None:
    told = ask(host, BRIDGE, TAKEN, FREE)
    assert told.startswith(f"auth: start: {TAKEN} is used already by {OWNER} on {BRIDGE} (find whose it is")
    assert FREE not in told


def test_an_ipv6_address_that_a_neighbour_has_is_refused_too(host: str) -> None:
    told = ask(host, BRIDGE, FREE6, TAKEN6, FREE)
    assert told.startswith(f"auth: start: {TAKEN6} is used already by {OWNER} on {BRIDGE} (find whose it is")
    assert ask(host, BRIDGE, TAKEN6, TAKEN).count("is used already") == 2


def test_asking_tells_the_neighbour_no_address_of_ours(host: str) -> None:
    ask(host, BRIDGE, TAKEN, TAKEN6)
    assert run(["ip", "-n", f"{host}-b", "neighbour", "show"]).stdout.strip() == ""


def test_a_free_address_is_free(host: str) -> None:
    assert ask(host, BRIDGE, FREE, FREE6) == "free"


def test_on_a_bridge_that_is_down_there_is_nobody(host: str) -> None:
    run(["ip", "-n", host, "link", "add", "idle", "type", "bridge"])
    assert ask(host, "idle", TAKEN, TAKEN6) == "free"


def test_a_bridge_that_is_not_there_is_told(host: str) -> None:
    assert ask(host, "nosuch", TAKEN) == "auth: start: cannot ask on nosuch: No such device"
