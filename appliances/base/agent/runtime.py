"""What an appliance is told: the folder that it sees read-only as /etc/asrbox."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

from appliances.base.agent import ca, files, secretstore, tokens
from appliances.base.agent.distribution import (
    AGENT_ENDPOINT,
    AGENT_PORT,
    Appliance,
    Daemon,
    Distribution,
    PublishedPath,
)
from appliances.base.agent.paths import ASRBOX_GID, Paths
from appliances.base.agent.settings import Value

AUTH = "auth"


@dataclass
class Renderer:
    """Writes the runtime folders of one distribution.

    `owner_base` is added to every owner: 0 where the kernel maps the mount (shift), else the first host id of the
    containers' id map.
    """

    paths: Paths
    distribution: Distribution
    authority: ca.Authority
    service_tokens: list[tokens.ServiceToken]
    owner_base: int = 0
    _written: set[Path] = field(default_factory=set)

    def render(self, appliance: Appliance, settings: dict[str, Value]) -> set[str]:
        """Bring the folder of an appliance up to date; returns the daemons whose certificate changed.

        Daemons that have to start anew for a changed setting are noted in `paths.restarts` before it changes.

        Every file is replaced at once or not at all, and files that no longer belong there go last.
        """
        top = self._folder(files.folder(self.paths.runtime, mode=0o711) / appliance.name)
        self._written = set()
        self._plain(top / "appliance.json", self._appliance_json(appliance))
        self._plain(top / "hosts", self._hosts(appliance))
        self._settings(top, appliance, settings)
        self._plain(self._folder(top / "tls") / "ca.crt", self.authority.pem)
        for daemon in appliance.daemons:
            self._plain(self._folder(top / "daemons") / f"{daemon.name}.env", _environment(appliance, daemon))
        for name, value in secretstore.ensure(self.paths.secrets, appliance).items():
            self._private(self._folder(top / "secrets") / name, value)
        for token in self.service_tokens:
            if token.appliance == appliance.name:
                self._private(self._folder(top / "tokens") / token.endpoint, token.token)
        if appliance.name == AUTH:
            self._private_json(top / "service-tokens.json", tokens.known_to_auth(self.service_tokens))
        changed = {daemon.name for daemon in appliance.daemons if self._certificate(top / "tls", daemon)}
        _remove_others(top, self._written)
        return changed

    def remove(self, appliance: str) -> None:
        """Forget the folder of an appliance that no longer exists."""
        shutil.rmtree(self.paths.runtime / appliance, ignore_errors=True)

    def _settings(self, top: Path, appliance: Appliance, values: dict[str, Value]) -> None:
        """A secret goes into a file of its own; among the others stands whether there is one."""
        path = top / "settings.json"
        try:
            before = json.loads(path.read_text())
        except (OSError, ValueError):
            before = {}
        secrets = secretstore.entered(self.paths.secrets, appliance, values)
        told = {**values, **{key: bool(secret) for key, secret in secrets.items()}}
        for setting in appliance.settings:
            key = setting.key
            if setting.kind == "secret":
                changed = _text(top / "secrets" / key) != secrets[key]
            else:
                changed = before.get(key, setting.default) != values[key]
            for daemon in setting.restart if changed else []:
                files.write(files.folder(self.paths.restarts, mode=0o700) / f"{appliance.name}.{daemon}", "")
        for key, secret in secrets.items():
            if secret:
                self._private(self._folder(top / "secrets") / key, secret)
        self._plain(path, told)

    def _certificate(self, folder: Path, daemon: Daemon) -> bool:
        """What a daemon is known by to its neighbours and to the entry; whether it is a new one."""
        certificate, key = folder / f"{daemon.name}.crt", folder / f"{daemon.name}.key"
        changed = self.authority.ensure(
            certificate,
            key,
            ca.subject_of([daemon.hostname], [str(address) for address in daemon.addresses]),
            mode=0o640,
            gid=self.owner_base + ASRBOX_GID,
            gone=self.distribution.network.gone6,
        )
        self._private(key, key.read_bytes())
        self._plain(certificate, certificate.read_bytes())
        return changed

    def _appliance_json(self, appliance: Appliance) -> dict[str, Any]:
        own = {daemon.name: _endpoint(daemon) for daemon in appliance.daemons}
        endpoints = {f"{name}.{appliance.name}": endpoint for name, endpoint in own.items()}
        for endpoint in appliance.consumes:
            endpoints[endpoint] = self._consumed(endpoint)
        return {
            "appliance": appliance.name,
            "distribution": {"name": self.distribution.name, "version": self.distribution.version},
            "domain": self.distribution.network.domain,
            "daemons": own,
            "endpoints": endpoints,
            "host": str(self.distribution.network.host),
            "published": self._published(),
            "titles": {one.name: dict(one.title) for one in self.distribution.appliances},
        }

    def _consumed(self, endpoint: str) -> dict[str, Any]:
        if endpoint == AGENT_ENDPOINT:
            network = self.distribution.network
            hostname = f"{AGENT_ENDPOINT}.{network.domain}"
            return {
                "address": str(network.host),
                **_second(network.host6),
                "port": AGENT_PORT,
                "protocol": "https",
                "hostname": hostname,
            }
        return _endpoint(self.distribution.endpoint(endpoint)[1])

    def _published(self) -> dict[str, str]:
        """Paths behind the entry, by appliance; of several daemons the first one counts."""
        published: dict[str, str] = {}
        for one in self.distribution.published():
            if isinstance(one.at, PublishedPath):
                published.setdefault(one.appliance.name, one.at.path)
        return published

    def _hosts(self, appliance: Appliance) -> str:
        network = self.distribution.network
        lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
        for host in (network.host, network.host6) if network.host6 else (network.host,):
            lines.append(f"{host} {AGENT_ENDPOINT}.{network.domain}")
        for one in self.distribution.appliances:
            for index, daemon in enumerate(one.daemons):
                own_name = f" {one.instance}" if one.name == appliance.name and index == 0 else ""
                lines += [f"{address} {daemon.hostname}{own_name}" for address in daemon.addresses]
        return "\n".join(lines) + "\n"

    def _folder(self, path: Path) -> Path:
        return files.folder(path, uid=self.owner_base, gid=self.owner_base)

    def _plain(self, path: Path, content: str | bytes | dict[str, Any]) -> None:
        self._written.add(path)
        owner = {"uid": self.owner_base, "gid": self.owner_base}
        if isinstance(content, dict):
            files.write_json(path, content, **owner)
        else:
            files.write(path, content, **owner)

    def _private(self, path: Path, content: str | bytes) -> None:
        self._written.add(path)
        files.write(path, content, mode=0o640, uid=self.owner_base, gid=self.owner_base + ASRBOX_GID)

    def _private_json(self, path: Path, content: Any) -> None:
        self._written.add(path)
        files.write_json(path, content, mode=0o640, uid=self.owner_base, gid=self.owner_base + ASRBOX_GID)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _environment(appliance: Appliance, daemon: Daemon) -> str:
    return (
        f"ASRBOX_APPLIANCE={appliance.name}\n"
        f"ASRBOX_DAEMON={daemon.name}\n"
        f"ASRBOX_ADDRESS={daemon.address}\n"
        + (f"ASRBOX_ADDRESS6={daemon.address6}\n" if daemon.address6 else "")
        + f"ASRBOX_PORT={daemon.port}\n"
    )


def _endpoint(daemon: Daemon) -> dict[str, Any]:
    return {
        "address": str(daemon.address),
        **_second(daemon.address6),
        "port": daemon.port,
        "protocol": daemon.protocol,
        "hostname": daemon.hostname,
    }


def _second(address6: IPv6Address | None) -> dict[str, str]:
    return {} if address6 is None else {"address6": str(address6)}


def _remove_others(top: Path, written: Iterable[Path]) -> None:
    keep = set(written)
    for path in sorted(top.rglob("*")):
        if not path.is_dir() and path not in keep:
            path.unlink()
