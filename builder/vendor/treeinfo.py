"""`.treeinfo` and `.discinfo`: what a vendor's medium says of itself. Read with configparser, edited line by line.

The format is an INI file (productmd, "treeinfo file format"). productmd itself would write the file anew in its own
order; here one checksum changes and nothing else does, so nothing else is touched.
"""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass

from builder.errors import AsrboxError


@dataclass(frozen=True)
class Description:
    """Name and version of the product, its architecture, and the path of the runtime that stage 1 loads."""

    name: str
    version: str
    arch: str
    runtime: str


def describe(treeinfo: str, discinfo: str, iso: str) -> Description:
    """What both files say. Raises AsrboxError when they lack it, or contradict one another."""
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
            raise AsrboxError(f"the .treeinfo of {iso} has no {wanted}", hint="take the vendor's boot.iso or DVD")
        return told

    described = Description(
        name=value(("release", "name"), ("general", "family")),
        version=value(("release", "version"), ("general", "version")),
        arch=value(("tree", "arch"), ("general", "arch")),
        runtime=value(("stage2", "mainimage")),
    )
    lines = discinfo.splitlines()
    arch = lines[2].strip() if len(lines) > 2 else ""
    if arch != described.arch:
        raise AsrboxError(
            f"{iso} contradicts itself: .treeinfo says {described.arch}, .discinfo says {arch or 'nothing'}",
            hint="download the vendor's original again",
        )
    return described


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
