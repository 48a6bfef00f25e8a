"""Licences of installed packages, as SPDX 2.3 expressions, where they are declared in a form a machine can read.

Debian: the copyright format 1.0 (DEP-5) of /usr/share/doc/<package>/copyright. RPM: the tag License of its header.
Python: the core metadata of a wheel.
"""

from __future__ import annotations

import email
import re
from dataclasses import dataclass, field
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

NOT_KNOWN = "NOASSERTION"

# Short names of DEP-5 (and habits of packagers) → SPDX. GNU licences are handled by a rule below.
_SHORT_NAMES = {
    "expat": "MIT",
    "mit": "MIT",
    "mit/x11": "MIT",
    "isc": "ISC",
    "zlib": "Zlib",
    "apache-2.0": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "bsl-1.0": "BSL-1.0",
    "boost-1.0": "BSL-1.0",
    "cc0-1.0": "CC0-1.0",
    "cc0": "CC0-1.0",
    "mpl-1.1": "MPL-1.1",
    "mpl-2.0": "MPL-2.0",
    "psf-2": "PSF-2.0",
    "psf-2.0": "PSF-2.0",
    "python-2.0": "Python-2.0",
    "openssl": "OpenSSL",
    "unicode-3.0": "Unicode-3.0",
    "0bsd": "0BSD",
    "unlicense": "Unlicense",
    "artistic": "Artistic-1.0-Perl",
    "artistic-2.0": "Artistic-2.0",
}
_GNU = re.compile(r"(?P<name>agpl|lgpl|gpl|gfdl(?:-niv)?)-(?P<version>\d(?:\.\d)?)(?P<later>\+|-or-later|-only)?")
_CLASSIFIERS = {
    "MIT License": "MIT",
    "BSD License": NOT_KNOWN,  # which one of them is not said
    "Apache Software License": NOT_KNOWN,  # nor which version
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "Python Software Foundation License": "PSF-2.0",
}


@dataclass
class Licence:
    """An SPDX expression, and the texts of the licences in it that SPDX has no name for (LicenseRef → text)."""

    expression: str = NOT_KNOWN
    texts: dict[str, str] = field(default_factory=dict)


def of_debian_package(root: Path, package: str) -> Licence:
    """The licences of one package of a Debian tree; not known when its copyright file is absent or is free prose."""
    documents = root / "usr/share/doc"
    folder = documents / package
    if folder.is_symlink():  # a binary package that shares the documents of another one
        folder = documents / folder.readlink().name
    file = folder / "copyright"
    if file.is_symlink():
        file = root / "usr/share/doc" / file.readlink().parent.name / "copyright"
    if file.is_symlink() or not file.is_file():
        return Licence()
    return parse_copyright(file.read_text(encoding="utf-8", errors="replace"), package)


def parse_copyright(text: str, package: str) -> Licence:
    """The licences of all files of a package, joined by AND, from a copyright file in format 1.0."""
    paragraphs = [_fields(part) for part in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n"))]
    if not paragraphs or "format" not in paragraphs[0]:
        return Licence()
    texts: dict[str, str] = {}
    for paragraph in paragraphs:
        if "license" in paragraph and "files" not in paragraph:
            name, _, body = paragraph["license"].partition("\n")
            texts.setdefault(name.strip().lower(), body)
    found = Licence()
    parts: list[str] = []
    for paragraph in paragraphs:
        if "files" not in paragraph or "license" not in paragraph:
            continue
        synopsis, _, body = paragraph["license"].partition("\n")
        expression = _expression(synopsis.strip(), body, texts, package, found)
        if expression and expression not in parts:
            parts.append(expression)
    if parts:
        ordered = sorted(parts)
        several = len(ordered) > 1
        found.expression = " AND ".join(f"({part})" if several and " OR " in part else part for part in ordered)
    return found


def of_rpm(tag: str, package: str) -> Licence:
    """The licence of an RPM: its tag where that is SPDX (Fedora and EL 10), else a reference with the tag as text."""
    try:
        return Licence(canonicalize_license_expression(tag))
    except InvalidLicenseExpression:
        reference = "LicenseRef-" + re.sub(r"[^A-Za-z0-9.-]+", "-", f"{package}-{tag}").strip("-")
        return Licence(reference, {reference: f"The package {package} says: {tag}"})


def of_wheel(metadata: str) -> str:
    """The SPDX expression of a wheel from the text of its METADATA; NOASSERTION when it is not told exactly."""
    message = email.message_from_string(metadata)
    if expression := message.get("License-Expression"):
        return str(expression).strip()
    named = [
        _CLASSIFIERS.get(value.rpartition(" :: ")[2], NOT_KNOWN)
        for value in message.get_all("Classifier", [])
        if value.startswith("License ::") and value != "License :: OSI Approved"
    ]
    return named[0] if len(named) == 1 else NOT_KNOWN


def _fields(paragraph: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in paragraph.splitlines():
        if line[:1] in " \t":
            if name:
                fields[name] += "\n" + line.strip()
        elif ":" in line and not line.startswith("#"):
            name, _, value = line.partition(":")
            name = name.lower()
            fields[name] = value.strip()
    return fields


def _expression(synopsis: str, body: str, texts: dict[str, str], package: str, found: Licence) -> str:
    if not synopsis:
        return ""
    alternatives = []
    for alternative in re.split(r",? +or +", synopsis, flags=re.IGNORECASE):
        together = []
        for name in re.split(r",? +and +", alternative, flags=re.IGNORECASE):
            together.append(_named(name.strip(" ,"), body, texts, package, found))
        alternatives.append(" AND ".join(together))
    mixed = len(alternatives) > 1
    return " OR ".join(f"({part})" if mixed and " AND " in part else part for part in alternatives)


def _named(name: str, body: str, texts: dict[str, str], package: str, found: Licence) -> str:
    if known := _SHORT_NAMES.get(name.lower()):
        return known
    if gnu := _GNU.fullmatch(name.lower()):
        version = gnu["version"] if "." in gnu["version"] else f"{gnu['version']}.0"
        kind = "or-later" if gnu["later"] in ("+", "-or-later") else "only"
        family = "GFDL" if gnu["name"].startswith("gfdl") else gnu["name"].upper()
        if family == "GFDL":
            version = {"1.0": "1.1"}.get(version, version)
            kind = f"no-invariants-{kind}" if gnu["name"] == "gfdl-niv" else kind
        return f"{family}-{version}-{kind}"
    reference = "LicenseRef-" + re.sub(r"[^A-Za-z0-9.-]+", "-", f"{package}-{name}").strip("-")
    text = texts.get(name.lower()) or body
    found.texts[reference] = text.strip() or f"{name}: see /usr/share/doc/{package}/copyright"
    return reference
