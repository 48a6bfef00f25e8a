"""The typed models of every YAML file of a distribution.

The same models give validation, JSON Schema (`asrbox schema`), docs/manifest.md and the resolved `distribution.json`
that the agent reads. What a single file cannot know (clashes, missing roles) is checked in `resolve.py`.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from appliances.base.agent import settings
from builder.yamlfile import YamlFile, parse

NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}


def parse_size(value: object) -> int:
    """ "4GiB" → bytes. Raises ValueError for anything but a whole positive number with a unit."""
    if isinstance(value, str) and (found := re.fullmatch(r"(\d+)\s*(B|KiB|MiB|GiB|TiB)", value)):
        size = int(found[1]) * UNITS[found[2]]
        if size > 0:
            return size
    raise ValueError(f"a size such as 512MiB or 4GiB is expected, not {value!r}")


def format_size(size: int) -> str:
    """Bytes → the shortest exact form with a unit, such as "4GiB"."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size >= UNITS[unit] and size % UNITS[unit] == 0:
            return f"{size // UNITS[unit]}{unit}"
    return f"{size}B"


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(f"a name is lower case letters, digits and _, beginning with a letter, not {value!r}")
    return value


def _day(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime.date) else value


def _range(value: str) -> str:
    network = ipaddress.IPv4Network(value)
    if network.prefixlen > 23:
        raise ValueError(f"the range needs room for at least two /24 blocks: /23 or larger, not /{network.prefixlen}")
    return str(network)


def _range6(value: str) -> str:
    try:
        network = ipaddress.IPv6Network(value)
    except (ipaddress.AddressValueError, ipaddress.NetmaskValueError):
        raise ValueError(f"{value!r} is not an IPv6 network such as fd12:3456:789a::/56") from None
    if network.prefixlen > 63:
        raise ValueError(f"the range needs room for at least two /64 blocks: /56 or so, not /{network.prefixlen}")
    return str(network)


Size = Annotated[int, BeforeValidator(parse_size), Field(json_schema_extra={"type": "string", "examples": ["4GiB"]})]
Name = Annotated[str, AfterValidator(_name)]
Range = Annotated[str, AfterValidator(_range)]
Range6 = Annotated[str, AfterValidator(_range6)]
SecretName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
AbsolutePath = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/-]+$")]
Day = Annotated[str, BeforeValidator(_day), Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
PackageLists = dict[Literal["debian", "el"], list[str]]


class Model(BaseModel):
    """Unknown keys are mistakes; nothing changes after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Text(Model):
    """One text in the two languages of every page."""

    en: str = Field(description="English")
    ru: str = Field(description="Russian")


class Network(Model):
    """The network plan of the host: one bridge, one /24 block per appliance."""

    range: Range = Field(description="IPv4 network that is cut into /24 blocks")
    range6: Range6 | None = Field(
        default=None,
        description="IPv6 network that is cut into /64 blocks, unique-local or global unicast; used on hosts where "
        "it is switched on (`network` of plan.yaml)",
    )
    bridge: str = Field(default="asr0", pattern=r"^[a-z][a-z0-9]{1,14}$", description="name of the bridge")
    domain: str = Field(default="asrbox.internal", pattern=r"^[a-z0-9.-]+$", description="domain of endpoint names")


class Install(Model):
    """What the installer does when nobody says otherwise."""

    volume_group: str = Field(default="asrbox", pattern=r"^[a-z][a-z0-9_]{0,30}$", description="LVM volume group")
    root_size: Size = Field(description="size of the host's root volume")
    minimum_disk: Size = Field(description="smaller disks are refused")
    pool: str = Field(default="containers", pattern=r"^[a-z][a-z0-9_]{0,30}$", description="LVM thin pool of the rest")
    timezone: str = Field(default="Etc/UTC", description="time zone, as in /usr/share/zoneinfo")
    language: str = Field(default="ru_RU.UTF-8", description="locale of the host")


class Distribution(Model):
    """distro/<name>.yaml: what is shipped."""

    distribution: Name = Field(description="name of the distribution")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="version, three numbers")
    released: Day = Field(description="every timestamp of the build is this day, 00:00 UTC")
    base: str = Field(description="package base: a file in distro/bases/")
    title: Text = Field(description="what people call it")
    network: Network = Field(description="the network plan")
    appliances: dict[Name, Annotated[int, Field(ge=1, le=254)]] = Field(
        description="appliance → number of its /24 block in the range; block 0 is the host's"
    )
    install: Install = Field(description="defaults of the installer")


class Suite(Model):
    """One suite of a Debian archive."""

    suite: str = Field(description="name of the suite")
    archive: str = Field(description="last part of the mirror's address, such as debian or debian-security")
    components: list[str] = Field(description="components to take packages from")


class BaseManifest(Model):
    """What the bases of every family say of themselves."""

    base: str = Field(description="name of the base")
    family: Literal["debian", "el"] = Field(description="which package back end")
    title: str = Field(description="what people call it")
    architecture: str = Field(description="architecture in the words of the packages")
    python: str = Field(pattern=r"^3\.\d+$", description="version of the base's Python, for wheels")
    interpreter: str = Field(
        default="python3", pattern=r"^python3(\.\d+)?$", description="name of that Python below /usr/bin"
    )
    python_locks: str | None = Field(
        default=None, description="base whose locks of Python parts serve this one too; nothing: its own"
    )


class DebianManifest(BaseManifest):
    """distro/bases/<base>.yaml with `family: debian`: where packages come from and how they are trusted."""

    family: Literal["debian"] = Field(description="which package back end")
    keyrings: list[str] = Field(description="keyrings that may sign the archives")
    suites: list[Suite] = Field(description="suites, most important last")


class Key(Model):
    """One OpenPGP key, pinned by its fingerprint; it comes from `file` or from `url`."""

    fingerprint: str = Field(pattern=r"^[0-9A-F]{40}$", description="fingerprint of the primary key")
    file: str | None = Field(default=None, pattern=r"^distro/keys/", description="the key, in this checkout")
    url: str | None = Field(default=None, pattern=r"^https://", description="where the key is published")

    @model_validator(mode="after")
    def _one_place(self) -> Key:
        if (self.file is None) == (self.url is None):
            raise ValueError("a key comes from either `file` or `url`")
        return self


class Repository(Model):
    """One RPM repository."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", description="its name in the lock, and its folder on a mirror")
    url: str = Field(pattern=r"^https?://", description="where it is published: the folder that holds repodata/")
    on_mirrors: list[str] = Field(
        default=[], description="other folders below a --mirror that may hold it, such as BaseOS/x86_64/os"
    )
    keys: list[Key] = Field(min_length=1, description="keys that may sign its packages")
    exclude: list[str] = Field(default=[], description="packages that are never taken from it, such as zabbix*")


