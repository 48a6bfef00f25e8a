"""A kickstart as the player understands it. What it does not implement is refused with its line, never ignored."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pykickstart.constants import KS_SCRIPT_POST, KS_SCRIPT_PRE, KS_SHUTDOWN

from appliances.base.installer.errors import InstallError, Problem
from appliances.base.installer.kstext import Source, command_lines, flatten, parse

VERSION = "RHEL9"

# Command → the attributes of pykickstart's data that the player honours. `text` and `cmdline` change nothing: the
# player has no other mode. `ignoredisk` and `zerombr` hold by construction: only the disks of `part` are touched.
IMPLEMENTED: dict[str, set[str]] = {
    "text": {"displayMode"},
    "cmdline": {"displayMode"},
    "ignoredisk": {"onlyuse"},
    "zerombr": {"zerombr"},
    "lang": {"lang", "addsupport"},
    "keyboard": {"_keyboard", "vc_keymap", "x_layouts", "kbd"},
    "timezone": {"timezone", "isUtc"},
    "network": {"bootProto", "device", "ip", "netmask", "gateway", "nameserver", "hostname", "activate", "onboot"},
    "rootpw": {"password", "isCrypted", "lock"},
    "user": {"name", "groups", "password", "isCrypted", "lock", "shell", "gecos"},
    "sshkey": {"username", "key", "sshkey"},
    "services": {"enabled", "disabled"},
    "bootloader": {"appendLine", "timeout", "location"},
    "clearpart": {"type", "drives", "initAll", "disklabel"},
    "part": {"mountpoint", "mntpoint", "size", "grow", "disk", "fstype", "fsopts", "label"},
    "volgroup": {"vgname", "physvols", "name", "partitions"},
    "logvol": {"mountpoint", "mntpoint", "vgname", "name", "size", "grow", "fstype", "fsopts", "label", "thin_pool"},
    "liveimg": {"url"},
    "reboot": {"action"},
    "poweroff": {"action"},
    "halt": {"action"},
    "shutdown": {"action"},
}
LISTS = {"network", "user", "sshkey", "part", "volgroup", "logvol"}
INTERNAL = {"lineno", "seen", "currentCmd", "currentLine", "writePriority", "handler", "op", "preceededInclude"}
ROOT_FILE_SYSTEMS = {"ext4", "xfs"}


@dataclass(frozen=True)
class Partition:
    """One `part`: `mountpoint` is a path, "biosboot" or "pv.NAME"; `size` in MiB, at least that much with `grow`."""

    mountpoint: str
    disk: str
    size: int
    grow: bool
    file_system: str
    options: str
    label: str
    line: int


@dataclass(frozen=True)
class Volume:
    """One `logvol`: `size` in MiB; a thin pool has no mount point and takes all that is left with `grow`."""

    group: str
    name: str
    mountpoint: str
    size: int
    grow: bool
    thin_pool: bool
    file_system: str
    options: str
    label: str
    line: int


@dataclass(frozen=True)
class Group:
    """One `volgroup` and the partitions ("pv.1") it is made of."""

    name: str
    members: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Network:
    """One `network`. `device` is "link", a name or a MAC address; `address` is None for DHCP."""

    device: str
    address: ipaddress.IPv4Interface | None
    gateway: str
    dns: tuple[str, ...]


@dataclass(frozen=True)
class User:
    """One `user`: an account with a crypt hash, or locked when there is none."""

    name: str
    groups: tuple[str, ...]
    password_hash: str
    shell: str
    comment: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Script:
    """A %pre or %post section: `log` is a path inside the target when the section runs in it."""

    stage: Literal["pre", "post"]
    interpreter: str
    text: str
    log: str
    in_target: bool
    fatal: bool
    line: int

    def __str__(self) -> str:
        nochroot = " --nochroot" if self.stage == "post" and not self.in_target else ""
        return f"%{self.stage}{nochroot} (line {self.line} of ks.cfg)"


@dataclass(frozen=True)
class Kickstart:
    """Everything the player plays. `append` goes to the kernel's command line, `boot_timeout` is in seconds."""

    hostname: str
    lang: str
    keyboard: str
    timezone: str
    networks: tuple[Network, ...]
    root_hash: str
    users: tuple[User, ...]
    enabled: tuple[str, ...]
    disabled: tuple[str, ...]
    append: str
    boot_timeout: int
    partitions: tuple[Partition, ...]
    groups: tuple[Group, ...]
    volumes: tuple[Volume, ...]
    image: str
    scripts: tuple[Script, ...]
    finish: Literal["reboot", "poweroff"]


