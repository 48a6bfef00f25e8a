"""The bill of materials, held against the rules of SPDX 2.3 (the clauses named are those of the specification)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from builder import licences, sbom
from builder.bases import LockedPackage, Sources, back_end, package_url
from builder.licences import Licence
from builder.sbom import Contents, document
from builder.step import Work
from builder.tree import Tools
from builder.wheels import LockedWheel

EPOCH = 1763769600
OPENSSL = LockedPackage(
    "libssl3t64", "3.5.4-1~deb13u1", "amd64", "a" * 64, 2437000, "trixie/main pool/main/o/openssl/libssl3t64.deb"
)
CXX = LockedPackage("libstdc++6", "1:14.2.0-19", "amd64", "b" * 64, 717000, "trixie/main pool/main/g/gcc-14/x.deb")
FLASK = LockedWheel("flask", "3.1.3", ("c" * 64,))
MARKUPSAFE = LockedWheel("markupsafe", "3.0.4", ("d" * 64, "e" * 64))

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: example

Files: *
Copyright: 2001-2026 Somebody
License: GPL-2+ and BSD-3-clause

Files: lib/*
Copyright: 2010 Somebody Else
License: LGPL-2.1 or MPL-1.1

Files: tables/*
Copyright: 2012 A Committee
License: Committee

Files: debian/*
Copyright: 2020 A Packager
License: GPL-2+ and BSD-3-clause

License: GPL-2+
 This program is free software.

License: Committee
 Use these tables
 .
 as you like.
"""


def made(*packages: LockedPackage, wheels: tuple[LockedWheel, ...] = (), **known: Any) -> dict[str, Any]:
    locators = {one: package_url("deb", "debian", one, one.origin.partition("/")[0]) for one in packages}
    return document("auth", Contents(packages, locators, wheels, **known), "asrbox", "0.1.0", epoch=EPOCH)


def entry(whole: dict[str, Any], name: str) -> dict[str, Any]:
    return next(package for package in whole["packages"] if package["name"] == name)


def test_the_head_of_the_document() -> None:
    whole = made(OPENSSL)
    assert whole["spdxVersion"] == "SPDX-2.3"  # 6.1
    assert whole["dataLicense"] == "CC0-1.0"  # 6.2
    assert whole["SPDXID"] == "SPDXRef-DOCUMENT"  # 6.3
    assert whole["creationInfo"] == {"created": "2025-11-22T00:00:00Z", "creators": ["Tool: asrbox"]}  # 6.8, 6.9
    assert re.fullmatch(r"https://[^#]+/asrbox-0\.1\.0-auth-[0-9a-f]{64}", whole["documentNamespace"])  # 6.5: no #


def test_a_debian_package() -> None:
    package = entry(made(CXX), "libstdc++6")
    assert package["versionInfo"] == "1:14.2.0-19"
    assert package["checksums"] == [{"algorithm": "SHA256", "checksumValue": "b" * 64}]
    assert package["filesAnalyzed"] is False
    assert package["externalRefs"] == [
        {
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": "pkg:deb/debian/libstdc%2B%2B6@1%3A14.2.0-19?arch=amd64&distro=trixie",
        }
    ]


def test_a_wheel_with_one_checksum_and_one_with_several() -> None:
    whole = made(wheels=(FLASK, MARKUPSAFE), wheel_licences={"flask": "BSD-3-Clause"})
    assert entry(whole, "flask")["checksums"] == [{"algorithm": "SHA256", "checksumValue": "c" * 64}]
    assert entry(whole, "flask")["licenseDeclared"] == "BSD-3-Clause"
    assert entry(whole, "flask")["externalRefs"][0]["referenceLocator"] == "pkg:pypi/flask@3.1.3"
    assert "checksums" not in entry(whole, "markupsafe")
    assert entry(whole, "markupsafe")["licenseDeclared"] == "NOASSERTION"


def test_every_identifier_is_allowed_unique_and_related() -> None:
    whole = made(OPENSSL, CXX, wheels=(FLASK, MARKUPSAFE))
    identifiers = [package["SPDXID"] for package in whole["packages"]]
    assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", identifier) for identifier in identifiers)  # 7.2
    assert len(set(identifiers)) == len(identifiers)
    related = {relation["relatedSpdxElement"] for relation in whole["relationships"]}
    assert related == set(identifiers)
    assert {"DESCRIBES", "CONTAINS"} == {relation["relationshipType"] for relation in whole["relationships"]}


def test_every_field_that_a_package_must_have_is_there() -> None:
    for package in made(OPENSSL, wheels=(FLASK,))["packages"]:
        assert {"SPDXID", "name", "downloadLocation"} <= set(package)  # 7.1, 7.2, 7.7
        assert {"licenseConcluded", "licenseDeclared", "copyrightText"} <= set(package)


def test_the_same_contents_in_another_order_give_the_same_document() -> None:
    assert made(OPENSSL, CXX, wheels=(FLASK, MARKUPSAFE)) == made(CXX, OPENSSL, wheels=(MARKUPSAFE, FLASK))


