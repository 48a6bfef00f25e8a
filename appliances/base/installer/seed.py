"""The answer file `seed.toml`: everything the installer would otherwise ask on the console."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from appliances.base.hostrules import ACCOUNT, HASH, HOSTNAME, SSH_KEY, TAKEN, wrong_gateway
from appliances.base.installer.errors import Problem
from appliances.base.installer.timezones import is_timezone
from appliances.base.installer.tomllines import Key, key_lines, line_of

UNITS = {"B": 1, "MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
INTERFACE = re.compile(r"^(link|([0-9a-f]{2}:){5}[0-9a-f]{2}|[a-z][a-z0-9_.-]{0,14})$")
KERNEL_ARGUMENT = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(=[A-Za-z0-9_.,:;/@+=-]*)?$")
OWN_KERNEL_ARGUMENTS = {"root", "ro", "rw", "init", "rd.lvm.lv"}

HINTS = {
    "hostname": 'write a name of small letters, digits and dashes, for example "billing1.example.net"',
    "network.interface": 'write "link", a name such as "eno1", or a MAC address such as "52:54:00:12:34:56"',
    "network.address": 'write the address with its prefix length, for example "192.0.2.10/24"',
    "network.gateway": 'write an address inside the network of `address`, for example "192.0.2.1"',
    "network.dns": 'write a list of addresses, for example ["192.0.2.53"]',
    "disk.size_min": 'write a size with its unit, for example "100GB" or "64GiB"',
    "disk.size_max": 'write a size with its unit, for example "100GB" or "64GiB"',
    "disk.path": 'write a device, for example "/dev/sda" or "/dev/disk/by-id/…"',
    "admin.name": "write a name of small letters, digits, `-` and `_` that the system does not use itself",
    "admin.password_hash": "make one with `openssl passwd -6` and put the line it prints in single quotes",
    "admin.ssh_keys": "copy the whole line of a public key file, for example ~/.ssh/id_ed25519.pub",
    "kernel_arguments": 'write a list of words, for example ["iommu=pt", "console=ttyS1,115200"]',
    "ipv6": "write true or false",
    "timezone": 'write a name of the time zone database, for example "Europe/Moscow"',
    "language": 'write "ru" or "en"',
}


class SeedError(Exception):
    """The answer file cannot be used: `problems` tells each mistake with its line, key, message and hint."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def parse_bytes(value: object) -> object:
    """A size written by a person ("100GB", "64GiB") in bytes; an integer is taken as bytes."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", value.strip())
    if not found or found.group(2) not in UNITS:
        raise ValueError(f"{value!r} is not a size")
    return int(float(found.group(1)) * UNITS[found.group(2)])


def _hostname(value: str) -> str:
    if not HOSTNAME.match(value):
        raise ValueError(f"{value!r} is not a host name")
    return value


def _timezone(value: str) -> str:
    if not is_timezone(value):
        raise ValueError(f"{value!r} is not a known time zone")
    return value


def _interface(value: str) -> str:
    if not INTERFACE.match(value.lower() if ":" in value else value):
        raise ValueError(f"{value!r} is neither a name of an interface nor a MAC address")
    return value.lower() if ":" in value else value


def _account(value: str) -> str:
    if not ACCOUNT.match(value):
        raise ValueError(f"{value!r} is not a name of an account")
    if value in TAKEN:
        raise ValueError(f"the system has an account {value!r} of its own")
    return value


def _hash(value: str) -> str:
    if not HASH.match(value):
        raise ValueError("this is not a password hash")
    return value


def _ssh_key(value: str) -> str:
    if not SSH_KEY.match(value.strip()):
        raise ValueError(f"{value[:40]!r} is not a public SSH key")
    return value.strip()


def _kernel_argument(value: str) -> str:
    if not KERNEL_ARGUMENT.match(value):
        raise ValueError(f"{value!r} is not one argument of a kernel command line")
    if (name := value.partition("=")[0]) in OWN_KERNEL_ARGUMENTS:
        raise ValueError(f"the installer itself decides on the kernel's argument {name!r}")
    return value


def _path(value: str) -> str:
    if not re.fullmatch(r"/dev/[A-Za-z0-9_.:/+-]+", value):
        raise ValueError(f"{value!r} is not a device")
    return value


Size = Annotated[int, BeforeValidator(parse_bytes), Field(gt=0)]


class Part(BaseModel):
    """A table of the answer file: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Network(Part):
    """How the host reaches the world."""

    method: Literal["dhcp", "static"] = "dhcp"
    interface: Annotated[str, AfterValidator(_interface)] = "link"
    address: ipaddress.IPv4Interface | None = None
    gateway: ipaddress.IPv4Address | None = None
    dns: tuple[ipaddress.IPv4Address, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Network:
        if self.method == "dhcp" and (self.address or self.gateway):
            raise ValueError('address and gateway are for method = "static", but the method is "dhcp"')
        if self.method == "static" and self.address is None:
            raise ValueError('method = "static" needs an address')
        if self.address and self.address.network.prefixlen == 32:
            raise ValueError(f"the address {self.address.ip} has no prefix length")
        if self.gateway and self.address and (reason := wrong_gateway(self.gateway, self.address)):
            raise ValueError(reason)
        return self


class DiskSelector(Part):
    """Which disk to install on: all given conditions hold for it. Sizes in bytes. `erase` permits to destroy data."""

    serial: str | None = None
    wwn: str | None = None
    path: Annotated[str, AfterValidator(_path)] | None = None
    size_min: Size | None = None
    size_max: Size | None = None
    erase: str | None = None

    @model_validator(mode="after")
    def _range(self) -> DiskSelector:
        if self.size_min and self.size_max and self.size_min > self.size_max:
            raise ValueError("size_min is larger than size_max")
        return self

    @property
    def empty(self) -> bool:
        """True when no condition is given: then the only candidate is taken."""
        return not (self.serial or self.wwn or self.path or self.size_min or self.size_max)


class Admin(Part):
    """The account that administers the host; root itself is locked."""

    name: Annotated[str, AfterValidator(_account)] = "admin"
    password_hash: Annotated[str, AfterValidator(_hash)] | None = None
    ssh_keys: tuple[Annotated[str, AfterValidator(_ssh_key)], ...] = ()

    @model_validator(mode="after")
    def _can_log_in(self) -> Admin:
        if not self.password_hash and not self.ssh_keys:
            raise ValueError("the administrator could not log in: neither password_hash nor ssh_keys is given")
        return self


class Seed(Part):
    """All answers. With `unattended = false` the installer shows what it will erase and waits for a word typed."""

    hostname: Annotated[str, AfterValidator(_hostname)] = "asrbox"
    language: Literal["ru", "en"] | None = None
    timezone: Annotated[str, AfterValidator(_timezone)] | None = None
    appliances: tuple[str, ...] | None = None
    ipv6: bool = False
    unattended: bool = True
    finish: Literal["reboot", "poweroff"] = "reboot"
    kernel_arguments: tuple[Annotated[str, AfterValidator(_kernel_argument)], ...] = ()
    network: Network = Network()
    disk: DiskSelector = DiskSelector()
    admin: Admin


def check_text(text: str, known_appliances: Collection[str], has_ipv6: bool = True) -> Seed:
    """Parse and check an answer file. Raises SeedError with every mistake: line, key, message, hint.

    `has_ipv6`: whether the distribution has IPv6 addresses for its appliances.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SeedError([_syntax_problem(str(error), text)]) from error
    lines = key_lines(text)
    problems: list[Problem] = []
    seed: Seed | None = None
    try:
        seed = Seed.model_validate(values)
    except ValidationError as error:
        problems += [_problem(item["loc"], item["type"], item["msg"], item["input"], lines) for item in error.errors()]
    named = values.get("appliances")
    for name in named if isinstance(named, list) else []:
        if isinstance(name, str) and name not in known_appliances:
            known = ", ".join(sorted(known_appliances))
            problems.append(
                Problem(
                    f"there is no appliance {name!r}", f"known here: {known}", lines.get(("appliances",)), "appliances"
                )
            )
    if seed is not None and seed.ipv6 and not has_ipv6:
        hint = "leave it out, or build the ISO with a network.range6"
        problems.append(Problem("this distribution has no IPv6 addresses", hint, lines.get(("ipv6",)), "ipv6"))
    if problems or seed is None:
        raise SeedError(sorted(problems, key=lambda problem: problem.line or 0))
    return seed


def _syntax_problem(message: str, text: str) -> Problem:
    found = re.search(r"\(at line (\d+), column (\d+)\)", message)
    line = int(found.group(1)) if found else len(text.splitlines())
    return Problem(f"not valid TOML: {message.split(' (at ')[0]}", "see kickstart/seed.example.toml", line)


def _problem(location: tuple[int | str, ...], kind: str, message: str, given: object, lines: dict[Key, int]) -> Problem:
    path: Key = tuple(part for part in location if isinstance(part, str))
    key = ".".join(path)
    line = line_of(lines, path)
    if kind == "extra_forbidden":
        tables: dict[str, type[BaseModel]] = {"network": Network, "disk": DiskSelector, "admin": Admin}
        model = tables.get(path[0], Seed) if path[1:] else Seed
        return Problem(f"unknown key {path[-1]!r}", f"known here: {', '.join(sorted(model.model_fields))}", line, key)
    if kind == "missing":
        return Problem(f"the key {key} is missing", _hint(key or "admin"), line, key)
    if kind == "value_error":
        return Problem(message.removeprefix("Value error, "), _hint(key), line, key or None)
    return Problem(f"{given!r} does not fit: {message[0].lower()}{message[1:]}", _hint(key), line, key)


def _hint(key: str) -> str:
    if key == "network":
        return "put method, address, gateway and dns of [network] in agreement"
    if key == "admin":
        return "add password_hash or ssh_keys to the table [admin]"
    return HINTS.get(key, "see kickstart/seed.example.toml")
