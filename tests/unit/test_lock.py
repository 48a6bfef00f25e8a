"""The lock file: its text, what changed between two, and when it has to be renewed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from builder import lock
from builder.bases import Base, LockedPackage, Sources
from builder.errors import AsrboxError
from builder.licences import Licence
from builder.lock import Lock


def package(name: str, version: str = "1.0-1", digit: str = "a") -> LockedPackage:
    return LockedPackage(name, version, "amd64", digit * 64, 1000, f"trixie/main pool/main/{name}_{version}_amd64.deb")


KERNEL = package("linux-image-amd64", "6.12.48-1")
SSL = package("openssl", "3.5.1-1")
WANTED = {"host": ["linux-image-amd64", "openssl"], "container": ["openssl"], "auth": []}
LOCK = Lock("debian-13", "2026-11-22", WANTED, {"host": [KERNEL, SSL], "container": [SSL], "auth": []})


class Shelf(Base, family="shelf"):
    """A base whose mirror has exactly the packages on `shelf`; it counts how often it is asked to resolve."""

    def __init__(self, *shelf: LockedPackage) -> None:
        super().__init__({"base": "debian-13"}, Sources(Path("pool")))
        self.shelf = {package.name: package for package in shelf}
        self.resolved = 0

    def resolve(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, list[LockedPackage]]:
        self.resolved += 1
        return {tree: sorted(self.shelf[name] for name in names) for tree, names in wanted.items()}

    def missing(self, packages: Sequence[LockedPackage]) -> list[LockedPackage]:
        return [package for package in packages if package not in self.shelf.values()]

    def fetch(self, packages: Sequence[LockedPackage]) -> list[Path]:
        raise NotImplementedError

    def bootstrap(self, tree: Path, packages: Sequence[LockedPackage], *, epoch: int, log: Path) -> None:
        raise NotImplementedError

    def add(self, tree: Path, packages: Sequence[LockedPackage], *, epoch: int, log: Path) -> None:
        raise NotImplementedError

    def licences(self, tree: Path, packages: Sequence[LockedPackage]) -> dict[str, Licence]:
        raise NotImplementedError

    def locator(self, package: LockedPackage) -> str:
        raise NotImplementedError


def ensure(base: Base, folder: Path, wanted: Mapping[str, Sequence[str]] = WANTED, mode: lock.Mode = "auto") -> Lock:
    return lock.ensure(
        base, folder / "lock.json", wanted, mode=mode, fresh_path=folder / "build/fresh.json", made="2026-12-01"
    )


def test_a_lock_is_read_back_as_it_was_written(tmp_path):
    lock.write(tmp_path / "deep/lock.json", LOCK)

    assert lock.read(tmp_path / "deep/lock.json") == LOCK


def test_the_file_is_json_sorted_and_has_one_package_per_line():
    shuffled = Lock("debian-13", "2026-11-22", WANTED, {"host": [SSL, KERNEL], "auth": [], "container": [SSL]})

    text = lock.render(shuffled)

    assert text == lock.render(LOCK)
    assert list(json.loads(text)["trees"]) == ["auth", "container", "host"]
    rows = [line for line in text.splitlines() if '"sha256"' in line]
    assert [json.loads(row.strip().rstrip(","))["name"] for row in rows] == ["openssl", "linux-image-amd64", "openssl"]


def test_a_lock_of_nothing_is_json_too():
    assert json.loads(lock.render(Lock("b", "2026-01-01", {}, {}))) == {
        "base": "b",
        "made": "2026-01-01",
        "wanted": {},
        "trees": {},
    }


@pytest.mark.parametrize(
    ("trees", "lines"),
    [
        ({"host": [KERNEL, SSL], "container": [SSL]}, []),
        (
            {"host": [package("linux-image-amd64", "6.12.57-1"), SSL], "container": [SSL]},
            ["linux-image-amd64 6.12.48-1 → 6.12.57-1 (host)"],
        ),
        (
            {"host": [KERNEL, package("openssl", "3.5.4-1")], "container": [package("openssl", "3.5.4-1")]},
            ["openssl 3.5.1-1 → 3.5.4-1 (container, host)"],
        ),
        ({"host": [KERNEL, SSL], "container": []}, ["openssl 3.5.1-1 is gone (container)"]),
        ({"host": [KERNEL, SSL, package("curl", "8.1")], "container": [SSL]}, ["curl 8.1 is new (host)"]),
        (
            {"host": [KERNEL, SSL], "container": [replace(SSL, sha256="b" * 64)]},
            ["openssl 3.5.1-1 has other contents (container)"],
        ),
    ],
)
def test_a_diff_reads_well(trees, lines):
    assert lock.diff(LOCK, replace(LOCK, trees={**trees, "auth": []})) == lines


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:200], r"lock\.json:\d+: no JSON: "),
        (lambda text: text.replace('"size": 1000', '"size": "big"', 1), r"lock\.json:12: .*size of openssl is 'big'"),
        (lambda text: text.replace('"version"', '"versoin"', 1), r"lock\.json:12: .*a package has the keys"),
        (lambda text: text.replace('"trees"', '"threes"'), r"lock\.json: not a lock of packages .*'trees'"),
        (lambda _: "[]", r"lock\.json: not a lock of packages"),
    ],
)
def test_a_damaged_lock_is_told_with_file_line_and_remedy(tmp_path, damage, message):
    path = tmp_path / "lock.json"
    path.write_text(damage(lock.render(LOCK)))

    with pytest.raises(AsrboxError, match=message) as caught:
        lock.read(path)

    assert caught.value.hint is not None
    assert "asrbox lock" in caught.value.hint


def test_a_lock_that_serves_is_taken_and_nothing_is_resolved(tmp_path):
    lock.write(tmp_path / "lock.json", LOCK)
    base = Shelf(KERNEL, SSL)

    assert ensure(base, tmp_path, mode="strict") == LOCK
    assert base.resolved == 0


def test_strict_names_every_package_that_left_the_mirror(tmp_path):
    lock.write(tmp_path / "lock.json", LOCK)

    with pytest.raises(AsrboxError) as caught:
        ensure(Shelf(package("openssl", "3.5.4-1")), tmp_path, mode="strict")

    assert "linux-image-amd64 6.12.48-1 has left the mirror" in str(caught.value)
    assert "openssl 3.5.1-1 has left the mirror" in str(caught.value)
    assert "asrbox lock" in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({**WANTED, "container": ["openssl", "curl"]}, "curl is wanted in container but not in the lock"),
        ({**WANTED, "host": ["openssl"]}, "linux-image-amd64 is locked for host but no longer wanted"),
        ({**WANTED, "billing": []}, "the tree billing is not in the lock"),
        ({"host": WANTED["host"], "container": ["openssl"]}, "the tree auth is in the lock but in no manifest"),
    ],
)
def test_strict_refuses_a_lock_of_other_manifests(tmp_path, wanted, message):
    lock.write(tmp_path / "lock.json", LOCK)

    with pytest.raises(AsrboxError, match=message):
        ensure(Shelf(KERNEL, SSL, package("curl")), tmp_path, wanted, mode="strict")


def test_auto_resolves_again_tells_what_changed_and_leaves_the_committed_lock_alone(tmp_path, capsys):
    lock.write(tmp_path / "lock.json", LOCK)
    committed = (tmp_path / "lock.json").read_text()

    found = ensure(Shelf(package("linux-image-amd64", "6.12.57-1"), SSL), tmp_path)

    assert "linux-image-amd64 6.12.48-1 → 6.12.57-1 (host)" in capsys.readouterr().err
    assert (found.made, found.wanted) == ("2026-12-01", WANTED)
    assert lock.read(tmp_path / "build/fresh.json") == found
    assert (tmp_path / "lock.json").read_text() == committed


def test_a_fresh_lock_is_taken_again_while_it_serves(tmp_path):
    lock.write(tmp_path / "lock.json", LOCK)
    base = Shelf(package("linux-image-amd64", "6.12.57-1"), SSL)
    first = ensure(base, tmp_path)

    assert ensure(base, tmp_path) == first
    assert base.resolved == 1


def test_a_fresh_lock_is_forgotten_when_the_committed_one_changes(tmp_path):
    lock.write(tmp_path / "lock.json", LOCK)
    base = Shelf(package("linux-image-amd64", "6.12.57-1"), SSL)
    ensure(base, tmp_path)
    lock.write(tmp_path / "lock.json", replace(LOCK, made="2026-11-30"))

    ensure(base, tmp_path)

    assert base.resolved == 2


def test_without_a_lock_auto_resolves_and_strict_refuses(tmp_path):
    base = Shelf(KERNEL, SSL)

    with pytest.raises(AsrboxError, match="there is no lock"):
        ensure(base, tmp_path, mode="strict")
    assert ensure(base, tmp_path).trees == LOCK.trees
