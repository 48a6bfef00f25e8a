"""The host's own network, as systemd-networkd has it on both base families: what it is, and what it may become.

The installer writes `/etc/systemd/network/10-asrbox.network`; this reads that file and makes another one. Only files
are known here; hosttrial.py brings them into force.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from appliances.base.agent.errors import AgentError, WrongSettings
from appliances.base.hostrules import HOSTNAME, wrong_gateway

FILE = "etc/systemd/network/10-asrbox.network"
HOST_NAME, HOSTS = "etc/hostname", "etc/hosts"
TIMESYNCD = "etc/systemd/timesyncd.conf.d/asrbox.conf"
TIMESYNCD_PROGRAM = "usr/lib/systemd/systemd-timesyncd"
CHRONY = "etc/chrony.conf"
HEADER = "# Made by asrctl host network, or by the page of the control panel.\n"
MOST = 3  # name servers; the resolver looks at no more
KNOWN = {"Match": {"Name", "MACAddress", "Type", "Kind"}, "Network": {"Address", "Gateway", "DHCP", "DNS"}}
KEYS = ("method", "interface", "address", "gateway", "dns", "hostname", "time_servers")
Any46Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# What a host has no address of, or no server at.
NOWHERE = ("is_loopback", "is_multicast", "is_unspecified", "is_link_local")


@dataclass(frozen=True)
class Card:
    """A network card that may be given an address."""

    name: str
    mac: str
    virtual: bool = False  # a bridge, a bond, a VLAN: its MAC address may be another's too


@dataclass(frozen=True)
class HostNetwork:
    """How the host reaches the world. `match` is the [Match] of networkd; empty lists: as DHCP or the system says."""

    method: Literal["dhcp", "static"]
    match: str
    address: str
    gateway: str
    dns: tuple[str, ...]
    hostname: str
    time_servers: tuple[str, ...]


def current(root: Path) -> HostNetwork:
    """What the files say. Raises AgentError for a file that people have changed in a way that is not ours."""
    sections = _sections(root / FILE)
    network = sections["Network"]
    address = next(iter(network.get("Address", [])), "")
    return HostNetwork(
        "static" if address else "dhcp",
        "\n".join(f"{key}={value}" for key, values in sections["Match"].items() for value in values),
        address,
        next(iter(network.get("Gateway", [])), ""),
        tuple(network.get("DNS", [])),
        _text(root / HOST_NAME).strip(),
        tuple(_time_servers(root)),
    )


def checked(
    given: Mapping[str, Any], now: HostNetwork, cards: Sequence[Card], route: str | None, inside: Sequence[Any46Network]
) -> HostNetwork:
    """What it is to become: `given` over what is `now`. `cards` are those there are, `route` the one with the way out.

    `inside` are the networks of the appliances. Raises WrongSettings: every key that does not fit, and what would.
    """
    wrong: dict[str, str] = {key: f"there is no {key!r}: {', '.join(KEYS)}" for key in given if key not in KEYS}
    method = given.get("method", now.method)
    if method not in ("dhcp", "static"):
        wrong["method"] = "method takes one of: dhcp, static"
    hostname = str(given.get("hostname", now.hostname)).strip()
    if not HOSTNAME.fullmatch(hostname):
        wrong["hostname"] = "hostname takes a name of small letters, digits and dashes, such as billing1.example.net"
    dns = _list(given.get("dns", now.dns))
    if len(dns) > MOST or not all(_host_address(one) for one in dns):
        wrong["dns"] = f"dns takes up to {MOST} addresses, such as 192.0.2.53"
    time_servers = _list(given.get("time_servers", now.time_servers))
    if len(time_servers) > 10 or not all(_host_address(one) or HOSTNAME.fullmatch(one) for one in time_servers):
        wrong["time_servers"] = "time_servers takes names or addresses, such as ntp.example.net"
    address = gateway = match = ""
    if "method" not in wrong:
        address, gateway = _addresses(method, given, now, inside, wrong)
        match = _match(method, str(given.get("interface") or ""), now, cards, route, wrong)
    if wrong:
        raise WrongSettings(wrong, appliance="network")
    return HostNetwork(method, match, address, gateway, tuple(dns), hostname, tuple(time_servers))


def files_of(root: Path, wanted: HostNetwork, now: HostNetwork) -> dict[str, str | None]:
    """Which files have to change, by their path below the root; None: it is to be removed."""
    lines = [HEADER + "[Match]", wanted.match, "", "[Network]"]
    if wanted.method == "static":
        lines += [f"Address={wanted.address}", *([f"Gateway={wanted.gateway}"] if wanted.gateway else [])]
    else:
        lines.append("DHCP=yes")
    lines += [f"DNS={one}" for one in wanted.dns]
    found: dict[str, str | None] = {}
    if _differs(wanted, now):
        found[FILE] = "\n".join(lines) + "\n"
    if wanted.hostname != now.hostname:
        found[HOST_NAME] = wanted.hostname + "\n"
        found[HOSTS] = _hosts(_text(root / HOSTS), wanted.hostname)
    if wanted.time_servers != now.time_servers:
        path, text = _time_file(root, wanted.time_servers)
        found[path] = text
    return found


def time_service(root: Path) -> str:
    """The unit that sets the clock. Raises AgentError where there is none that is known here."""
    if (root / TIMESYNCD_PROGRAM).exists():
        return "systemd-timesyncd.service"
    if (root / CHRONY).exists():
        return "chronyd.service"
    raise AgentError("there is neither systemd-timesyncd nor chrony", step="time servers")


def _differs(wanted: HostNetwork, now: HostNetwork) -> bool:
    return any(getattr(wanted, key) != getattr(now, key) for key in ("method", "match", "address", "gateway", "dns"))


def _addresses(
    method: object,
    given: Mapping[str, Any],
    now: HostNetwork,
    inside: Sequence[Any46Network],
    wrong: dict[str, str],
) -> tuple[str, str]:
    if method == "dhcp":
        for key in ("address", "gateway"):
            if given.get(key):
                wrong[key] = f"{key} is for the method static; with dhcp it comes from the network"
        return "", ""
    text = str(given.get("address", now.address) or "").strip()
    way = str(given.get("gateway", now.gateway) or "").strip()
    try:
        own = ipaddress.ip_interface(text)
    except ValueError:
        wrong["address"] = "address takes an address with its prefix length, such as 192.0.2.10/24"
        return "", ""
    network = own.network
    if "/" not in text or network.num_addresses == 1:
        wrong["address"] = f"address needs its prefix length, such as {own.ip}/24"
    elif any(getattr(own.ip, kind) for kind in NOWHERE):
        wrong["address"] = f"{own.ip} is no address that a host can have in a network"
    elif own.version == 4 and network.num_addresses > 2 and own.ip in (network[0], network[-1]):
        wrong["address"] = f"{own.ip} stands for all hosts of {network}: choose one between"
    elif taken := [one for one in inside if one.version == network.version and network.overlaps(one)]:
        wrong["address"] = f"{network} overlaps with {taken[0]}, where the appliances are"
    if not way or "address" in wrong:
        return str(own), ""
    try:
        gateway = ipaddress.ip_address(way)
    except ValueError:
        wrong["gateway"] = "gateway takes an address, such as 192.0.2.1"
        return str(own), ""
    if reason := wrong_gateway(gateway, own):
        wrong["gateway"] = reason
    return str(own), str(gateway)


def _match(
    method: object,
    interface: str,
    now: HostNetwork,
    cards: Sequence[Card],
    route: str | None,
    wrong: dict[str, str],
) -> str:
    """A fixed address is for one card, known by its MAC address; DHCP may be for all of them."""
    names = ", ".join(card.name for card in cards) or "none"
    if interface:
        chosen = next((card for card in cards if card.name == interface), None)
        if chosen is None:
            wrong["interface"] = f"there is no network card {interface!r}: this host has {names}"
            return ""
        return _of(chosen)
    if now.match and (method == "dhcp" or re.search(r"^(Name|MACAddress)=", now.match, re.MULTILINE)):
        return now.match
    if method == "dhcp":
        return "Type=ether\nKind=!*"
    usual = next((card for card in cards if card.name == route), None) or (cards[0] if len(cards) == 1 else None)
    if usual is None:
        wrong["interface"] = f"interface has to say which card the address is for: this host has {names}"
        return ""
    return _of(usual)


def _of(card: Card) -> str:
    return f"Name={card.name}" if card.virtual else f"MACAddress={card.mac}"


def card_of(network: HostNetwork, cards: Sequence[Card]) -> str:
    """Name of the card that a network is for; "" when it is for all of them, or for one that is not there."""
    key, _, value = network.match.partition("=")
    return next((one.name for one in cards if value == {"Name": one.name, "MACAddress": one.mac}.get(key)), "")


def _sections(path: Path) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {"Match": {}, "Network": {}}
    section = ""
    for number, line in enumerate(_text(path).splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith(("#", ";")):
            continue
        if text.startswith("["):
            section = text.strip("[]")
        key, _, value = text.partition("=")
        if section not in KNOWN or (not text.startswith("[") and key.strip() not in KNOWN[section]):
            raise AgentError(
                f"{path}:{number}: {text!r} was written by somebody else",
                step="host network",
                hint="go on by hand: edit the file, then networkctl reload; or take that line out",
            )
        if not text.startswith("["):
            found[section].setdefault(key.strip(), []).append(value.strip())
    return found


def _hosts(text: str, hostname: str) -> str:
    """/etc/hosts with this name; other lines stay."""
    short = hostname.split(".")[0]
    own = f"127.0.1.1 {hostname}" + (f" {short}" if short != hostname else "")
    lines = [line for line in text.splitlines() if line.split()[:1] != ["127.0.1.1"]]
    return "\n".join([*lines, own]) + "\n"


def _time_servers(root: Path) -> list[str]:
    if (root / TIMESYNCD_PROGRAM).exists():
        for line in _text(root / TIMESYNCD).splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "NTP":
                return value.split()
        return []
    words = [line.split() for line in _text(root / CHRONY).splitlines()]
    return [word[1] for word in words if len(word) > 1 and word[0] == "server"]


def _time_file(root: Path, servers: Sequence[str]) -> tuple[str, str | None]:
    """The file that names time servers. Without any, the system asks those of its distribution."""
    if time_service(root).startswith("systemd"):
        return TIMESYNCD, f"{HEADER}[Time]\nNTP={' '.join(servers)}\n" if servers else None
    lines = _text(root / CHRONY).splitlines()
    off = "#asrbox "  # a pool of the distribution's own, while servers are named
    kept = [line.removeprefix(off) for line in lines if line.split()[:1] != ["server"]]
    if servers:
        kept = [f"{off}{line}" if line.split()[:1] == ["pool"] else line for line in kept]
    return CHRONY, "\n".join([*(f"server {one} iburst" for one in servers), *kept]) + "\n"


def _host_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified)


def _list(given: object) -> list[str]:
    """Words of a text (commas and spaces apart), or the texts of a list."""
    if isinstance(given, str):
        return given.replace(",", " ").split()
    return [str(one) for one in given] if isinstance(given, list | tuple) else ["?"]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