def pre_scripts(text: str) -> list[Script]:
    """The %pre sections, readable before the files they write exist. Raises InstallError on a syntax mistake."""
    handler = _parsed(flatten(text, {}))
    return [script for script in _scripts(handler, None) if script.stage == "pre"]


def networks(text: str) -> tuple[Network, ...]:
    """The network settings of a kickstart or of one of its include files. Raises InstallError on a syntax mistake."""
    return tuple(_network(item) for item in _parsed(flatten(text, {})).commands["network"].dataList())


def read(text: str, files: Mapping[str, str]) -> Kickstart:
    """The whole kickstart with its includes. Raises InstallError naming line and command of what cannot be played."""
    source = flatten(text, files)
    handler = _parsed(source)
    problems = [*_not_implemented(source, handler), *_missing(source, handler)]
    if problems:
        raise _refused(problems)
    commands = handler.commands
    devices = commands["network"].dataList()
    append = commands["bootloader"]
    return Kickstart(
        hostname=next((item.hostname for item in devices if item.hostname), "asrbox"),
        lang=commands["lang"].lang or "C.UTF-8",
        keyboard=commands["keyboard"].keyboard or "us",
        timezone=commands["timezone"].timezone or "Etc/UTC",
        networks=tuple(_network(item) for item in devices),
        root_hash="" if commands["rootpw"].lock else commands["rootpw"].password,
        users=tuple(_user(item, commands["sshkey"].dataList()) for item in commands["user"].dataList()),
        enabled=tuple(commands["services"].enabled),
        disabled=tuple(commands["services"].disabled),
        append=append.appendLine,
        boot_timeout=append.timeout if append.timeout is not None else 3,
        partitions=tuple(_partition(item) for item in commands["partition"].dataList()),
        groups=tuple(Group(item.vgname, tuple(item.physvols), item.lineno) for item in commands["volgroup"].dataList()),
        volumes=tuple(_volume(item) for item in commands["logvol"].dataList()),
        image=commands["liveimg"].url.removeprefix("file://"),
        scripts=tuple(_scripts(handler, source)),
        finish="poweroff" if commands["reboot"].action == KS_SHUTDOWN else "reboot",
    )


def _parsed(source: Source) -> Any:
    handler, problems = parse(source, VERSION)
    if problems:
        raise _refused(problems)
    return handler


def _not_implemented(source: Source, handler: Any) -> list[Problem]:
    problems = []
    known = ", ".join(sorted(IMPLEMENTED))
    fresh = type(handler)()
    for number, command, _ in command_lines(source):
        name = "part" if command == "partition" else command
        if name not in IMPLEMENTED:
            problems.append(
                source.problem(number, f"this installer does not implement {command}", f"it has: {known}", command)
            )
        elif name not in LISTS:
            given = handler.commands[name]
            problems += _options(source, number, name, vars(given), vars(fresh.commands[name]))
    for name in LISTS & {"part" if command == "partition" else command for _, command, _ in command_lines(source)}:
        for item in handler.commands["partition" if name == "part" else name].dataList():
            problems += _options(source, item.lineno, name, vars(item), vars(type(item)()))
    for script in handler.scripts:
        if script.type not in (KS_SCRIPT_PRE, KS_SCRIPT_POST):
            problems.append(
                source.problem(script.lineno, "only %pre and %post sections are played", "remove the section")
            )
    return problems