class ElManifest(BaseManifest):
    """distro/bases/<base>.yaml with `family: el`: where packages come from and how they are trusted."""

    family: Literal["el"] = Field(description="which package back end")
    release: str = Field(pattern=r"^\d+$", description="major release: $releasever of the repositories")
    module_platform: str | None = Field(
        default=None, pattern=r"^platform:el\d+$", description="platform of the modules; nothing: there are no modules"
    )
    rpmdb: Literal["/var/lib/rpm", "/usr/lib/sysimage/rpm"] = Field(description="where the package database is")
    cpu: Literal["x86-64-v2", "x86-64-v3"] = Field(description="oldest processors that the packages run on")
    kernel: str = Field(description="package that brings /lib/modules/*/vmlinuz")
    bios_loader: Literal["isolinux", "grub2"] = Field(description="boot loader of the vendor's medium for BIOS")
    repositories: list[Repository] = Field(min_length=1, description="all repositories")

    @model_validator(mode="after")
    def _distinct(self) -> ElManifest:
        names = [repository.name for repository in self.repositories]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two repositories are called {', '.join(twice)}")
        return self


class _OnlyFamily(BaseModel):
    """What decides how the rest of a base manifest is read."""

    model_config = ConfigDict(strict=True)

    family: Literal["debian", "el"]


FAMILIES: dict[str, type[BaseManifest]] = {"debian": DebianManifest, "el": ElManifest}


def base_manifest(file: YamlFile) -> BaseManifest:
    """The manifest of a base, of the class that belongs to its family. Raises ErrorList like `yamlfile.parse`."""
    return parse(file, FAMILIES[parse(file, _OnlyFamily).family])


class Image(Model):
    """images/host.yaml and images/container.yaml: how a root file system is put together."""

    image: Literal["host", "container"] = Field(description="which tree")
    role: str = Field(description="Ansible role that configures it")
    packages: PackageLists = Field(description="family → packages")
    python: list[str] = Field(default=[], description="Python packages, as wheels from the lock")
    remove: list[str] = Field(
        default=[],
        description="patterns of files that packages bring and nobody needs once they are installed, from the root on",
    )


class Health(Model):
    """How the agent asks a daemon whether it is well."""

    kind: Literal["tcp", "https"] = Field(description="tcp: accepts a connection; https: GET of `path` gives 200")
    path: str | None = Field(default=None, pattern=r"^/", description="path of an https check")


