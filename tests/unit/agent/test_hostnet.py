"""The host's own network: what the files say, what is taken, which files change."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest

from appliances.base.agent import hostnet
from appliances.base.agent.errors import AgentError, WrongSettings
from appliances.base.agent.hostadmin import cards_of
from appliances.base.agent.hostnet import Card, HostNetwork

INSIDE = [ipaddress.IPv4Network("198.18.80.0/20"), ipaddress.IPv6Network("fd34:ed37:338c::/56")]
ETH0, ETH1 = Card("eth0", "52:54:00:12:34:56"), Card("eth1", "52:54:00:12:34:57")
OF_THE_INSTALLER = "# Made by the installer from the answers.\n[Match]\nType=ether\nKind=!*\n\n[Network]\nDHCP=yes\n"
DHCP = HostNetwork("dhcp", "Type=ether\nKind=!*", "", "", (), "box", ())
FIXED = {"method": "static", "address": "192.0.2.10/24", "gateway": "192.0.2.1", "dns": ["192.0.2.53"]}


def host(root: Path, network: str = OF_THE_INSTALLER, *, chrony: bool = False) -> Path:
    for name in ("etc/systemd/network", "usr/lib/systemd"):
        (root / name).mkdir(parents=True)
    (root / hostnet.FILE).write_text(network)
    (root / "etc/hostname").write_text("box\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 box\n192.0.2.7 printer\n")
    if chrony:
        (root / hostnet.CHRONY).write_text(
            "# time\npool 2.centos.pool.ntp.org iburst\ndriftfile /var/lib/chrony/drift\n"
        )
    else:
        (root / hostnet.TIMESYNCD_PROGRAM).touch()
    return root


def checked(given: dict[str, Any], now: HostNetwork = DHCP, cards: tuple[Card, ...] = (ETH0,)) -> HostNetwork:
    return hostnet.checked(given, now, cards, "eth0", INSIDE)


def test_what_the_installer_wrote_is_read(tmp_path: Path) -> None:
    assert hostnet.current(host(tmp_path)) == DHCP


def test_a_fixed_address_is_written_for_one_card_and_read_again(tmp_path: Path) -> None:
    host(tmp_path)
    wanted = checked({**FIXED, "hostname": "billing1.example.net", "time_servers": "ntp.example.net, 192.0.2.123"})
    files = hostnet.files_of(tmp_path, wanted, DHCP)
    assert files == {
        hostnet.FILE: hostnet.HEADER + "[Match]\nMACAddress=52:54:00:12:34:56\n\n[Network]\n"
        "Address=192.0.2.10/24\nGateway=192.0.2.1\nDNS=192.0.2.53\n",
        "etc/hostname": "billing1.example.net\n",
        "etc/hosts": "127.0.0.1 localhost\n192.0.2.7 printer\n127.0.1.1 billing1.example.net billing1\n",
        hostnet.TIMESYNCD: hostnet.HEADER + "[Time]\nNTP=ntp.example.net 192.0.2.123\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(str(text))
    assert hostnet.current(tmp_path) == wanted
    assert hostnet.card_of(wanted, [ETH1, ETH0]) == "eth0"
    assert hostnet.files_of(tmp_path, wanted, wanted) == {}

    # and back: the card stays the one that it was
    back = checked({"method": "dhcp", "dns": [], "time_servers": ""}, wanted)
    files = hostnet.files_of(tmp_path, back, wanted)
    assert files[hostnet.FILE] == hostnet.HEADER + "[Match]\nMACAddress=52:54:00:12:34:56\n\n[Network]\nDHCP=yes\n"
    assert files[hostnet.TIMESYNCD] is None


def test_the_clock_of_chrony_and_its_pool_that_comes_back(tmp_path: Path) -> None:
    host(tmp_path, chrony=True)
    now = hostnet.current(tmp_path)
    before = (tmp_path / hostnet.CHRONY).read_text()
    wanted = checked({"time_servers": ["ntp.example.net"]}, now)
    text = hostnet.files_of(tmp_path, wanted, now)[hostnet.CHRONY]
    assert text == (
        "server ntp.example.net iburst\n# time\n#asrbox pool 2.centos.pool.ntp.org iburst\n"
        "driftfile /var/lib/chrony/drift\n"
    )
    (tmp_path / hostnet.CHRONY).write_text(text)
    assert hostnet.current(tmp_path).time_servers == ("ntp.example.net",)
    assert hostnet.files_of(tmp_path, now, wanted)[hostnet.CHRONY] == before
    assert hostnet.time_service(tmp_path) == "chronyd.service"


@pytest.mark.parametrize(
    ("given", "key", "says"),
    [
        ({"colour": "red"}, "colour", "there is no 'colour'"),
        ({"method": "magic"}, "method", "method takes one of: dhcp, static"),
        ({"hostname": "Box_1"}, "hostname", "hostname takes a name of small letters"),
        ({"dns": ["one"]}, "dns", "dns takes up to 3 addresses"),
        ({"dns": "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4"}, "dns", "dns takes up to 3 addresses"),
        ({"dns": 5}, "dns", "dns takes up to 3 addresses"),
        ({"dns": "224.0.0.1"}, "dns", "dns takes up to 3 addresses"),
        ({"time_servers": "a..b"}, "time_servers", "time_servers takes names or addresses"),
        ({"address": "192.0.2.10/24"}, "address", "address is for the method static"),
        ({**FIXED, "address": ""}, "address", "address takes an address with its prefix length"),
        ({**FIXED, "address": "192.0.2.10"}, "address", "address needs its prefix length, such as 192.0.2.10/24"),
        ({**FIXED, "address": "192.0.2.10/33"}, "address", "address takes an address with its prefix length"),
        ({**FIXED, "address": "192.0.2.0/24"}, "address", "192.0.2.0 stands for all hosts of 192.0.2.0/24"),
        ({**FIXED, "address": "192.0.2.255/24"}, "address", "192.0.2.255 stands for all hosts"),
        ({**FIXED, "address": "127.0.0.2/8"}, "address", "127.0.0.2 is no address that a host can have"),
        ({**FIXED, "address": "198.18.82.9/24"}, "address", "overlaps with 198.18.80.0/20, where the appliances are"),
        ({**FIXED, "address": "fd34:ed37:338c::9/64"}, "address", "overlaps with fd34:ed37:338c::/56, where"),
        ({**FIXED, "gateway": "192.0.3.1"}, "gateway", "the gateway 192.0.3.1 is not in the network 192.0.2.0/24"),
        ({**FIXED, "gateway": "192.0.2.10"}, "gateway", "is the address of this host itself"),
        ({**FIXED, "gateway": "router"}, "gateway", "gateway takes an address, such as 192.0.2.1"),
        ({**FIXED, "interface": "eth7"}, "interface", "there is no network card 'eth7': this host has eth0"),
        ({"hostname": "a\nb"}, "hostname", "hostname takes a name"),
        ({**FIXED, "address": "192.0.2.10/24\nDHCP=yes"}, "address", "address takes an address"),
    ],
)
def test_what_does_not_fit_is_named_with_what_would(given: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(WrongSettings) as refused:
        checked(given)
    assert set(refused.value.fields) == {key}
    assert says in refused.value.fields[key]


def test_ipv6_with_a_gateway_on_the_link() -> None:
    wanted = checked({"method": "static", "address": "2001:db8::10/64", "gateway": "fe80::1"})
    assert (wanted.address, wanted.gateway) == ("2001:db8::10/64", "fe80::1")


def test_with_several_cards_it_is_the_one_with_the_way_out_or_has_to_be_said() -> None:
    assert checked(FIXED, cards=(ETH1, ETH0)).match == "MACAddress=52:54:00:12:34:56"
    with pytest.raises(
        WrongSettings, match="interface has to say which card the address is for: this host has eth0, eth1"
    ):
        hostnet.checked(FIXED, DHCP, [ETH0, ETH1], None, INSIDE)
    chosen = hostnet.checked({**FIXED, "interface": "eth1"}, DHCP, [ETH0, ETH1], None, INSIDE)
    assert chosen.match == "MACAddress=52:54:00:12:34:57"
    vlan = Card("eth0.7", ETH0.mac, virtual=True)
    assert checked({**FIXED, "interface": "eth0.7"}, cards=(ETH0, vlan)).match == "Name=eth0.7"


def test_a_file_that_somebody_else_wrote_is_left_alone(tmp_path: Path) -> None:
    host(tmp_path, OF_THE_INSTALLER + "VLAN=eth0.7\n")
    with pytest.raises(
        AgentError, match=r"10-asrbox.network:8: 'VLAN=eth0.7' was written by somebody else \(go on by hand"
    ):
        hostnet.current(tmp_path)


def test_cards_are_not_the_appliances_cables() -> None:
    links = [
        {"ifname": "lo", "link_type": "loopback", "address": "00:00:00:00:00:00"},
        {"ifname": "eth0", "link_type": "ether", "address": ETH0.mac},
        {"ifname": "eth0.7", "link_type": "ether", "address": ETH0.mac, "linkinfo": {"info_kind": "vlan"}},
        {"ifname": "asr0", "link_type": "ether", "address": "a", "linkinfo": {"info_kind": "bridge"}},
        {"ifname": "asr0-3", "link_type": "ether", "address": "b", "master": "asr0"},
    ]
    assert cards_of(links, "asr0") == [ETH0, Card("eth0.7", ETH0.mac, virtual=True)]
