"""The host's own network and people, changed for real: by systemd-networkd in the test host's network, by useradd.

A reboot while a change is on trial is shown in tests/unit/agent/test_hosttrial.py only: test hosts share the boot of
the machine that they run on.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.containers.asking import until
from tests.containers.incus_host import IncusHost

NETWORK = "/etc/systemd/network/10-asrbox.network"
BEFORE = "[Match]\nName=up0\n\n[Network]\nAddress=203.0.113.10/24\n"
# A real /sys would promise udev, which a test host has not; networkd has these rights of its unit.
CAPABILITIES = "+net_admin,+net_raw,+net_bind_service,+net_broadcast"
NETWORKD = (
    "mount -o bind,ro /sys /sys && exec setpriv --reuid=systemd-network --regid=systemd-network --clear-groups "
    f"--inh-caps={CAPABILITIES} --ambient-caps={CAPABILITIES} /usr/lib/systemd/systemd-networkd"
)
PREPARE = f"""
set -e
echo 0123456789abcdef0123456789abcdef > /etc/machine-id
mkdir -p /run/dbus /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
chown -R systemd-network:systemd-network /run/systemd/netif
printf '{BEFORE.replace(chr(10), chr(92) + "n")}' > {NETWORK}
echo asrbox-test > /etc/hostname
ip link add up0 type veth peer name up1
ip link set up1 up
"""


@pytest.fixture(scope="module")
def outside(host: IncusHost) -> Iterator[IncusHost]:
    """The host with a cable to the outside and systemd-networkd that looks after it."""
    host.run(["sh", "-c", PREPARE])
    bus = host.start(["dbus-daemon", "--system", "--nofork", "--nopidfile"], "dbus.log")
    until(lambda: host.path("/run/dbus/system_bus_socket").exists())
    networkd = host.start(["unshare", "--mount", "sh", "-c", NETWORKD], "networkd.log")
    try:
        until(lambda: addresses(host) == ["203.0.113.10"])
        yield host
    finally:
        networkd.kill()
        bus.kill()
        host.run(["sh", "-c", f"ip link delete up0; rm -f {NETWORK}; hostname asrbox-test; : > /etc/machine-id"])


def addresses(host: IncusHost) -> list[str]:
    found = json.loads(host.run(["ip", "-json", "-4", "address", "show", "up0"]).stdout)
    return [one["local"] for link in found for one in link.get("addr_info", [])]


def test_a_change_that_is_confirmed_stays_with_name_and_route(outside: IncusHost) -> None:
    options = ["--static", "203.0.113.99/24", "--gateway", "203.0.113.1", "--hostname", "box7.example.net"]
    said = outside.asrctl("host", "network", *options).stdout
    assert "On trial. Within 90 seconds, through the new address: asrctl host network confirm" in said
    until(lambda: addresses(outside) == ["203.0.113.99"])
    assert "on trial for" in outside.asrctl("host", "network").stdout
    assert outside.asrctl("host", "network", "confirm").stdout == "confirmed: the host stays like this\n"

    assert "via 203.0.113.1 dev up0" in outside.run(["ip", "route", "show", "default"]).stdout
    assert outside.run(["hostname"]).stdout == "box7.example.net\n"
    assert "127.0.1.1 box7.example.net box7" in outside.run(["cat", "/etc/hosts"]).stdout
    whats = [one["what"] for one in json.loads(outside.asrctl("audit", "--kind", "host", "--json").stdout)]
    assert whats[:2] == ["network confirmed", "network on trial"]
    refused = outside.asrctl("host", "network", "confirm", check=False)
    assert "no change of the network waits to be confirmed" in refused.stderr

    outside.asrctl("host", "network", "--static", "203.0.113.10/24", "--gateway", "", "--hostname", "asrbox-test")
    outside.asrctl("host", "network", "confirm")
    assert addresses(outside) == ["203.0.113.10"]


def test_what_nobody_confirms_comes_back_after_the_agent_was_killed(outside: IncusHost) -> None:
    outside.asrctl("host", "network", "--static", "192.0.2.66/24")
    until(lambda: addresses(outside) == ["192.0.2.66"])
    assert outside.agent is not None
    outside.agent.kill()
    trial = outside.path("/var/lib/asrbox/state/network-trial.json")
    state: dict[str, Any] = json.loads(trial.read_text())
    assert 60 < state["until"] - time.clock_gettime(time.CLOCK_BOOTTIME) <= 90
    # as if the rest of the 90 seconds had gone by while nothing ran
    trial.write_text(json.dumps({**state, "until": time.clock_gettime(time.CLOCK_BOOTTIME) + 5}))
    outside.forget_console()
    outside.start_agent()
    assert addresses(outside) == ["192.0.2.66"]
    until(lambda: addresses(outside) == ["203.0.113.10"])
    assert not trial.exists()
    assert "Address=203.0.113.10/24" in outside.run(["cat", NETWORK]).stdout
    until(lambda: "network not confirmed" in outside.asrctl("audit", "--kind", "host").stdout)
    outside.wait_ready()


def test_what_cannot_be_is_refused_before_anything_changes(outside: IncusHost) -> None:
    before = outside.run(["cat", NETWORK]).stdout
    for options, says in (
        (["--static", "198.18.82.9/24"], "overlaps with 198.18.80.0/20, where the appliances are"),
        (["--static", "203.0.113.20/24", "--gateway", "192.0.2.1"], "the gateway 192.0.2.1 is not in the network"),
        (["--hostname", "Büro"], "hostname takes a name of small letters"),
        (["--static", "203.0.113.10/24"], "the network is like this already"),
    ):
        refused = outside.asrctl("host", "network", *options, check=False)
        assert refused.returncode == 1
        assert says in refused.stderr
    assert outside.run(["cat", NETWORK]).stdout == before


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    """Two public keys, made now."""
    found = []
    for name in ("one", "two"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"clara@{name}", "-f", str(tmp_path / name)]
        subprocess.run(make, check=True)
        found.append((tmp_path / f"{name}.pub").read_text())
    return found


def shadow(host: IncusHost, name: str) -> list[str]:
    return host.run(["getent", "shadow", name]).stdout.strip().split(":")


def test_somebody_is_let_in_locked_and_removed(host: IncusHost, keys: list[str]) -> None:
    said = host.asrctl("host", "people", "add", "clara", "--keys", "-", "--administrator", input=keys[0]).stdout
    assert "clara  administrator  open   no        ssh-ed25519 …" in said and "clara@one" in said
    file = "/home/clara/.ssh/authorized_keys"
    assert host.run(["cat", file]).stdout == keys[0]
    assert host.run(["stat", "-c", "%U:%G %a", file]).stdout == "clara:clara 600\n"
    assert "sudo" in host.run(["id", "-nG", "clara"]).stdout

    for command in (["lock", "clara"], ["remove", "clara", "--yes"]):
        refused = host.asrctl("host", "people", *command, check=False)
        assert "clara is the last who can look after this host" in refused.stderr
    secret = "$6$saltsalt$" + "x" * 86
    host.asrctl("host", "people", "add", "boris", "--password-hash", secret, "--administrator")
    assert shadow(host, "boris")[1] == secret

    running = host.start(["setpriv", "--reuid=boris", "--regid=boris", "--clear-groups", "sleep", "1000"], "sleep.log")
    until(lambda: "sleep" in host.run(["pgrep", "-l", "-U", "boris"], check=False).stdout)
    host.asrctl("host", "people", "lock", "boris")
    running.process.wait(timeout=10)
    assert (shadow(host, "boris")[1], shadow(host, "boris")[7]) == (f"!{secret}", "1")
    assert "locked" in host.asrctl("host", "people").stdout
    host.asrctl("host", "people", "unlock", "boris")
    assert (shadow(host, "boris")[1], shadow(host, "boris")[7]) == (secret, "")

    host.asrctl("host", "people", "keys", "clara", "-", input=keys[1])
    assert host.run(["cat", file]).stdout == keys[1]
    host.asrctl("host", "people", "remove", "clara", "--yes")
    assert host.run(["getent", "passwd", "clara"], check=False).returncode != 0
    assert host.run(["ls", "/home/clara"], check=False).returncode != 0
    whats = [one["what"] for one in json.loads(host.asrctl("audit", "--kind", "host", "-n", "6", "--json").stdout)]
    assert whats == [
        "person remove", "person keys", "person unlock", "person lock", "person added", "person added",
    ]  # fmt: skip


def test_keys_are_written_by_the_person_so_a_link_leads_nowhere_else(host: IncusHost, keys: list[str]) -> None:
    host.asrctl("host", "people", "add", "eve", "--keys", "-", input=keys[0])
    lead = (
        "mkdir -p /root/.ssh && rm -r /home/eve/.ssh && ln -s /root/.ssh /home/eve/.ssh && chown -h eve /home/eve/.ssh"
    )
    host.run(["sh", "-c", lead])
    refused = host.asrctl("host", "people", "keys", "eve", "-", input=keys[1], check=False)
    assert refused.returncode == 1
    assert host.run(["cat", "/root/.ssh/authorized_keys"], check=False).returncode != 0
    host.asrctl("host", "people", "remove", "eve", "--yes")