def _options(
    source: Source, number: int, name: str, given: Mapping[str, Any], default: Mapping[str, Any]
) -> list[Problem]:
    unknown = [
        option
        for option, value in given.items()
        if not option.startswith("_ver")
        and option not in INTERNAL | IMPLEMENTED[name]
        and (value or default.get(option))  # None, "" and False all mean: not given
        and value != default.get(option)
    ]
    return [
        source.problem(number, f"this installer does not implement the option {option!r} of {name}", "remove it", name)
        for option in unknown
    ]


def _missing(source: Source, handler: Any) -> list[Problem]:
    commands = handler.commands
    problems = []
    if not commands["liveimg"].url.startswith("file://"):
        hint = "write liveimg --url=file:///run/install/repo/LiveOS/squashfs.img"
        problems.append(
            source.problem(commands["liveimg"].lineno or None, "liveimg has no file:// address", hint, "liveimg")
        )
    disks = {part.disk for part in commands["partition"].dataList()}
    if disks == set() or "" in disks or len(disks) > 1:
        problems.append(
            source.problem(None, "the partitions are not on exactly one disk", "give each part --ondisk", "part")
        )
    wiped = set(commands["clearpart"].drives)
    if disks and not disks <= wiped:
        number = commands["clearpart"].lineno or None
        problems.append(
            source.problem(number, "clearpart does not name the disk of the partitions", "add --drives", "clearpart")
        )
    for volume in commands["logvol"].dataList():
        if volume.mountpoint == "/" and volume.fstype not in ROOT_FILE_SYSTEMS:
            problems.append(
                source.problem(volume.lineno, "the root volume is neither ext4 nor xfs", "choose one", "logvol")
            )
        if volume.grow and not volume.thin_pool:
            problems.append(
                source.problem(volume.lineno, "only a thin pool can --grow here", "remove --grow", "logvol")
            )
    root = commands["rootpw"]
    users = commands["user"].dataList()
    for account, number in [(root, root.lineno), *((user, user.lineno) for user in users)]:
        if account.password and not account.isCrypted:
            problems.append(
                source.problem(number or None, "a password in clear text", "give a hash and --iscrypted", "user")
            )
    return problems


def _refused(problems: list[Problem]) -> InstallError:
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    place = f"line {first.line} of {first.file or 'ks.cfg'}: " if first.line else ""
    return InstallError(
        f"the kickstart cannot be played: {place}{first.message}{more}", first.hint, [str(item) for item in problems]
    )


def _network(item: Any) -> Network:
    address = ipaddress.IPv4Interface(f"{item.ip}/{item.netmask}") if item.bootProto == "static" else None
    dns = tuple(part for part in item.nameserver.split(",") if part)
    return Network(item.device or "link", address, item.gateway, dns)


def _user(item: Any, keys: list[Any]) -> User:
    own = tuple(key.key for key in keys if key.username == item.name)
    hashed = "" if item.lock else item.password
    return User(item.name, tuple(item.groups), hashed, item.shell or "/bin/bash", item.gecos, own)


def _partition(item: Any) -> Partition:
    return Partition(
        item.mountpoint, item.disk, item.size or 1, item.grow, item.fstype, item.fsopts, item.label, item.lineno
    )


def _volume(item: Any) -> Volume:
    mountpoint = "" if item.mountpoint == "none" else item.mountpoint
    return Volume(
        item.vgname, item.name, mountpoint, item.size or 1, item.grow, item.thin_pool,
        item.fstype, item.fsopts, item.label, item.lineno,
    )  # fmt: skip


def _scripts(handler: Any, source: Source | None) -> list[Script]:
    return [
        Script(
            stage="pre" if script.type == KS_SCRIPT_PRE else "post",
            interpreter=script.interp,
            text=script.script,
            log=script.logfile or "",
            in_target=script.inChroot,
            fatal=script.errorOnFail,
            line=source.lines[script.lineno - 1].number if source else script.lineno,
        )
        for script in handler.scripts
    ]