def test_other_contents_have_another_namespace() -> None:
    assert made(OPENSSL)["documentNamespace"] != made(CXX)["documentNamespace"]


def test_licences_that_spdx_does_not_know_come_with_their_text() -> None:
    whole = made(OPENSSL, licences={"libssl3t64": licences.parse_copyright(COPYRIGHT, "libssl3t64")})
    known = {item["licenseId"]: item["extractedText"] for item in whole["hasExtractedLicensingInfos"]}
    used = set(re.findall(r"LicenseRef-[A-Za-z0-9.-]+", entry(whole, "libssl3t64")["licenseDeclared"]))
    assert used == set(known) == {"LicenseRef-libssl3t64-Committee"}  # 10.1: every reference is explained
    assert known["LicenseRef-libssl3t64-Committee"].startswith("Use these tables")


def test_a_machine_readable_copyright_file_becomes_an_expression() -> None:
    assert licences.parse_copyright(COPYRIGHT, "p").expression == (
        "GPL-2.0-or-later AND BSD-3-Clause AND (LGPL-2.1-only OR MPL-1.1) AND LicenseRef-p-Committee"
    )


def test_a_copyright_file_in_free_prose_asserts_nothing() -> None:
    prose = "This package was debianized by somebody.\n\nIt is licensed under the GPL."
    assert licences.parse_copyright(prose, "p") == Licence("NOASSERTION", {})


@pytest.mark.parametrize(
    ("debian", "spdx"),
    [
        ("GPL-3+", "GPL-3.0-or-later"),
        ("GPL-2", "GPL-2.0-only"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("Expat", "MIT"),
        ("Artistic or GPL-1+", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
        ("GPL-2+ with OpenSSL exception", "LicenseRef-p-GPL-2-with-OpenSSL-exception"),
        ("public-domain", "LicenseRef-p-public-domain"),
    ],
)
def test_names_of_licences(debian: str, spdx: str) -> None:
    text = f"Format: 1.0\n\nFiles: *\nCopyright: x\nLicense: {debian}\n"
    assert licences.parse_copyright(text, "p").expression == spdx


@pytest.mark.parametrize(
    ("metadata", "spdx"),
    [
        ("Name: a\nLicense-Expression: MIT OR Apache-2.0\n", "MIT OR Apache-2.0"),
        ("Name: a\nClassifier: License :: OSI Approved :: MIT License\n", "MIT"),
        ("Name: a\nClassifier: License :: OSI Approved :: BSD License\n", "NOASSERTION"),
        ("Name: a\nLicense: see the file\n", "NOASSERTION"),
    ],
)
def test_licences_of_wheels(metadata: str, spdx: str) -> None:
    assert licences.of_wheel(metadata) == spdx


def test_shared_documents_are_followed_inside_the_tree(tmp_path: Path) -> None:
    documents = tmp_path / "usr/share/doc"
    (documents / "openssl").mkdir(parents=True)
    (documents / "openssl/copyright").write_text("Format: 1.0\n\nFiles: *\nLicense: Apache-2.0\n")
    (documents / "libssl3t64").symlink_to("openssl")
    assert licences.of_debian_package(tmp_path, "libssl3t64").expression == "Apache-2.0"


def test_a_link_out_of_the_tree_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("Format: 1.0\n\nFiles: *\nLicense: Apache-2.0\n")
    documents = tmp_path / "tree/usr/share/doc/p"
    documents.mkdir(parents=True)
    (documents / "copyright").symlink_to("../../../../../secret")
    assert licences.of_debian_package(tmp_path / "tree", "p").expression == "NOASSERTION"


def test_the_step_writes_one_document_per_tree(tmp_path: Path) -> None:
    trees = {}
    for name in ("host", "auth"):
        trees[name] = tmp_path / name
        (trees[name] / "rootfs/usr/share/doc").mkdir(parents=True)
    out = tmp_path / "out"
    out.mkdir()
    options = {
        "distribution": "asrbox",
        "version": "0.1.0",
        "packages": {name: [["libssl3t64", "3.5.4-1", "amd64", "a" * 64, 1, "trixie/main x"]] for name in trees},
        "wheels": {name: [] for name in trees},
    }
    debian = back_end({"family": "debian", "architecture": "amd64"}, Sources(tmp_path / "pool"))
    tools = Tools(debian, tmp_path / "wheels", offline=True, root=tmp_path)
    sbom.step(Work(out=out, inputs=trees, options=options, log=tmp_path / "log", epoch=EPOCH), tools)
    assert sorted(path.name for path in out.iterdir()) == ["auth.spdx.json", "host.spdx.json"]
    host = json.loads((out / "host.spdx.json").read_text())
    assert host["packages"][0]["primaryPackagePurpose"] == "OPERATING-SYSTEM"  # 7.24
    assert entry(host, "libssl3t64")["versionInfo"] == "3.5.4-1"
