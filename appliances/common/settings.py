"""What the host tells an appliance: /etc/asrbox, read once at start (docs/architecture.md, "Inside a container")."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

DEFAULT_DIRECTORY = Path("/etc/asrbox")

Model = TypeVar("Model", bound=BaseModel)


class SettingsError(Exception):
    """The configuration given by the host is missing or wrong; the text names file and key."""


class Endpoint(BaseModel):
    """Where a daemon listens. `protocol` is tcp, udp or https; `hostname` ends in the distribution's domain.

    `address6` is its second address on hosts where IPv6 is on.
    """

    model_config = ConfigDict(frozen=True)

    address: str
    address6: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)]
    protocol: str
    hostname: str

    @property
    def url(self) -> str:
        """Base URL by address: needs no name service."""
        return self._url(self.address)

    @property
    def urls(self) -> tuple[str, ...]:
        """Base URLs by all addresses, IPv4 first."""
        return (self.url,) if self.address6 is None else (self.url, self._url(self.address6))

    def _url(self, address: str) -> str:
        host = f"[{address}]" if ":" in address else address
        return f"{self.protocol}://{host}:{self.port}"


class Distribution(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    version: str


class ApplianceFile(BaseModel):
    """appliance.json. Unknown keys are allowed: a newer agent may say more than this code needs."""

    appliance: str
    distribution: Distribution
    domain: str
    daemons: dict[str, Endpoint]
    endpoints: dict[str, Endpoint]
    published: dict[str, str]
    titles: dict[str, dict[str, str]] = {}
    host: str | None = None


class ServiceToken(BaseModel):
    """One line of service-tokens.json: which appliance holds the token, and what it may ask for."""

    appliance: str
    scopes: list[str]


@dataclass(frozen=True)
class Settings:
    """Everything below one configuration directory. Secrets are read when asked for and never kept in `repr`."""

    directory: Path
    appliance: str
    distribution: Distribution
    domain: str
    daemons: dict[str, Endpoint]
    endpoints: dict[str, Endpoint]
    published: dict[str, str] = field(default_factory=dict)  # appliance → its path behind the entry
    titles: dict[str, dict[str, str]] = field(default_factory=dict)
    host: str | None = None  # the host's address on the bridge, from which the entry calls

    @classmethod
    def load(cls, directory: Path | None = None) -> Settings:
        """Read `directory`, else the one named by ASRBOX_CONFIG, else /etc/asrbox. Raises SettingsError."""
        directory = directory or Path(os.environ.get("ASRBOX_CONFIG") or DEFAULT_DIRECTORY)
        read = _read_model(directory / "appliance.json", ApplianceFile)
        return cls(
            directory,
            read.appliance,
            read.distribution,
            read.domain,
            read.daemons,
            read.endpoints,
            read.published,
            read.titles,
            read.host,
        )

    def value(self, key: str) -> Any:
        """A setting of this appliance, as appliance.yaml declares it: a number, a text or a truth value."""
        path = self.directory / "settings.json"
        found = _read_json(path)
        if not isinstance(found, dict) or key not in found:
            raise SettingsError(f"{path}: {key}: not there; declare it in `settings` of the appliance's appliance.yaml")
        return found[key]

    @property
    def ca(self) -> Path:
        """Certificate of the host's own CA, PEM: the only one that clients of ours believe."""
        return self.directory / "tls" / "ca.crt"

    def daemon(self, name: str) -> Endpoint:
        """Where a daemon of this appliance listens."""
        return self._named("daemons", self.daemons, name)

    def endpoint(self, name: str) -> Endpoint:
        """Where `<daemon>.<appliance>` listens, as far as this appliance consumes it."""
        return self._named("endpoints", self.endpoints, name)

    def secret(self, name: str) -> str:
        """One secret of this appliance."""
        return self._line("secrets", name)

    def token(self, endpoint: str) -> str:
        """The bearer token with which this appliance calls `endpoint`."""
        return self._line("tokens", endpoint)

    def service_tokens(self) -> dict[str, ServiceToken]:
        """Who may call this appliance: sha256 hex of a token → its holder. Only `auth` has the file."""
        path = self.directory / "service-tokens.json"
        found = _read_json(path)
        if not isinstance(found, dict):
            raise SettingsError(f"{path}: expected an object of token hashes, got {type(found).__name__}")
        return {digest: _check(path, ServiceToken, value, prefix=digest) for digest, value in found.items()}

    def _named(self, key: str, table: dict[str, Endpoint], name: str) -> Endpoint:
        if name not in table:
            known = ", ".join(sorted(table)) or "none"
            raise SettingsError(
                f"{self.directory / 'appliance.json'}: {key}.{name}: not there (known: {known}); "
                f"name it in `consumes` or `daemons` of appliances/{self.appliance}/appliance.yaml"
            )
        return table[name]

    def _line(self, folder: str, name: str) -> str:
        path = self.directory / folder / name
        try:
            text = path.read_text(encoding="utf-8").strip("\r\n")
        except OSError as error:
            raise SettingsError(f"{path}: {error.strerror or error}") from error
        if not text or "\n" in text:
            raise SettingsError(f"{path}: expected one line that is not empty")
        return text


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}; the agent of the host writes it") from error
    except json.JSONDecodeError as error:
        raise SettingsError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error


def _read_model(path: Path, model: type[Model]) -> Model:
    return _check(path, model, _read_json(path))


def _check(path: Path, model: type[Model], value: object, prefix: str = "") -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(part for part in (prefix, *map(str, first["loc"])) if part)
        raise SettingsError(f"{path}: {key}: {first['msg']}") from error
