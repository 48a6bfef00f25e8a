"""`.discinfo` and `.treeinfo`: what a vendor's medium says of itself. Read with configparser, edited line by line.

Every installer has `.discinfo`: three lines, time, release, architecture. `.treeinfo` (productmd, "treeinfo file
format") is only on media with packages, such as a DVD: lorax leaves it out of boot.iso. productmd would write it
anew in its own order; here one checksum changes and nothing else does, so nothing else is touched.
"""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass

from builder.errors import AsrboxError

RUNTIME = "images/install.img"  # where stage 1 looks for it when nothing else is said
_ORIGINAL = "take the vendor's original boot.iso or DVD"


@dataclass(frozen=True)
class Description:
    """The product as a person calls it, its major version, its architecture, the path of the runtime for stage 1."""

    product: str
    release: str
    arch: str
    runtime: str


def describe(discinfo: str, treeinfo: str | None, *, iso: str, label: str) -> Description:
    """What the files say of the medium `iso` with this volume label. `treeinfo` is None when it has none.

    Raises AsrboxError when they are not as they should be, or contradict one another.
    """
    lines = [line.strip() for line in discinfo.splitlines()]
    release = re.search(r"(\d+)(?:\.\d+)*$", lines[1]) if len(lines) > 2 else None
    if not release:
        raise AsrboxError(f"the .discinfo of {iso} does not name a release and an architecture", hint=_ORIGINAL)
    arch = lines[2]
    if treeinfo is None:
        product = lines[1] if re.search("[A-Za-z]", lines[1]) else f"{label} (release {lines[1]})"
        return Description(product, release[1], arch, RUNTIME)
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # paths are keys
    try:
        parser.read_string(treeinfo)
    except configparser.Error as error:
        raise AsrboxError(f"the .treeinfo of {iso} cannot be read: {error.message.splitlines()[0]}") from error

    def value(*places: tuple[str, str]) -> str:
        found = [parser.get(section, key, fallback="").strip() for section, key in places]
        told = next((text for text in found if text), "")
        if not told:
            wanted = " or ".join(f"[{section}] {key}" for section, key in places)
            raise AsrboxError(f"the .treeinfo of {iso} has no {wanted}", hint=_ORIGINAL)
        return told

    version = value(("release", "version"), ("general", "version"))
    told = value(("tree", "arch"), ("general", "arch"))
    if told != arch:
        raise AsrboxError(f"{iso} contradicts itself: .treeinfo says {told}, .discinfo says {arch}", hint=_ORIGINAL)
    name = value(("release", "name"), ("general", "family"))
    return Description(f"{name} {version}", version.split(".")[0], arch, value(("stage2", "mainimage")))


def with_checksum(treeinfo: str, path: str, sha256: str) -> str:
    """The text with another checksum of the file `path`, if it is listed under [checksums]; else unchanged."""
    lines = treeinfo.splitlines(keepends=True)
    listed = re.compile(rf"({re.escape(path)}\s*[=:]\s*)sha256:[0-9a-f]{{64}}(\s*)")
    section = ""
    for number, line in enumerate(lines):
        if found := re.match(r"\[(.+)\]", line):
            section = found[1]
        elif section == "checksums" and (entry := listed.fullmatch(line)):
            lines[number] = f"{entry[1]}sha256:{sha256}{entry[2]}"
    return "".join(lines)
