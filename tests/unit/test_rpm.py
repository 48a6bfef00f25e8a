"""The EL back end without its programs: what rpm's words mean, a lock, addresses, the manifests of the bases."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from builder import lock, pipeline
from builder.bases import LockedPackage, Sources, back_end, rpm_curl
from builder.bases.rpm_database import seal
from builder.bases.rpm_keys import Key, Trust, _fingerprints
from builder.bases.rpm_repositories import as_url, find, rows_named
from builder.bases.rpm_tree import failed_scriptlets
from builder.errors import AsrboxError
from builder.lock import Lock
from builder.manifest import DebianManifest, ElManifest, base_manifest
from builder.yamlfile import read_yaml

from .conftest import ROOT

BASES = ROOT / "distro/bases"
EL9 = BASES / "centos-stream-9.yaml"
KEY = "99DB70FAE1D7CE227FB6488205B555B38483C65D"
BASH = LockedPackage("bash", "5.1.8-9.el9", "x86_64", "a" * 64, 1000, "baseos Packages/bash.rpm", KEY)
DEB = LockedPackage("bash", "5.2", "amd64", "b" * 64, 1000, "trixie/main pool/b/bash.deb")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "warning: %post(kernel-core-5.14.0-1.el9.x86_64) scriptlet failed, exit status 3",
            "%post of kernel-core-5.14.0-1.el9.x86_64 (exit status 3)",
        ),
        ("error: %prein(a-1-1.noarch) scriptlet failed, signal 9", "%prein of a-1-1.noarch (signal 9)"),
        ("Error in POSTIN scriptlet in rpm package glibc", "%POSTIN of glibc"),
        (
            'error: lua script failed: [string "%post(filesystem-3.16-5.el9.x86_64)"]:1: boom',
            "%post of filesystem-3.16-5.el9.x86_64 (1: boom)",
        ),
    ],
)
def test_a_failed_scriptlet_is_found_in_what_rpm_prints(line: str, told: str) -> None:
    assert failed_scriptlets(f"before\n{line}\nafter") == [told]


@pytest.mark.parametrize("line", ["the scriptlet failed to be funny", "warning: /etc/passwd created as .rpmnew", ""])
def test_other_lines_are_no_failure(line: str) -> None:
    assert failed_scriptlets(line) == []


def database(path: Path, *history: str) -> Path:
    """A database in the way of rpm's: a table with an index, written in turns through a journal beside the file."""
    path.unlink(missing_ok=True)
    statements = ["PRAGMA journal_mode = WAL", "CREATE TABLE packages (id INTEGER PRIMARY KEY, name TEXT, blob BLOB)"]
    statements += ["CREATE INDEX names ON packages (name)", *history]
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    return path


def test_a_sealed_database_depends_on_its_rows_alone(tmp_path: Path) -> None:
    rows = [f"INSERT INTO packages VALUES ({number}, 'p{number}', zeroblob({number * 500}))" for number in range(1, 60)]
    other = "INSERT INTO packages VALUES (99, 'left again', randomblob(9000))"
    straight = database(tmp_path / "straight", *rows)
    detour = database(tmp_path / "detour", *reversed(rows), other, "DELETE FROM packages WHERE id = 99", "ANALYZE")
    assert straight.read_bytes() != detour.read_bytes()
    database(tmp_path / "analyzed", *rows, "ANALYZE").rename(straight)  # rpm itself asks for it when it closes

    seal(straight)
    seal(detour)

    assert straight.read_bytes() == detour.read_bytes()
    with contextlib.closing(sqlite3.connect(straight)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*), sum(length(blob)) FROM packages").fetchone() == (59, 885_000)


def test_only_a_package_with_a_key_of_its_own_has_that_column(tmp_path: Path) -> None:
    mixed = Lock("b", "2026-11-22", {"host": ["bash"]}, {"host": [BASH, DEB]})
    lock.write(tmp_path / "lock.json", mixed)

    rows = json.loads((tmp_path / "lock.json").read_text())["trees"]["host"]
    assert [list(row)[6:] for row in rows] == [["key"], []]
    assert lock.read(tmp_path / "lock.json") == Lock(
        "b", "2026-11-22", {"host": ["bash"]}, {"host": sorted([BASH, DEB])}
    )


def test_the_options_of_a_step_have_the_key_only_where_there_is_one() -> None:
    assert pipeline._rows([BASH, DEB]) == [
        ["bash", "5.1.8-9.el9", "x86_64", "a" * 64, 1000, "baseos Packages/bash.rpm", KEY],
        ["bash", "5.2", "amd64", "b" * 64, 1000, "trixie/main pool/b/bash.deb"],
    ]


def test_a_url_keeps_what_a_mirror_expects_and_quotes_the_rest() -> None:
    url = "https://mirror.example.org/rhel+epel-10/Packages/a^1 b.rpm"
    assert rpm_curl._quoted(url) == "https://mirror.example.org/rhel+epel-10/Packages/a%5E1%20b.rpm"


def test_a_folder_and_its_file_url_are_the_same(tmp_path: Path) -> None:
    odd = tmp_path / "a folder+with%signs"
    odd.mkdir()
    assert rpm_curl.local_path(as_url(str(odd))) == odd


