"""The dialogue on the console: what an answer file would say, asked in Russian or English."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from appliances.base.hostrules import ACCOUNT, HOSTNAME, SSH_KEY, TAKEN, wrong_gateway
from appliances.base.installer.disks import Block
from appliances.base.installer.links import Link
from appliances.base.installer.seed import Seed
from appliances.base.installer.texts import texts
from appliances.base.installer.timezones import is_timezone

T = TypeVar("T")


class Terminal(Protocol):
    """What the dialogue needs: see `console.Consoles`."""

    def say(self, text: str = "") -> None: ...

    def ask(self, prompt: str, *, secret: bool = False) -> str: ...


@dataclass(frozen=True)
class Offer:
    """What is proposed and can be chosen from: `disks` are the suitable ones; `hash_password` makes a crypt hash."""

    title: str
    version: str
    language: str
    timezone: str
    appliances: tuple[str, ...]
    links: tuple[Link, ...]
    disks: tuple[Block, ...]
    hash_password: Callable[[str], str]


class Dialogue:
    """One conversation. `ask()` gives the answers; they are confirmed for exactly the disk that was shown."""

    def __init__(self, terminal: Terminal, offer: Offer) -> None:
        self.terminal = terminal
        self.offer = offer
        self.texts: Mapping[str, str] = {}

    def ask(self) -> Seed:
        """Ask everything, show what will be erased, and return the confirmed answers."""
        language = self._language()
        self.texts = texts(language)
        self.terminal.say(self._text("welcome", title=self.offer.title, version=self.offer.version))
        answers: dict[str, Any] = {
            "language": language,
            "hostname": self._until("hostname", "asrbox", _check(lambda value: bool(HOSTNAME.match(value)))),
            "network": self._network(),
            "timezone": self._until("timezone", self.offer.timezone, _check(is_timezone)),
            "admin": self._admin(),
            "appliances": self._appliances(),
        }
        disk = self._disk()
        self._confirm(disk, answers)
        answers["disk"] = {"path": disk.path, "erase": disk.word if disk.contents else None}
        self.terminal.say(self._text("start"))
        return Seed.model_validate(answers)

    def confirm(self, disk: Block, seed: Seed) -> None:
        """Only the last question, for an answer file that says `unattended = false`."""
        self.texts = texts(seed.language or self.offer.language)
        self._confirm(disk, seed.model_dump(mode="json", exclude_none=True))
        self.terminal.say(self._text("start"))

    def _language(self) -> str:
        default = "2" if self.offer.language.startswith("ru") else "1"
        while True:
            answer = self.terminal.ask(f"\nLanguage / Язык: 1 = English, 2 = Русский [{default}]: ").strip() or default
            if answer in ("1", "2"):
                return {"1": "en", "2": "ru"}[answer]

    def _network(self) -> dict[str, Any]:
        method = self._until("method", "1", _check(lambda value: value in ("1", "2")))
        if method == "1":
            return {"method": "dhcp"}
        links = self.offer.links
        interface = "link"
        if len(links) > 1:
            self.terminal.say(self._text("interfaces"))
            for number, link in enumerate(links, start=1):
                state = self._text("carrier" if link.carrier else "no_carrier")
                self.terminal.say(
                    self._text("interface_line", number=number, name=link.name, mac=link.mac, state=state)
                )
            first = next((str(number) for number, link in enumerate(links, start=1) if link.carrier), "1")
            interface = links[self._number("interface", first, len(links))].name
        elif links:
            interface = links[0].name
        address = self._until("address", "", _interface_address)
        gateway = self._until(
            "gateway", str(next(address.network.hosts())), _gateway(address), network=str(address.network)
        )
        dns = self._until("dns", str(gateway), _addresses)
        return {
            "method": "static",
            "interface": interface,
            "address": str(address),
            "gateway": str(gateway),
            "dns": dns,
        }

    def _admin(self) -> dict[str, Any]:
        name = self._until("admin", "admin", _check(lambda value: bool(ACCOUNT.match(value)) and value not in TAKEN))
        key = self._until("ssh_key", "", _check(lambda value: not value or bool(SSH_KEY.match(value))), name=name)
        return {"name": name, "password_hash": self._password(name), "ssh_keys": [key] if key else []}

    def _password(self, name: str) -> str:
        while True:
            first = self.terminal.ask(self._text("password", name=name), secret=True)
            if len(first) < 8:
                self.terminal.say(self._text("password_short"))
            elif first != self.terminal.ask(self._text("password_again"), secret=True):
                self.terminal.say(self._text("password_differs"))
            else:
                return self.offer.hash_password(first)

    def _appliances(self) -> list[str] | None:
        known = self.offer.appliances

        def names(answer: str) -> list[str]:
            chosen = answer.replace(",", " ").split()
            if not set(chosen) <= set(known):
                raise ValueError
            return chosen

        return self._until("appliances", "", names, known=", ".join(known)) or None

    def _disk(self) -> Block:
        self.terminal.say(self._text("disks"))
        for number, disk in enumerate(self.offer.disks, start=1):
            holds = self._text("disk_holds", contents=", ".join(disk.contents)) if disk.contents else ""
            self.terminal.say(
                self._text("disk_line", number=number, disk=disk, contents=holds or self._text("disk_empty"))
            )
        return self.offer.disks[self._number("disk", "1", len(self.offer.disks))]

    def _confirm(self, disk: Block, answers: Mapping[str, Any]) -> None:
        self.terminal.say(self._summary(disk, answers))
        if disk.contents:
            word = disk.word
            contents = "\n".join(f"  {item}" for item in disk.contents)
            question = self._text("confirm_data", contents=contents, word=word)
        else:
            word = self._text("yes")
            question = self._text("confirm_empty")
        while self.terminal.ask(question).strip().lower() != word.lower():
            self.terminal.say(self._text("confirm_wrong", word=word))

    def _summary(self, disk: Block, answers: Mapping[str, Any]) -> str:
        network = answers.get("network", {})
        return self._text(
            "summary",
            hostname=answers.get("hostname", ""),
            network=network.get("address") or "DHCP",
            timezone=answers.get("timezone") or self.offer.timezone,
            admin=answers["admin"]["name"],
            appliances=", ".join(answers.get("appliances") or ()) or self._text("all"),
            disk=disk,
        )

    def _number(self, question: str, default: str, count: int) -> int:
        allowed = [str(number) for number in range(1, count + 1)]
        return int(self._until(question, default, _check(lambda value: value in allowed))) - 1

    def _until(self, question: str, default: str, read: Callable[[str], T], /, **values: object) -> T:
        """Ask until `read` takes the answer; it raises ValueError when the answer is no good."""
        while True:
            answer = self.terminal.ask(self._text(question, default=default, **values)).strip() or default
            try:
                return read(answer)
            except ValueError:
                self.terminal.say(self._text(f"{question}_wrong", **values))

    def _text(self, name: str, /, **values: object) -> str:
        return self.texts[name].format(**values)


def _check(holds: Callable[[str], bool]) -> Callable[[str], str]:
    def read(answer: str) -> str:
        if not holds(answer):
            raise ValueError
        return answer

    return read


def _interface_address(answer: str) -> ipaddress.IPv4Interface:
    address = ipaddress.IPv4Interface(answer)
    if address.network.prefixlen > 30:
        raise ValueError
    return address


def _gateway(address: ipaddress.IPv4Interface) -> Callable[[str], ipaddress.IPv4Address]:
    def read(answer: str) -> ipaddress.IPv4Address:
        gateway = ipaddress.IPv4Address(answer)
        if wrong_gateway(gateway, address):
            raise ValueError
        return gateway

    return read


def _addresses(answer: str) -> Sequence[str]:
    return [str(ipaddress.IPv4Address(part)) for part in answer.replace(",", " ").split()]
