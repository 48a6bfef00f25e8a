"""What pykickstart does not check: sizes, file systems, time zones, disks, doubles, shell syntax, files on the medium.

Shared by the builder, which refuses to make a medium with a bad kickstart, and the installer, which refuses to play it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from pykickstart.constants import KS_SCRIPT_PRE

from appliances.base.installer.errors import Problem
from appliances.base.installer.kstext import Source, command_lines, flatten, includes, parse
from appliances.base.installer.timezones import is_timezone

VERSIONS = ("RHEL9", "RHEL10")
MEDIUM = "/run/install/repo"
MIB = 2**20

ONCE = {
    "autopart", "bootloader", "clearpart", "firewall", "firstboot", "ignoredisk", "keyboard", "lang", "liveimg",
    "ostreecontainer", "ostreesetup", "reqpart", "rootpw", "selinux", "timezone", "url", "zerombr",
}  # fmt: skip
ENDINGS = {"reboot", "poweroff", "halt", "shutdown"}
OTHER_SOURCES = {"url", "ostreecontainer", "ostreesetup", "cdrom", "harddrive", "nfs", "bootc"}
FILE_SYSTEMS = {"ext2", "ext3", "ext4", "xfs", "vfat", "efi", "swap", "biosboot", "prepboot", "lvmpv"}
DISK = re.compile(r"^(/dev/)?(disk/by-(id|path|uuid|label)/[^\s/]+|[a-z]+[a-z0-9]*)$")
INTERPRETERS = {"/bin/sh": "sh", "/usr/bin/sh": "sh", "/bin/bash": "bash", "/usr/bin/bash": "bash"}
PYTHON = re.compile(r"/python3?(\.\d+)?$")
SHA256 = re.compile(r"[0-9a-f]{64}")
LOCALE = re.compile(r"^[a-z]{2,3}_[A-Z]{2}(\.UTF-8)?$")


def lint(
    text: str,
    *,
    files: Mapping[str, str] | None = None,
    medium: Collection[str] | None = None,
    disk_size: int | None = None,
    versions: Sequence[str] = VERSIONS,
) -> list[Problem]:
    """Every mistake in a kickstart, in the order of its lines.

    `files` are the includes that `%pre` writes, path → text; `medium` the paths on the medium without a leading slash
    (None: not known, not checked); `disk_size` the bytes of the smallest disk it must fit on; `versions` the handlers
    that must accept it.
    """
    files = files or {}
    source = flatten(text, files)
    problems: list[Problem] = []
    handler: Any = None
    for version in versions:
        handler, mistakes = parse(source, version)
        problems += mistakes
    problems += _includes(text, files, handler)
    for check in (_doubles, _sources, _names, _scripts):
        problems += check(source, handler)
    problems += _storage(source, handler, disk_size)
    if medium is not None:
        problems += _medium(source, medium)
    return sorted(set(problems), key=lambda problem: (problem.file or "", problem.line or 0, problem.message))


def _includes(text: str, files: Mapping[str, str], handler: Any) -> Iterator[Problem]:
    scripts = [script.script for script in handler.scripts if script.type == KS_SCRIPT_PRE]
    for number, path in includes(text):
        if path not in files and not any(path in script for script in scripts):
            yield Problem(
                f"{path} is included, but no %pre section writes it", "write the file in %pre", number, "%include"
            )
    if text and not text.endswith("\n"):
        yield Problem("the last line has no line end", "end the file with a newline", len(text.splitlines()))


def _doubles(source: Source, handler: Any) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for number, command, _ in command_lines(source):
        name = "reboot" if command in ENDINGS else command
        if name not in ONCE and name != "reboot":
            continue
        if name in first:
            before = source.lines[first[name] - 1]
            place = f"line {before.number}" + (f" of {before.file}" if before.file else "")
            yield source.problem(
                number, f"{command} is given twice: first on {place}", "keep one of them; the last would win", command
            )
        first.setdefault(name, number)


def _sources(source: Source, handler: Any) -> Iterator[Problem]:
    commands = {command: number for number, command, _ in command_lines(source)}
    if "liveimg" not in commands:
        return
    checksum = handler.commands["liveimg"].checksum
    if checksum and not SHA256.fullmatch(checksum):
        yield source.problem(
            commands["liveimg"],
            f"{checksum!r} is no SHA-256",
            "give the 64 hex digits that sha256sum prints",
            "liveimg",
        )
    for other in sorted(OTHER_SOURCES & set(commands)):
        yield source.problem(
            commands[other], f"{other} contradicts liveimg: there can be one source", f"remove {other}", other
        )
    for number, line in enumerate(source.lines, start=1):
        if line.text.startswith("%packages"):
            yield source.problem(
                number, "%packages has no effect with liveimg", "put the packages into images/host.yaml", "%packages"
            )


def _names(source: Source, handler: Any) -> Iterator[Problem]:
    commands = handler.commands
    zone = commands["timezone"]
    if zone.seen and zone.timezone and not is_timezone(zone.timezone):
        hint = "use a name of the time zone database, for example Europe/Moscow"
        yield source.problem(zone.lineno, f"there is no time zone {zone.timezone!r}", hint, "timezone")
    lang = commands["lang"]
    if lang.seen and not LOCALE.match(lang.lang):
        hint = "use a name such as ru_RU.UTF-8"
        yield source.problem(lang.lineno, f"{lang.lang!r} is not the name of a locale", hint, "lang")
    users = {user.name for user in commands["user"].dataList()} | {"root"}
    for key in commands["sshkey"].dataList():
        if key.username not in users:
            yield source.problem(
                key.lineno, f"sshkey is for {key.username!r}, who is made by no user command", "add the user", "sshkey"
            )


def _storage(source: Source, handler: Any, disk_size: int | None) -> Iterator[Problem]:
    commands = handler.commands
    parts, volumes = commands["partition"].dataList(), commands["logvol"].dataList()
    groups = {group.vgname: group for group in commands["volgroup"].dataList()}
    drives = [(part.lineno, "part", part.disk) for part in parts if part.disk]
    drives += [(commands["clearpart"].lineno, "clearpart", name) for name in commands["clearpart"].drives]
    drives += [(commands["ignoredisk"].lineno, "ignoredisk", name) for name in commands["ignoredisk"].onlyuse]
    for number, command, name in drives:
        if not DISK.match(name):
            yield source.problem(number, f"{name!r} is not the name of a disk", "write vda or disk/by-id/…", command)
    seen: set[str] = set()
    for command, item in [("part", part) for part in parts] + [("logvol", volume) for volume in volumes]:
        yield from _one_size(source, command, item)
        if item.mountpoint not in ("none", "swap", ""):
            if item.mountpoint in seen:
                yield source.problem(item.lineno, f"{item.mountpoint} is given twice", "keep one of them", command)
            seen.add(item.mountpoint)
    members = {part.mountpoint for part in parts if part.mountpoint.startswith("pv.")}
    for name, group in groups.items():
        for member in group.physvols:
            if member not in members:
                yield source.problem(
                    group.lineno, f"no part makes {member} of volume group {name}", f"add: part {member} …", "volgroup"
                )
    for volume in volumes:
        if volume.vgname not in groups:
            yield source.problem(
                volume.lineno, f"no volgroup makes the group {volume.vgname!r}", "add: volgroup …", "logvol"
            )
    if (parts or volumes) and "/" not in seen and not commands["autopart"].seen:
        yield source.problem(None, "nothing is mounted at /", "add: logvol / …", "logvol")
    yield from _too_large(source, parts, volumes, disk_size)


def _one_size(source: Source, command: str, item: Any) -> Iterator[Problem]:
    size = item.size or 0
    if size < 0 or (size == 0 and not (item.grow or item.recommended or item.hibernation or item.percent)):
        yield source.problem(
            item.lineno, f"{item.mountpoint} has the size {size} MiB", "give --size in MiB, more than 0", command
        )
    if item.maxSizeMB and item.maxSizeMB < size:
        yield source.problem(
            item.lineno, f"--maxsize {item.maxSizeMB} is less than --size {size}", "make it larger", command
        )
    if item.fstype and item.fstype not in FILE_SYSTEMS:
        known = ", ".join(sorted(FILE_SYSTEMS))
        yield source.problem(item.lineno, f"{item.fstype!r} is no file system known here", f"known: {known}", command)


def _too_large(source: Source, parts: list[Any], volumes: list[Any], disk_size: int | None) -> Iterator[Problem]:
    if disk_size is None:
        return
    fixed = [part for part in parts if not part.mountpoint.startswith("pv.")]
    needed = sum(max(item.size or 0, 0) for item in [*fixed, *volumes])
    if needed * MIB > disk_size:
        largest = max([*fixed, *volumes], key=lambda item: item.size or 0)
        yield source.problem(
            largest.lineno,
            f"all sizes together are {needed} MiB, but the smallest disk allowed has {disk_size // MIB} MiB",
            "make them smaller, or raise install.minimum_disk",
            "logvol" if largest in volumes else "part",
        )


def _scripts(source: Source, handler: Any) -> Iterator[Problem]:
    for script in handler.scripts:
        interpreter = script.interp
        if PYTHON.search(interpreter):
            try:
                compile(script.script, "section", "exec")
            except SyntaxError as error:
                yield source.problem(
                    script.lineno + (error.lineno or 0), f"Python syntax: {error.msg}", "correct the section", "script"
                )
        elif interpreter in INTERPRETERS:
            yield from _shell(source, script, INTERPRETERS[interpreter])
        else:
            yield source.problem(
                script.lineno, f"nobody can check a script for {interpreter}", "use /bin/sh or /bin/bash", "script"
            )


def _shell(source: Source, script: Any, shell: str) -> Iterator[Problem]:
    done = subprocess.run(  # noqa: S603
        [shell, "-n"],
        input=script.script,
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    if done.returncode == 0:
        return
    said = done.stderr.strip().splitlines()
    found = re.search(r"(?:line )?(\d+): (.*)", said[0] if said else "")
    number = script.lineno + int(found.group(1)) if found else script.lineno
    message = found.group(2) if found else f"{shell} -n refuses this section"
    yield source.problem(number, f"shell syntax: {message}", f"try the section with `{shell} -n`", "script")


def _medium(source: Source, medium: Collection[str]) -> Iterator[Problem]:
    on_medium = exists(medium)
    for number, line in enumerate(source.lines, start=1):
        if line.text.lstrip().startswith("#"):
            continue
        for path in re.findall(re.escape(MEDIUM) + r"/([A-Za-z0-9_./-]+)", line.text):
            if not on_medium(path):
                hint = "put the file on the medium, or correct the path"
                yield source.problem(number, f"{path} is not on the medium", hint, line.text.split()[0])


def exists(medium: Collection[str]) -> Callable[[str], bool]:
    """A question about a path: is it a file on the medium, or a folder that holds one?"""
    files = {path.strip("/") for path in medium}
    return lambda path: path.strip("/") in files or any(name.startswith(path.strip("/") + "/") for name in files)
