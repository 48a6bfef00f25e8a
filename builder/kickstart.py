"""The kickstart of the medium: rendered out of kickstart/ks.cfg.j2, checked before it goes anywhere."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jinja2

from appliances.base.installer import fragments
from appliances.base.installer.disks import Block
from appliances.base.installer.errors import InstallError, Problem
from appliances.base.installer.kickstart import read
from appliances.base.installer.lint import MIB, lint
from appliances.base.installer.seed import Admin, Network, Seed
from builder.errors import AsrboxError, ErrorList, Where

FOLDER = Path(__file__).parent.parent / "kickstart"
TEMPLATE = "ks.cfg.j2"
_FOR_ANACONDA = re.compile(r"^liveimg .*--checksum=", re.MULTILINE)
# What differs between families: file system of the root volume, group of administrators.
FAMILIES = {
    "debian": {"root_fstype": "ext4", "admin_group": "sudo"},
    "el": {"root_fstype": "xfs", "admin_group": "wheel"},
}


def render(
    distribution: Mapping[str, Any], family: str, folder: Path = FOLDER, *, image_sha256: str | None = None
) -> str:
    """The text of ks.cfg for a resolved distribution (the shape of distribution.json) on a base of `family`.

    `image_sha256` of LiveOS/squashfs.img is given for media with Anaconda, which compares it (on ours the media check
    does): then there is also what only Anaconda does or has to be told.
    Raises AsrboxError for a family without a kickstart, or a template that does not fit.
    """
    if family not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise AsrboxError(f"no kickstart for the family {family!r}", hint=f"known families: {known}")
    install = distribution["install"]
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=False,
        autoescape=False,  # noqa: S701  a kickstart, not HTML
    )
    try:
        text = templates.get_template(TEMPLATE).render(
            title=distribution["title"]["en"],
            version=distribution["version"],
            volume_group=install["volume_group"],
            pool=install["pool"],
            root_mib=int(install["root_size"]) // MIB,
            image_sha256=image_sha256,
            **FAMILIES[family],
        )
    except jinja2.TemplateSyntaxError as error:
        where = Where(folder / (error.name or TEMPLATE), error.lineno)
        raise AsrboxError(f"the template is not valid: {error.message}", where=where) from error
    except jinja2.UndefinedError as error:
        hint = "use a name that builder/kickstart.py gives to the template"
        raise AsrboxError(
            f"the template does not fit: {error.message}", hint=hint, where=Where(folder / TEMPLATE)
        ) from error
    return text + "\n"


def sample_includes(family: str, distribution: Mapping[str, Any] | None = None) -> list[dict[str, str]]:
    """What %pre writes on a machine, for answers of each kind: path → text, one mapping per kind of answers.

    Without a distribution its defaults are left out of the sample, and ordinary ones stand in for them.
    """
    install = distribution["install"] if distribution else {}
    disk = Block(
        path="/dev/vda", kind="disk", size=2**34, read_only=False, removable=False, transport="virtio",
        model="", serial="", wwn="", holds="", label="", table="", mounts=(), children=(),
    )  # fmt: skip
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEaQm1b8hJk0o0n6N1l0mFJ4lS8bG6pHk2y9QxWcVtZr sample"
    static = Network(
        method="static",
        address=ipaddress.IPv4Interface("192.0.2.10/24"),
        gateway=ipaddress.IPv4Address("192.0.2.1"),
        dns=(ipaddress.IPv4Address("192.0.2.53"),),
    )
    seeds = [
        Seed(admin=Admin(password_hash="$6$saltsalt$0123456789abcdef")),
        Seed(network=static, language="en", timezone="Europe/Moscow", finish="poweroff", admin=Admin(ssh_keys=(key,))),
    ]
    return [
        fragments.fragments(
            seed,
            disk,
            group=FAMILIES[family]["admin_group"],
            timezone=install.get("timezone", "Etc/UTC"),
            locale=install.get("language", "en_US.UTF-8"),
            appliances=["base"],
        )
        for seed in seeds
    ]


def check(
    text: str,
    medium_files: Collection[str] | None = None,
    distribution: Mapping[str, Any] | None = None,
    *,
    family: str = "debian",
    file: Path = Path("ks.cfg"),
) -> None:
    """Raises ErrorList with every mistake in a rendered kickstart: its line, the command, and what to do.

    It is checked together with the include files of a sample machine. `medium_files` are the paths on the medium
    without a leading slash (None: not known yet). With `distribution`, its time zone, language and sizes are checked,
    too. One that is not for Anaconda alone (`liveimg --checksum`) must also be one that our own installer can play.
    """
    smallest = int(distribution["install"]["minimum_disk"]) if distribution else None
    found: dict[str, AsrboxError] = {}
    for files in sample_includes(family, distribution):
        problems = lint(text, files=files, medium=medium_files, disk_size=smallest)
        for problem in problems:
            error = _error(problem, file)
            found.setdefault(str(error), error)
        if not problems and not _FOR_ANACONDA.search(text):
            try:
                read(text, files)
            except InstallError as refused:
                error = AsrboxError(refused.what, hint=refused.remedy, where=Where(file))
                found.setdefault(str(error), error)
    if found:
        raise ErrorList(list(found.values()))


def _error(problem: Problem, file: Path) -> AsrboxError:
    place = Path(problem.file) if problem.file else file
    return AsrboxError(problem.message, hint=problem.hint, where=Where(place, problem.line, problem.key))