class Publish(Model):
    """Where the outside world finds a daemon: a path behind the host's one TLS entry, or an outside port of its own."""

    path: str | None = Field(
        default=None,
        pattern=r"^/([a-z0-9][a-z0-9-]{0,30})?$",
        description="of a web UI: its path on https://HOST, / or one word such as /billing",
    )
    port: Port | None = Field(default=None, description="of any other daemon: an outside port of its own")
    client_certificate: Literal["required", "none"] = Field(
        default="none", description="whether callers of that port show a client certificate that this host issued"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Publish:
        if (self.path is None) == (self.port is None):
            raise ValueError("a daemon is published by either `path` or `port`")
        if self.path is not None and self.client_certificate == "required":
            raise ValueError("client certificates need a `port`: all that have a `path` share one entry")
        return self

    def as_json(self) -> dict[str, Any]:
        """As distribution.json has it: only what counts."""
        if self.path is not None:
            return {"path": self.path}
        return {"port": self.port, "client_certificate": self.client_certificate}


def _published(value: object) -> object:
    if isinstance(value, int):
        raise ValueError(f"a path or a port is expected, {{path: /name}} or {{port: {value}}}, not {value}")
    return value


class Daemon(Model):
    """One process of an appliance, bound to one address."""

    title: Text = Field(description="what people call it")
    unit: str = Field(pattern=r"^[A-Za-z0-9@._-]+\.service$", description="systemd unit in the container")
    address: Annotated[int, Field(ge=1, le=254)] | str = Field(
        description="host number in the appliance's block, or a whole IPv4 address inside the block"
    )
    port: Port = Field(description="port it listens on")
    protocol: Literal["https", "http", "tcp", "udp"] = Field(description="what it speaks")
    after: list[Name] = Field(default=[], description="daemons of the same appliance that start before it")
    health: Health = Field(description="how its health is checked")
    publish: Annotated[Publish | None, BeforeValidator(_published)] = Field(
        default=None, description="where the outside world finds it; nothing: nowhere"
    )
    ipv6: bool = Field(default=True, description="listens on an IPv6 address too, where IPv6 is switched on")
    critical: bool = Field(default=False, description="holds data: while it stays broken, its appliance is kept off")


class Volume(Model):
    """A place that outlives the container's root file system."""

    path: AbsolutePath = Field(description="where it is mounted in the container")
    size: Size = Field(description="size of the volume")
    owner: str = Field(default="root", pattern=r"^[a-z_][a-z0-9_-]*$", description="user that owns it")


class Limits(Model):
    """What an appliance may use at most."""

    memory: Size = Field(description="memory")
    cpu: int = Field(ge=1, le=256, description="processors")
    processes: int = Field(default=500, ge=20, description="processes and threads")


class Setting(Model):
    """Something that people may choose; the agent gives it to the container as settings.json."""

    kind: Literal["bool", "int", "text", "choice", "secret"] = Field(
        description="what it takes; a secret is a text that is never shown, its default is empty"
    )
    title: Text = Field(description="what people call it")
    help: Text = Field(description="one sentence: what it does")
    default: bool | int | str = Field(description="its value when nobody has chosen one")
    minimum: int | None = Field(default=None, description="smallest number")
    maximum: int | None = Field(default=None, description="largest number")
    pattern: str | None = Field(default=None, description="regular expression that a text fits as a whole")
    example: str | None = Field(default=None, description="a text that fits the pattern, for who got it wrong")
    choices: dict[str, Text] = Field(default={}, description="value of a choice → what people call it")
    restart: list[Name] = Field(default=[], description="daemons that read it only when they start")
    needs: dict[Name, bool | int | str] = Field(
        default={}, description="other settings → what they have to be when this one is not its default"
    )

    def declared(self, key: str) -> settings.Setting:
        """As the agent has it."""
        return settings.Setting(key=key, **self.model_dump())

    @model_validator(mode="after")
    def _takes_its_default(self) -> Setting:
        if self.pattern is not None:
            re.compile(self.pattern)
        setting = self.declared("default")
        if self.kind == "secret":
            if self.default or self.pattern or self.example:
                raise ValueError('a secret has the default "", no pattern and no example')
            return self
        setting.check(self.default)
        if self.example is not None:
            setting.check(self.example)
        return self


class Appliance(Model):
    """appliances/<name>/appliance.yaml: one container."""

    appliance: Name = Field(description="its name, the same as its folder's")
    title: Text = Field(description="what people call it")
    summary: Text = Field(description="one sentence: what it is for")
    packages: PackageLists = Field(description="family → packages on top of the container image")
    python: list[str] = Field(default=[], description="Python packages on top of the container image's")
    daemons: dict[Name, Daemon] = Field(min_length=1, description="its daemons")
    volumes: dict[Name, Volume] = Field(default={}, description="its volumes")
    limits: Limits = Field(description="its limits")
    consumes: list[Annotated[str, Field(pattern=r"^[a-z0-9_]+\.[a-z0-9_]+$")]] = Field(
        default=[], description="endpoints it calls, `<daemon>.<appliance>`, or agent.host"
    )
    secrets: list[SecretName] = Field(default=[], description="secrets made for it on first boot")
    settings: dict[Name, Setting] = Field(default={}, description="what people may choose")


MODELS: dict[str, type[Model]] = {
    "distro/<name>.yaml": Distribution,
    "distro/bases/<base>.yaml (debian)": DebianManifest,
    "distro/bases/<base>.yaml (el)": ElManifest,
    "images/host.yaml, images/container.yaml": Image,
    "appliances/<name>/appliance.yaml": Appliance,
}


def json_schema() -> dict[str, Any]:
    """JSON Schema of every file, by the pattern of its path."""
    return {pattern: model.model_json_schema() for pattern, model in MODELS.items()}
