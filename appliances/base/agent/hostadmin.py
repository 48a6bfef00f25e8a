"""What the API asks of the host itself: its network on trial, and who may log in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from appliances.base.agent import hostnet, hostpeople, outside
from appliances.base.agent.audit import Record
from appliances.base.agent.errors import AgentError, UnknownName
from appliances.base.agent.hostnet import Any46Network, Card, HostNetwork
from appliances.base.agent.hosttrial import TRIAL, Change, Networkd, Trial

SHOWN = ("method", "address", "gateway", "dns", "hostname", "time_servers")
ACTIONS: dict[str, Callable[[str], None]] = {
    "lock": hostpeople.lock,
    "unlock": hostpeople.unlock,
    "remove": hostpeople.remove,
}


class HostAdmin:
    """The host below `root`. `plan()` says networks and bridge of the appliances; `record` writes the journal."""

    def __init__(
        self, root: Path, state: Path, plan: Callable[[], tuple[Sequence[Any46Network], str]], record: Record
    ) -> None:
        self._root = root
        self._plan = plan
        self._record = record
        self.trial = Trial(
            state, root, Networkd(), lambda author, what, details: record(author, "host", "", what, details)
        )

    def network(self) -> dict[str, Any]:
        """What the network is, which cards there are, what is on trial; `by_hand`: why it is not changed here."""
        cards = self._cards()
        answer: dict[str, Any] = dict.fromkeys(SHOWN, "") | {"dns": [], "time_servers": [], "interface": ""}
        answer |= {"cards": [{"name": one.name, "mac": one.mac} for one in cards], "by_hand": None}
        answer |= {"trial": self.trial.read(), "trouble": self.trial.trouble}
        try:
            now = hostnet.current(self._root)
        except AgentError as error:
            return {**answer, "by_hand": error.sentence()}
        return {**answer, **_shown(now), "interface": hostnet.card_of(now, cards)}

    def change_network(self, given: Mapping[str, Any], author: str) -> dict[str, Any]:
        """Put a change on trial. Raises WrongSettings, AgentError; then nothing changes."""
        now = hostnet.current(self._root)
        inside, _ = self._plan()
        wanted = hostnet.checked(given, now, self._cards(), _way_out(), inside)
        files = hostnet.files_of(self._root, wanted, now)
        if not files:
            raise AgentError("the network is like this already", step="host network")
        names_clock = wanted.time_servers != now.time_servers
        differences = _differences(now, wanted)
        self.trial.begin(
            Change(
                files,
                wanted.hostname if wanted.hostname != now.hostname else None,
                hostnet.time_service(self._root) if names_clock else None,
                _shown(wanted),
                author,
            )
        )
        self._record(author, "host", "", "network on trial", {"settings": differences})
        return {"seconds": round(TRIAL)}

    def confirm_network(self, author: str) -> dict[str, Any]:
        return self.trial.confirm(author)

    def revert_network(self, author: str) -> None:
        self.trial.revert(author)

    def people(self) -> list[dict[str, Any]]:
        return [hostpeople.shown(one) for one in hostpeople.listed(self._root)]

    def add_person(
        self, name: str, keys: Sequence[str], password_hash: str | None, administrator: bool, author: str
    ) -> list[dict[str, Any]]:
        """Let somebody in. Raises WrongSettings, AgentError."""
        hostpeople.add(name, keys, password_hash, administrator)
        details = {
            "administrator": administrator,
            "password": password_hash is not None,
            "keys": [hostpeople.short(key) for key in keys],
        }
        self._record(author, "host", "", "person added", {"names": [name], **details})
        return self.people()

    def set_keys(self, name: str, keys: Sequence[str], author: str) -> list[dict[str, Any]]:
        """Other keys for somebody. Raises WrongSettings, UnknownName, AgentError."""
        before = {one.name: one for one in hostpeople.listed(self._root)}.get(name)
        hostpeople.set_keys(name, keys)
        was = ", ".join(hostpeople.short(key) for key in before.keys) if before else ""
        change = {"before": was, "after": ", ".join(hostpeople.short(key) for key in keys)}
        self._record(author, "host", "", "person keys", {"names": [name], "settings": {"keys": change}})
        return self.people()

    def act_on_person(self, name: str, action: str, author: str) -> list[dict[str, Any]]:
        """lock, unlock or remove. Raises UnknownName, AgentError."""
        if action not in ACTIONS:
            raise UnknownName(f"there is no action {action!r}", hint=f"it is one of: {', '.join(ACTIONS)}")
        ACTIONS[action](name)
        self._record(author, "host", "", f"person {action}", {"names": [name]})
        return self.people()

    def _cards(self) -> list[Card]:
        _, bridge = self._plan()
        return cards_of(outside.ip("-details", "address", "show"), bridge)


def cards_of(links: Sequence[Mapping[str, Any]], bridge: str) -> list[Card]:
    """Devices out of `ip -json -details address` that may have an address of the host's: not the appliances' ones."""
    return [
        Card(str(link["ifname"]), str(link["address"]), bool(link.get("linkinfo", {}).get("info_kind")))
        for link in links
        if link.get("link_type") == "ether" and link.get("ifname") != bridge and "master" not in link
    ]


def _way_out() -> str | None:
    routes = [*outside.ip("-4", "route", "show", "default"), *outside.ip("-6", "route", "show", "default")]
    return next((str(one["dev"]) for one in routes if "dev" in one), None)


def _shown(network: HostNetwork) -> dict[str, Any]:
    found = {key: getattr(network, key) for key in SHOWN}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def _differences(now: HostNetwork, wanted: HostNetwork) -> dict[str, Any]:
    keys = (*SHOWN, "match")
    found = {}
    for key in keys:
        before, after = getattr(now, key), getattr(wanted, key)
        if before != after:
            found[key] = {"before": _text(before), "after": _text(after)}
    return found


def _text(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value).replace("\n", ", ")
