"""The bill of materials: one SPDX 2.3 document per tree, made from what is locked and what the tree says of itself."""

from __future__ import annotations

import hashlib
import json
import re
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder import licences, tree
from builder.bases import LockedPackage
from builder.licences import Licence
from builder.step import Work
from builder.wheels import LockedWheel, locked_wheels

CREATOR = "Tool: asrbox"
NAMESPACE = "https://asrbox.internal/spdx"
SUFFIX = ".spdx.json"


@dataclass(frozen=True)
class Contents:
    """What a tree is made of; `licences` by package name, `wheel_licences` (SPDX expressions) by normalised name.

    `locators` holds the package URL of each package.
    """

    packages: Sequence[LockedPackage]
    locators: Mapping[LockedPackage, str]
    wheels: Sequence[LockedWheel] = ()
    licences: dict[str, Licence] = field(default_factory=dict)
    wheel_licences: dict[str, str] = field(default_factory=dict)


def step(work: Work, tools: tree.Tools) -> None:
    """Body of the step `sbom` → out/<tree>.spdx.json for every tree.

    Options: distribution, version, packages (rows per tree), wheels (rows per tree); inputs: the trees.
    """
    for name, rows in work.options["packages"].items():
        root = work.inputs[name] / "rootfs"
        packages = tree.locked(rows)
        contents = Contents(
            packages,
            {package: tools.base.locator(package) for package in packages},
            locked_wheels(work.options["wheels"][name]),
            tools.base.licences(root, packages),
            wheel_licences(root),
        )
        made = document(name, contents, work.options["distribution"], work.options["version"], epoch=work.epoch)
        (work.out / f"{name}{SUFFIX}").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")


def wheel_licences(root: Path) -> dict[str, str]:
    """Licence of every wheel that is installed in a tree, by normalised name."""
    found = {}
    for metadata in sorted(root.glob("opt/asrbox/lib/python*/site-packages/*.dist-info/METADATA")):
        name = metadata.parent.name.partition("-")[0]
        found[_normalised(name)] = licences.of_wheel(metadata.read_text(encoding="utf-8", errors="replace"))
    return found


def document(tree: str, contents: Contents, distribution: str, version: str, *, epoch: int) -> dict[str, Any]:
    """The SPDX document of one tree; the same contents give the same document. `epoch` in seconds since 1970."""
    texts: dict[str, str] = {}
    parts = [_package(package, contents, texts) for package in sorted(contents.packages)]
    parts += [_wheel(wheel, contents) for wheel in sorted(contents.wheels)]
    whole: dict[str, Any] = {
        "SPDXID": "SPDXRef-tree",
        "name": f"{distribution}-{tree}",
        "versionInfo": version,
        "primaryPackagePurpose": "OPERATING-SYSTEM" if tree == "host" else "CONTAINER",
        **_unknown(),
    }
    relations = [_relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-tree")]
    relations += [_relation("SPDXRef-tree", "CONTAINS", part["SPDXID"]) for part in parts]
    made = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{distribution}-{version}-{tree}",
        "creationInfo": {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)), "creators": [CREATOR]},
        "packages": [whole, *parts],
        "relationships": relations,
    }
    if texts:
        made["hasExtractedLicensingInfos"] = [
            {"licenseId": reference, "name": reference.removeprefix("LicenseRef-"), "extractedText": text}
            for reference, text in sorted(texts.items())
        ]
    digest = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()
    return {**made, "documentNamespace": f"{NAMESPACE}/{distribution}-{version}-{tree}-{digest}"}


def _package(package: LockedPackage, contents: Contents, texts: dict[str, str]) -> dict[str, Any]:
    licence = contents.licences.get(package.name, Licence())
    texts.update(licence.texts)
    locator = contents.locators[package]
    return {
        "SPDXID": _identifier(locator.removeprefix("pkg:").partition("/")[0], package.name, package.architecture),
        "name": package.name,
        "versionInfo": package.version,
        "checksums": [{"algorithm": "SHA256", "checksumValue": package.sha256}],
        "sourceInfo": package.origin,
        **_unknown(),
        "licenseDeclared": licence.expression,
        "externalRefs": [_reference(locator)],
    }


def _wheel(wheel: LockedWheel, contents: Contents) -> dict[str, Any]:
    made = {
        "SPDXID": _identifier("pypi", wheel.name),
        "name": wheel.name,
        "versionInfo": wheel.version,
        **_unknown(),
        "licenseDeclared": contents.wheel_licences.get(_normalised(wheel.name), licences.NOT_KNOWN),
        "externalRefs": [_reference(f"pkg:pypi/{_quoted(wheel.name)}@{_quoted(wheel.version)}")],
    }
    if len(wheel.hashes) == 1:  # with several, the lock does not say which of the files was installed
        made["checksums"] = [{"algorithm": "SHA256", "checksumValue": wheel.hashes[0]}]
    return made


def _unknown() -> dict[str, Any]:
    """Fields that SPDX wants and that nobody has examined."""
    return {
        "downloadLocation": licences.NOT_KNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": licences.NOT_KNOWN,
        "licenseDeclared": licences.NOT_KNOWN,
        "copyrightText": licences.NOT_KNOWN,
    }


def _reference(locator: str) -> dict[str, str]:
    return {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}


def _relation(element: str, kind: str, related: str) -> dict[str, str]:
    return {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": related}


def _identifier(*parts: str) -> str:
    # only letters, digits, dot and dash are allowed: every other character becomes a code that stays unique
    clean = re.sub(r"[^A-Za-z0-9.-]", lambda found: f"-x{ord(found[0]):x}-", "-".join(parts))
    return f"SPDXRef-{clean}"


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
