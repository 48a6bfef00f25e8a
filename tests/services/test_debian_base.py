"""The Debian back end against a real apt and a small signed mirror: what it accepts, and how it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder import lock
from builder.bases import LockedPackage, Sources
from builder.bases.debian import DebianBase
from builder.errors import AsrboxError
from tests.services.mirror import COMPONENT, SUITE, Mirror, Served, Signer, serve

ROOT = Path(__file__).parents[2]
WANTED = {"host": ["greet"], "container": [], "routers": ["router"]}


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    signer = Signer(tmp_path_factory.mktemp("key") / "gnupg", "Tiny mirror")
    yield signer
    signer.close()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    stranger = Signer(tmp_path_factory.mktemp("stranger") / "gnupg", "Somebody else")
    yield stranger
    stranger.close()


@pytest.fixture
def mirror(tmp_path: Path, signer: Signer) -> Mirror:
    """Two packages that every tree has, a library, a program that needs it, and one with an epoch in its version."""
    mirror = Mirror(tmp_path / "mirror", tmp_path / "sources")
    mirror.add("base-files", essential=True)
    mirror.add("apt")
    mirror.add("libgreet", "0.9-1")
    mirror.add("greet", depends="libgreet (>= 0.9)", size=100_000)
    mirror.add("router", "1:2.0-1", depends="libgreet")
    mirror.publish(signer)
    return mirror


@pytest.fixture
def served(mirror: Mirror) -> Iterator[Served]:
    with serve(mirror.root) as served:
        yield served


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return tmp_path / "pool"


def manifest(signer: Signer, *more_suites: dict[str, object]) -> dict[str, object]:
    suite = {"suite": SUITE, "archive": "debian", "components": [COMPONENT]}
    return {
        "base": "tiny-1",
        "family": "debian",
        "architecture": "amd64",
        "keyrings": [str(signer.keyring)],
        "suites": [suite, *more_suites],
    }


def base_of(signer: Signer, pool: Path, mirror: str | Path | None, *, offline: bool = False) -> DebianBase:
    where = None if mirror is None else str(mirror)
    return DebianBase(manifest(signer), Sources(pool, mirror=where, offline=offline))


def names(packages: list[LockedPackage]) -> list[str]:
    return [package.name for package in packages]


def everything(trees: dict[str, list[LockedPackage]]) -> list[LockedPackage]:
    return sorted({package for tree in trees.values() for package in tree})


def test_names_become_exact_packages_with_dependencies_and_the_essential_set(signer, mirror, served, pool):
    trees = base_of(signer, pool, served.url).resolve(WANTED)

    assert names(trees["container"]) == ["apt", "base-files"]
    assert names(trees["host"]) == ["apt", "base-files", "greet", "libgreet"]
    router = trees["routers"][-1]
    deb = mirror.packages["router"].read_bytes()
    assert router == LockedPackage(
        name="router",
        version="1:2.0-1",
        architecture="all",
        sha256=hashlib.sha256(deb).hexdigest(),
        size=len(deb),
        origin=f"{SUITE}/{COMPONENT} pool/main/r/router/router_1%3a2.0-1_all.deb",
    )


def test_an_appliance_holds_only_what_it_adds_to_the_container(signer, served, pool):
    trees = base_of(signer, pool, served.url).resolve({**WANTED, "container": ["libgreet"]})

    assert names(trees["container"]) == ["apt", "base-files", "libgreet"]
    assert names(trees["routers"]) == ["router"]


@pytest.mark.parametrize("kind", ["url", "folder"])
def test_fetched_files_are_in_the_pool_by_their_checksum(signer, mirror, served, pool, kind):
    base = base_of(signer, pool, served.url if kind == "url" else mirror.root)
    packages = everything(base.resolve(WANTED))

    files = base.fetch(packages)

    assert [path.name for path in files] == [f"{package.sha256}.deb" for package in packages]
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in files] == [p.sha256 for p in packages]


def test_what_is_in_the_pool_is_not_asked_for_again(signer, served, pool):
    packages = everything(base_of(signer, pool, served.url).resolve(WANTED))
    base_of(signer, pool, served.url).fetch(packages)
    served.asked.clear()

    base_of(signer, pool, served.url).fetch(packages)

    assert served.asked == []


def test_an_unknown_package_is_named_with_its_tree(signer, served, pool):
    with pytest.raises(AsrboxError, match=r"tree host: no suite of the base has the package nosuch-thing"):
        base_of(signer, pool, served.url).resolve({"host": ["nosuch-thing"], "container": []})


def test_a_dependency_that_cannot_be_had_is_named(signer, mirror, served, pool):
    mirror.add("orphan", depends="libnowhere (>= 3)")
    mirror.publish(signer)

    with pytest.raises(AsrboxError, match=r"tree host: .*orphan : Depends: libnowhere \(>= 3\)"):
        base_of(signer, pool, served.url).resolve({"host": ["orphan"], "container": []})


def test_an_unsigned_release_is_refused(signer, mirror, served, pool):
    mirror.publish(None)

    with pytest.raises(AsrboxError, match=rf"{served.url} {SUITE}: its Release file is not signed"):
        base_of(signer, pool, served.url).resolve(WANTED)


def test_a_release_signed_by_an_unknown_key_is_refused(signer, stranger, mirror, served, pool):
    mirror.publish(stranger)

    with pytest.raises(AsrboxError, match=rf"{served.url} {SUITE}: .*signed with the key [0-9A-F]{{16,}}, which no"):
        base_of(signer, pool, served.url).resolve(WANTED)


def test_a_release_changed_after_signing_is_refused(signer, mirror, served, pool):
    release = mirror.root / "dists" / SUITE / "InRelease"
    release.write_text(release.read_text().replace("Suite: tiny", "Suite: evil"))

    with pytest.raises(AsrboxError, match=rf"{served.url} {SUITE}: the signature of its Release file is wrong"):
        base_of(signer, pool, served.url).resolve(WANTED)


def test_a_package_list_that_the_release_does_not_vouch_for_is_refused(signer, mirror, served, pool):
    listed = mirror.root / "dists" / SUITE / COMPONENT / "binary-amd64/Packages"
    listed.write_text(listed.read_text().replace("test package", "best package"))

    with pytest.raises(AsrboxError, match="a Packages file differs from the checksum in the signed Release file"):
        base_of(signer, pool, served.url).resolve(WANTED)


def test_a_missing_keyring_is_named(signer, served, pool, tmp_path):
    base = DebianBase(
        {**manifest(signer), "keyrings": [str(tmp_path / "no-such.gpg")]}, Sources(pool, mirror=served.url)
    )

    with pytest.raises(AsrboxError, match=r"the keyring .*no-such\.gpg does not exist"):
        base.resolve(WANTED)


@pytest.mark.parametrize("change", ["same size", "longer"])
def test_a_tampered_package_is_named_and_stays_out_of_the_pool(signer, mirror, served, pool, change):
    base = base_of(signer, pool, served.url)
    packages = everything(base.resolve(WANTED))
    deb = mirror.packages["greet"]
    body = bytearray(deb.read_bytes())
    body[-100] ^= 0xFF
    deb.write_bytes(body + (b"more" if change == "longer" else b""))

    with pytest.raises(AsrboxError, match=r"greet 1\.0-1: checksum mismatch"):
        base.fetch(packages)

    there = {path.name for path in pool.glob("*.deb")}
    assert there == {f"{package.sha256}.deb" for package in packages if package.name != "greet"}


def test_a_lock_with_another_checksum_than_the_mirror_is_refused(signer, served, pool):
    base = base_of(signer, pool, served.url)
    packages = base.resolve(WANTED)["host"]
    wrong = [replace(package, sha256="0" * 64) if package.name == "greet" else package for package in packages]

    with pytest.raises(AsrboxError, match=r"greet 1\.0-1: checksum mismatch: the lock says 0{64}, the mirror"):
        base.fetch(wrong)


def test_a_listed_file_that_the_mirror_does_not_have_is_named(signer, mirror, served, pool):
    base = base_of(signer, pool, served.url)
    packages = everything(base.resolve(WANTED))
    mirror.packages["libgreet"].unlink()

    with pytest.raises(AsrboxError, match=r"libgreet 0\.9-1: the mirror lists it but does not have the file"):
        base.fetch(packages)


def test_a_half_downloaded_file_is_resumed_by_the_next_build(signer, mirror, served, pool):
    base = base_of(signer, pool, served.url)
    packages = everything(base.resolve(WANTED))
    greet = next(package for package in packages if package.name == "greet")
    path = f"/{mirror.packages['greet'].relative_to(mirror.root)}"
    served.cut[path] = 100

    with pytest.raises(AsrboxError, match=r"greet 1\.0-1 could not be fetched"):
        base.fetch(packages)
    assert not base.pool_file(greet).exists()
    served.cut.clear()
    served.asked.clear()
    base_of(signer, pool, served.url).fetch(packages)

    (asked_range,) = [asked_range for asked, asked_range in served.asked if asked == path]
    assert asked_range is not None
    assert int(asked_range.removeprefix("bytes=").removesuffix("-")) >= greet.size // 2
    assert hashlib.sha256(base.pool_file(greet).read_bytes()).hexdigest() == greet.sha256


def test_a_connection_that_breaks_in_the_middle_of_a_file_does_no_harm(signer, mirror, served, pool):
    base = base_of(signer, pool, served.url)
    packages = everything(base.resolve(WANTED))
    path = f"/{mirror.packages['greet'].relative_to(mirror.root)}"
    served.cut[path] = 1

    base.fetch(packages)

    assert [asked for asked, _ in served.asked].count(path) == 2


def test_a_damaged_file_of_the_pool_is_fetched_again(signer, served, pool, capsys):
    base = base_of(signer, pool, served.url)
    packages = everything(base.resolve(WANTED))
    victim = base.fetch(packages)[0]
    body = bytearray(victim.read_bytes())
    body[20] ^= 0xFF
    victim.write_bytes(body)

    base_of(signer, pool, served.url).fetch(packages)

    assert hashlib.sha256(victim.read_bytes()).hexdigest() == packages[0].sha256
    assert f"the pool's file of {packages[0].name} {packages[0].version} is damaged" in capsys.readouterr().err


def test_offline_a_damaged_file_of_the_pool_is_named_and_kept(signer, served, pool):
    packages = everything(base_of(signer, pool, served.url).resolve(WANTED))
    victim = base_of(signer, pool, served.url).fetch(packages)[0]
    victim.write_bytes(b"half")

    with pytest.raises(AsrboxError, match=rf"the pool's file of {packages[0].name} .* is damaged: {victim}"):
        base_of(signer, pool, None, offline=True).fetch(packages)


def test_a_mirror_that_does_not_answer_is_named_with_a_hint(signer, served, pool):
    closed = "http://127.0.0.1:1"

    with pytest.raises(AsrboxError, match=rf"the mirror {closed}\S* .*does not answer.*Connection refused") as caught:
        base_of(signer, pool, closed).resolve(WANTED)

    assert caught.value.hint is not None
    assert "--offline" in caught.value.hint


def test_a_folder_that_is_no_mirror_is_refused(signer, pool, tmp_path):
    with pytest.raises(AsrboxError, match=rf"has no suite {SUITE} \(no .*dists/{SUITE}\)"):
        base_of(signer, pool, tmp_path).resolve(WANTED)


@pytest.mark.parametrize("kind", ["url", "folder"])
def test_a_suite_that_the_given_mirror_lacks_is_left_out_with_a_warning(signer, mirror, served, pool, capsys, kind):
    security = {"suite": "tiny-security", "archive": "debian-security", "components": [COMPONENT]}
    where = served.url if kind == "url" else str(mirror.root)

    trees = DebianBase(manifest(signer, security), Sources(pool, mirror=where)).resolve(WANTED)

    assert names(trees["container"]) == ["apt", "base-files"]
    assert f"the mirror {where} has no tiny-security: going on without it" in capsys.readouterr().err


def test_offline_from_a_folder_works_as_with_a_mirror(signer, mirror, pool):
    base = base_of(signer, pool, mirror.root, offline=True)

    assert len(base.fetch(everything(base.resolve(WANTED)))) == 5


def in_empty_network(tmp_path: Path, signer: Signer, found: lock.Lock, pool: Path) -> subprocess.CompletedProcess[str]:
    """Run fetch_offline.py where there is no interface but a loopback that is down: a socket would lead nowhere."""
    lock.write(tmp_path / "tiny.json", found)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest(signer)))
    script = ROOT / "tests/services/fetch_offline.py"
    command = ["unshare", "--net", sys.executable, script, tmp_path / "manifest.json", tmp_path / "tiny.json", pool]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_offline_in_an_empty_network_namespace_the_pool_is_enough(signer, served, pool, tmp_path):
    base = base_of(signer, pool, served.url)
    found = lock.resolve(base, WANTED, "2026-11-22")
    base.fetch(found.packages())

    done = in_empty_network(tmp_path, signer, found, pool)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"{package.sha256}.deb" for package in found.packages()]


def test_offline_in_an_empty_network_namespace_an_absent_package_is_named(signer, served, pool, tmp_path):
    base = base_of(signer, pool, served.url)
    found = lock.resolve(base, WANTED, "2026-11-22")
    base.fetch(found.packages())
    greet = next(package for package in found.packages() if package.name == "greet")
    base.pool_file(greet).unlink()

    done = in_empty_network(tmp_path, signer, found, pool)

    assert done.returncode == 1
    assert f"offline, and the pool {pool} lacks: greet 1.0-1" in done.stderr


def locked_then_moved_on(signer: Signer, mirror: Mirror, served: Served, tmp_path: Path) -> Path:
    """A committed lock, and a mirror that has a newer greet and no longer the locked one."""
    path = tmp_path / "locks/tiny-1.json"
    lock.write(path, lock.resolve(base_of(signer, tmp_path / "other-pool", served.url), WANTED, "2026-11-01"))
    mirror.remove("greet")
    mirror.add("greet", "1.1-1", depends="libgreet")
    mirror.publish(signer)
    return path


def test_a_lock_whose_package_left_the_mirror_is_refused_by_strict(signer, mirror, served, pool, tmp_path):
    path = locked_then_moved_on(signer, mirror, served, tmp_path)
    fresh = tmp_path / "build/tiny-1.lock.json"

    with pytest.raises(AsrboxError, match=r"greet 1\.0-1 has left the mirror and is not in the pool") as caught:
        lock.ensure(base_of(signer, pool, served.url), path, WANTED, mode="strict", fresh_path=fresh, made="2026-11-22")

    assert "asrbox lock" in str(caught.value)
    assert not fresh.exists()


def test_a_lock_whose_package_left_the_mirror_is_renewed_by_auto(signer, mirror, served, pool, tmp_path, capsys):
    path = locked_then_moved_on(signer, mirror, served, tmp_path)
    committed = path.read_text()
    fresh = tmp_path / "build/tiny-1.lock.json"

    found = lock.ensure(
        base_of(signer, pool, served.url), path, WANTED, mode="auto", fresh_path=fresh, made="2026-11-22"
    )

    assert "greet 1.0-1 → 1.1-1 (host)" in capsys.readouterr().err
    assert lock.read(fresh) == found
    assert path.read_text() == committed
    assert [path.exists() for path in base_of(signer, pool, served.url).fetch(found.packages())] == [True] * 5


def test_a_renewed_lock_serves_the_next_build_too(signer, mirror, served, pool, tmp_path):
    path = locked_then_moved_on(signer, mirror, served, tmp_path)
    fresh = tmp_path / "build/tiny-1.lock.json"
    first = lock.ensure(
        base_of(signer, pool, served.url), path, WANTED, mode="auto", fresh_path=fresh, made="2026-11-22"
    )
    base_of(signer, pool, served.url).fetch(first.packages())

    again = lock.ensure(
        base_of(signer, pool, served.url), path, WANTED, mode="auto", fresh_path=fresh, made="2026-11-23"
    )

    assert again == first
    assert again.made == "2026-11-22"


def test_a_lock_whose_packages_are_all_in_the_pool_needs_no_mirror(signer, mirror, served, pool, tmp_path):
    path = tmp_path / "tiny-1.json"
    base = base_of(signer, pool, served.url)
    committed = lock.resolve(base, WANTED, "2026-11-01")
    lock.write(path, committed)
    base.fetch(committed.packages())

    found = lock.ensure(
        base_of(signer, pool, "http://127.0.0.1:1"),
        path,
        WANTED,
        mode="strict",
        fresh_path=tmp_path / "fresh.json",
        made="2026-11-22",
    )

    assert found == committed
