"""Under Anaconda the network is set by our own program, since the installed system has systemd-networkd."""

from __future__ import annotations

from ipaddress import IPv4Interface

from appliances.base.installer import kickstart, target
from appliances.base.installer.actions import WriteFile
from appliances.base.installer.kickstart import Network
from appliances.base.installer.links import Link
from builder import kickstart as built
from tests.unit.installer.machine import DISTRIBUTION

MACHINE = """
lang ru_RU.UTF-8
network --bootproto=static --device=link --ip=192.0.2.10 --netmask=255.255.255.0 --gateway=192.0.2.1 --hostname=box
"""


def test_the_network_is_read_from_the_include_file_alone() -> None:
    assert kickstart.networks(MACHINE) == (Network("link", IPv4Interface("192.0.2.10/24"), "192.0.2.1", ()),)


def test_it_becomes_a_file_of_networkd() -> None:
    card = Link("enp1s0", "52:54:00:12:34:56", True)
    written = [one for one in target.network(kickstart.networks(MACHINE), "", [card]) if isinstance(one, WriteFile)]
    assert [one.path for one in written] == ["/etc/systemd/network/10-asrbox.network"]
    assert "Address=192.0.2.10/24" in written[0].text
    assert "MACAddress=52:54:00:12:34:56" in written[0].text


def test_only_anaconda_is_told_to_call_it() -> None:
    call = "appliances.base.installer network /root/machine.ks"
    assert call in built.render(DISTRIBUTION, "el", image_sha256="0" * 64)
    assert call not in built.render(DISTRIBUTION, "el")