def test_a_repository_is_found_by_its_name_before_the_layout_of_the_vendor(tmp_path: Path) -> None:
    row = {"name": "baseos", "url": "http://127.0.0.1:1", "on_mirrors": ["BaseOS/x86_64/os"], "keys": []}
    vendor, ours = tmp_path / "BaseOS/x86_64/os/repodata", tmp_path / "baseos/repodata"
    vendor.mkdir(parents=True)
    (vendor / "repomd.xml").touch()
    assert find(row, str(tmp_path)).url == f"file://{vendor.parent}"

    ours.mkdir(parents=True)
    (ours / "repomd.xml").touch()
    assert find(row, str(tmp_path)).url == f"file://{ours.parent}"


def test_a_repository_of_the_lock_that_the_base_does_not_have_is_named() -> None:
    with pytest.raises(AsrboxError, match="from the repository fedora, which the base centos-stream-9 does not have"):
        rows_named(base_manifest(read_yaml(EL9)).model_dump(), ["baseos", "fedora"])


def test_fingerprints_of_a_key_are_those_of_its_parts_too() -> None:
    colons = "pub:-:x\nfpr:::::::::AAAA:\nuid:-\nsub:-\nfpr:::::::::BBBB:\npub:-\nfpr:::::::::CCCC:\n"
    assert _fingerprints(colons) == [("AAAA", "BBBB"), ("CCCC",)]


@pytest.mark.parametrize(
    ("good", "lines", "told"),
    [
        (True, ["Header V4 RSA/SHA256 Signature, key ID 8483c65d: OK", "Payload SHA256 digest: OK"], KEY),
        (True, [f"Header OpenPGP V4 RSA/SHA256 signature, key fingerprint: {KEY.lower()}: OK"], KEY),
        (True, ["Header V4 RSA/SHA256 Signature, key ID 00000ABC: OK"], KEY),
        (False, ["Header V4 RSA/SHA256 Signature, key ID 8483c65d: OK", "Payload SHA256 digest: NOTFOUND"],
         "bash: rpm does not vouch for the whole file: "),
        (False, ["Header V4 RSA/SHA256 Signature, key ID 8483c65d: OK", "MD5 digest: BAD (Expected 1 != 2)"],
         "bash: the file was changed after it was signed"),
        (False, ["Header V4 EdDSA/SHA256 Signature, key ID ce102b32: NOKEY"],
         "bash is signed with the key CE102B32, which its repository does not trust"),
        (False, ["RSA signature: NOTFOUND", "MD5 digest: OK"], "bash is not signed"),
    ],
)  # fmt: skip
def test_what_rpmkeys_says_of_a_file(good: bool, lines: list[str], told: str) -> None:
    trust = Trust(Path("nowhere"), (Key(KEY, (KEY, "F" * 32 + "00000ABC"), ""),))

    assert str(trust._verdict("bash", good, lines)).startswith(told)


@pytest.mark.parametrize("name", ["centos-stream-9", "centos-stream-10"])
def test_the_bases_of_centos_are_whole(name: str) -> None:
    manifest = base_manifest(read_yaml(BASES / f"{name}.yaml"))

    assert isinstance(manifest, ElManifest)
    names = [repository.name for repository in manifest.repositories]
    assert names == ["baseos", "appstream", "crb", "extras-common", "epel", "zabbix", "incus"]
    assert manifest.interpreter == "python3.12"
    assert manifest.repositories[4].exclude == ["zabbix*"]
    assert all((ROOT / key.file).is_file() for part in manifest.repositories for key in part.keys if key.file)
    assert back_end(manifest.model_dump(), Sources(Path("pool"))).options == {"rpmdb": manifest.rpmdb}


def test_the_base_of_debian_is_read_as_before() -> None:
    assert isinstance(base_manifest(read_yaml(BASES / "debian-13.yaml")), DebianManifest)


MISTAKES = [
    ("family: el", "family: suse", "centos-stream-9.yaml:3: family: input should be 'debian' or 'el', not 'suse'"),
    ("rpmdb: /var/lib/rpm", "rpmbd: /var/lib/rpm", "centos-stream-9.yaml:10: rpmbd: there is no such key"),
    ("    exclude: [", "    excludes: [",
     "repositories.4.excludes: there is no such key\n  hint: known keys: exclude, keys, name, on_mirrors, url"),
    (KEY, KEY[:39],
     f"repositories.0.keys.0.fingerprint: string should match pattern '^[0-9A-F]{{40}}$', not '{KEY[:39]}'"),
    (", file: distro/keys/centos.asc", "", "repositories.0.keys.0: a key comes from either `file` or `url`"),
    ("name: crb", "name: baseos", "centos-stream-9.yaml:2: two repositories are called baseos"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES, ids=[mistake[1].strip()[:30] for mistake in MISTAKES])
def test_a_mistake_in_a_base_is_told_with_file_line_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = EL9.read_text()
    assert old in text
    (tmp_path / EL9.name).write_text(text.replace(old, new, 1))

    with pytest.raises(AsrboxError) as caught:
        base_manifest(read_yaml(tmp_path / EL9.name))

    assert message in str(caught.value)
