"""The EL back end against the real dnf, curl and rpm and small signed repositories: what it takes, how it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder import lock
from builder.bases import LockedPackage, Sources, rpm_curl, rpm_keys
from builder.bases.rpm import RpmBase
from builder.errors import AsrboxError
from builder.manifest import ElManifest, base_manifest
from builder.yamlfile import read_yaml
from tests.services import rpm_mirror
from tests.services.mirror import Served, serve
from tests.services.rpm_mirror import RpmMirror, Spec
from tests.services.rpm_shelf import Shelf, base_of, everything, make_shelf, manifest, named, names

ROOT = Path(__file__).parents[2]
WANTED = {"host": ["greet"], "container": ["shell"], "routers": ["router"]}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    shelf = make_shelf(tmp_path_factory.mktemp("rpm"))
    yield shelf
    shelf.close()


@pytest.fixture(scope="module")
def locked(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[LockedPackage]]:
    """The lock of WANTED, made once."""
    return base_of(shelf, tmp_path_factory.mktemp("pool"), shelf.ready).resolve(WANTED)


@pytest.fixture
def mirror(shelf: Shelf, tmp_path: Path) -> RpmMirror:
    shutil.copytree(shelf.ready, tmp_path / "mirror")
    return RpmMirror(tmp_path / "mirror")


@pytest.fixture
def served(mirror: RpmMirror) -> Iterator[Served]:
    with serve(mirror.root) as served:
        yield served


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return tmp_path / "pool"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpm_curl, "PAUSES", (0, 0))


# resolve


def test_names_become_exact_packages_with_what_they_require_and_the_key_that_signed_them(shelf, mirror, served, pool):
    trees = base_of(shelf, pool, served.url).resolve(WANTED)

    assert names(trees["host"]) == ["greet", "libgreet", "shell"]
    assert names(trees["container"]) == ["shell"]
    (router,) = (package for package in trees["routers"] if package.name == "router")
    rpm = mirror.file("router").read_bytes()
    assert router == LockedPackage(
        name="router",
        version="1:2.0-1",
        architecture="noarch",
        sha256=hashlib.sha256(rpm).hexdigest(),
        size=len(rpm),
        origin="core Packages/router-2.0-1.noarch.rpm",
        key=rpm_mirror.fingerprint(shelf.signer),
    )


def test_a_weak_dependency_is_not_taken(shelf, served, pool):
    assert "weak" not in names(base_of(shelf, pool, served.url).resolve(WANTED)["host"])


def test_an_appliance_holds_only_what_it_adds_to_the_container(shelf, served, pool):
    trees = base_of(shelf, pool, served.url).resolve({**WANTED, "container": ["libgreet", "shell"]})

    assert names(trees["container"]) == ["libgreet", "shell"]
    assert names(trees["routers"]) == ["router"]


def test_a_package_that_a_repository_must_not_give_comes_from_the_other(shelf, served, pool):
    (agent,) = base_of(shelf, pool, served.url).resolve({"host": ["zabbix-agent"], "container": []})["host"]

    assert (agent.version, agent.origin) == ("7.0-1", "vendor Packages/zabbix-agent-7.0-1.noarch.rpm")


def test_of_a_module_the_default_stream_is_taken_though_another_is_newer(shelf, mirror, pool, tmp_path):
    for version in ("4.0", "5.0"):
        built = rpm_mirror.build([Spec("firedb", version)], tmp_path / version)
        mirror.put("extra", *built.values())
    rpm_mirror.sign(list(mirror.root.glob("extra/Packages/firedb-*.rpm")), shelf.signer)
    mirror.publish("extra")
    mirror.declare_module("extra", "firedb", {"4": "firedb-0:4.0-1.noarch", "5": "firedb-0:5.0-1.noarch"}, default="4")

    (package,) = base_of(shelf, pool, mirror.root).resolve({"host": ["firedb"], "container": []})["host"]

    assert package.version == "4.0-1"


def test_without_a_mirror_the_addresses_of_the_manifest_are_used(shelf, served, pool):
    base = RpmBase(manifest(shelf, served.url), Sources(pool))

    assert names(base.resolve(WANTED)["host"]) == ["greet", "libgreet", "shell"]


def test_a_mirror_with_the_layout_of_the_vendor_is_accepted(shelf, mirror, pool):
    (mirror.root / "BaseOS/x86_64").mkdir(parents=True)
    (mirror.root / "core").rename(mirror.root / "BaseOS/x86_64/os")

    assert names(base_of(shelf, pool, mirror.root).resolve(WANTED)["container"]) == ["shell"]


def test_a_lock_is_written_with_the_keys_and_read_back_the_same(shelf, served, pool, tmp_path):
    found = lock.resolve(base_of(shelf, pool, served.url), WANTED, "2026-11-22")
    lock.write(tmp_path / "tiny.json", found)

    assert f'"key": "{rpm_mirror.fingerprint(shelf.signer)}"' in (tmp_path / "tiny.json").read_text()
    assert lock.read(tmp_path / "tiny.json") == found


def test_an_unknown_package_is_named_with_its_tree(shelf, served, pool):
    with pytest.raises(AsrboxError, match=r"tree host: no repository of the base has the package nosuch-thing"):
        base_of(shelf, pool, served.url).resolve({"host": ["nosuch-thing", "greet"], "container": []})


def test_a_dependency_that_cannot_be_had_is_named(shelf, served, pool):
    with pytest.raises(AsrboxError, match=r"tree host: .*cannot be installed together.*libnowhere >= 3.*orphan"):
        base_of(shelf, pool, served.url).resolve({"host": ["orphan"], "container": []})


def test_a_missing_repository_is_named_and_never_left_out(shelf, mirror, served, pool):
    shutil.rmtree(mirror.root / "vendor")

    with pytest.raises(
        AsrboxError, match=rf"the mirror {served.url} has no repository vendor \(no {served.url}/vendor"
    ):
        base_of(shelf, pool, served.url).resolve(WANTED)


def test_metadata_that_does_not_match_its_index_is_refused(shelf, mirror, served, pool):
    (primary,) = (mirror.root / "core/repodata").glob("*-primary.xml.*")
    primary.write_bytes(b"not what repomd.xml says")

    with pytest.raises(AsrboxError, match=r"a repository cannot be read: .*core"):
        base_of(shelf, pool, served.url).resolve(WANTED)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://192.0.2.1"], ids=["refused", "silent"])
def test_a_mirror_that_does_not_answer_is_told_within_ten_seconds_with_three_ways_on(shelf, pool, address):
    started = time.monotonic()

    with pytest.raises(AsrboxError, match=rf"{address}/core/repodata/repomd.xml does not answer: ") as caught:
        base_of(shelf, pool, address).resolve(WANTED)

    assert time.monotonic() - started < 10
    assert "\n" not in caught.value.message
    for way in ("--mirror URL", "--mirror FOLDER", "--boot-iso FILE"):
        assert way in (caught.value.hint or "")


def test_a_folder_that_does_not_exist_is_no_mirror(shelf, pool, tmp_path):
    with pytest.raises(AsrboxError, match=r"the mirror .*/nowhere is no folder and no URL"):
        base_of(shelf, pool, tmp_path / "nowhere").resolve(WANTED)


# who signed


@pytest.mark.parametrize("action", ["resolve", "fetch"])
def test_an_unsigned_package_is_refused(shelf, mirror, served, pool, action, locked):
    packages = everything(locked)
    mirror.put("core", shelf.unsigned["greet"])
    mirror.publish("core")
    greet = shelf.unsigned["greet"].read_bytes()
    as_published = {"sha256": hashlib.sha256(greet).hexdigest(), "size": len(greet)}
    forged = [replace(package, **as_published) if package.name == "greet" else package for package in packages]
    base = base_of(shelf, pool, served.url)

    with pytest.raises(AsrboxError, match=r"^greet 1\.0-1 is not signed"):
        base.resolve(WANTED) if action == "resolve" else base.fetch(forged)

    assert not base.pool.file(named(forged, "greet")).exists()
    assert [path.name for path in pool.glob("*/partial/*.rpm")] == []


def test_a_package_signed_by_a_stranger_is_refused(shelf, mirror, served, pool):
    rpm_mirror.sign([mirror.file("greet")], shelf.stranger)
    mirror.publish("core")
    short = rpm_mirror.fingerprint(shelf.stranger)[-8:]

    with pytest.raises(AsrboxError, match=rf"^greet 1\.0-1 is signed with the key \w*{short}, .* does not trust"):
        base_of(shelf, pool, served.url).resolve(WANTED)


def test_a_key_given_by_hand_is_trusted_for_every_repository_and_told_about(shelf, mirror, served, pool, capsys):
    rpm_mirror.sign([mirror.file("greet")], shelf.stranger)
    mirror.publish("core")
    stranger = rpm_mirror.fingerprint(shelf.stranger)

    packages = base_of(shelf, pool, served.url, keyrings=(shelf.stranger.keyring,)).resolve(WANTED)["host"]

    assert named(packages, "greet").key == stranger
    assert f"the key {stranger} of --keyring is trusted for every repository" in capsys.readouterr().err
    with pytest.raises(AsrboxError, match=rf"greet 1\.0-1 is locked as signed with the key {stranger}, which is not"):
        base_of(shelf, pool, served.url).fetch(packages)


def test_a_lock_with_another_trusted_key_than_that_of_the_file_is_refused(shelf, served, pool, locked):
    packages = locked["host"]
    stranger = rpm_mirror.fingerprint(shelf.stranger)
    wrong = [replace(package, key=stranger) for package in packages if package.name == "greet"]

    with pytest.raises(AsrboxError, match=rf"greet 1\.0-1 is signed with the key \w{{40}}, not with {stranger}"):
        base_of(shelf, pool, served.url, keyrings=(shelf.stranger.keyring,)).fetch(wrong)


def test_a_key_with_another_fingerprint_than_the_pinned_one_is_refused(shelf, served, pool):
    wrong = manifest(shelf)
    for row in wrong["repositories"]:
        row["keys"] = [{**row["keys"][0], "file": str(shelf.stranger.keyring)}]

    with pytest.raises(AsrboxError, match=r"the key of .* has the fingerprint \w{40}, and \w{40} is pinned"):
        RpmBase(wrong, Sources(pool, mirror=served.url)).resolve(WANTED)


def test_a_published_key_is_fetched_once_and_checked(shelf, mirror, served, pool):
    (mirror.root / "key.asc").write_bytes(shelf.signer.keyring.read_bytes())
    published = manifest(shelf)
    for row in published["repositories"]:
        row["keys"] = [{**row["keys"][0], "file": None, "url": f"{served.url}/key.asc"}]
    packages = RpmBase(published, Sources(pool, mirror=served.url)).resolve(WANTED)["host"]

    RpmBase(published, Sources(pool, mirror=served.url)).fetch(packages)

    assert [path for path, _ in served.asked].count("/key.asc") == 1


def test_a_changed_byte_is_found_even_when_the_index_agrees_with_it(shelf, mirror, served, pool):
    path = mirror.file("greet")
    body = bytearray(path.read_bytes())
    body[-100] ^= 0xFF
    path.write_bytes(body)
    mirror.publish("core")

    with pytest.raises(AsrboxError, match=r"greet 1\.0-1: the file was changed after it was signed"):
        base_of(shelf, pool, served.url).resolve(WANTED)


# fetch


@pytest.mark.parametrize("kind", ["url", "folder"])
def test_fetched_files_are_in_the_pool_by_their_checksum(shelf, mirror, served, pool, kind, locked):
    where = served.url if kind == "url" else mirror.root
    packages = everything(locked)

    files = base_of(shelf, pool, where).fetch(packages)

    assert [path.name for path in files] == [f"{package.sha256}.rpm" for package in packages]
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in files] == [p.sha256 for p in packages]


def test_what_is_in_the_pool_is_not_asked_for_again(shelf, served, pool):
    packages = everything(base_of(shelf, pool, served.url).resolve(WANTED))
    served.asked.clear()

    base_of(shelf, pool, served.url).fetch(packages)

    assert served.asked == []


@pytest.mark.parametrize("change", ["same size", "longer"])
def test_a_tampered_file_is_named_and_stays_out_of_the_pool(shelf, mirror, served, pool, change, locked):
    packages = everything(locked)
    path = mirror.file("greet")
    body = bytearray(path.read_bytes())
    body[-100] ^= 0xFF
    path.write_bytes(body + (b"more" if change == "longer" else b""))

    with pytest.raises(AsrboxError, match=r"greet 1\.0-1: checksum mismatch: the file on the mirror is not the one"):
        base_of(shelf, pool, served.url).fetch(packages)

    there = {path.name for path in pool.glob("*.rpm")}
    assert there == {f"{package.sha256}.rpm" for package in packages if package.name != "greet"}


def test_a_lock_with_another_checksum_than_the_mirror_is_refused(shelf, served, pool, locked):
    packages = locked["host"]
    wrong = [replace(package, sha256="0" * 64) if package.name == "greet" else package for package in packages]

    with pytest.raises(AsrboxError, match=r"greet 1\.0-1: checksum mismatch: the lock says 0{64}, the mirror"):
        base_of(shelf, pool, served.url).fetch(wrong)


def test_a_package_that_has_left_the_mirror_is_missing_and_named(shelf, mirror, served, pool, locked):
    packages = locked["host"]
    mirror.file("greet").unlink()
    mirror.publish("core")
    base = base_of(shelf, pool, served.url)

    assert names(base.missing(packages)) == ["greet"]
    with pytest.raises(AsrboxError, match=r"the mirror has no greet 1\.0-1 any more \(in core\)") as caught:
        base.fetch(packages)
    assert caught.value.hint == "run: asrbox lock"


def test_a_listed_file_that_the_mirror_does_not_have_is_named(shelf, mirror, served, pool, locked):
    packages = locked["host"]
    mirror.file("libgreet").unlink()

    with pytest.raises(AsrboxError, match=r"libgreet 0\.9-1: the mirror lists it but does not have the file"):
        base_of(shelf, pool, served.url).fetch(packages)


def test_a_half_downloaded_file_is_resumed_by_the_next_build(shelf, mirror, served, pool, locked):
    packages = everything(locked)
    greet = named(packages, "greet")
    path = f"/{mirror.file('greet').relative_to(mirror.root)}"
    served.cut[path] = 100
    base = base_of(shelf, pool, served.url)

    with pytest.raises(AsrboxError, match=r"greet 1\.0-1 could not be fetched: .*bytes (remaining|missing)") as caught:
        base.fetch(packages)
    assert "goes on from here" in (caught.value.hint or "")
    assert not base.pool.file(greet).exists()
    served.cut.clear()
    served.asked.clear()
    base_of(shelf, pool, served.url).fetch(packages)

    (asked_range,) = [asked_range for asked, asked_range in served.asked if asked == path]
    assert asked_range is not None
    assert int(asked_range.removeprefix("bytes=").removesuffix("-")) >= greet.size // 2
    assert hashlib.sha256(base.pool.file(greet).read_bytes()).hexdigest() == greet.sha256


def test_a_connection_that_breaks_in_the_middle_of_a_file_does_no_harm(shelf, mirror, served, pool, locked):
    packages = everything(locked)
    path = f"/{mirror.file('greet').relative_to(mirror.root)}"
    served.asked.clear()
    served.cut[path] = 1

    base_of(shelf, pool, served.url).fetch(packages)

    assert [asked for asked, _ in served.asked].count(path) == 2


def test_a_file_that_is_not_there_is_named_though_another_one_had_to_be_tried_again(
    shelf, mirror, served, pool, locked
):
    mirror.file("libgreet").unlink()
    served.cut[f"/{mirror.file('greet').relative_to(mirror.root)}"] = 1
    base = base_of(shelf, pool, served.url)

    with pytest.raises(AsrboxError, match=r"libgreet 0\.9-1: the mirror lists it but does not have the file"):
        base.fetch(locked["host"])

    assert base.pool.file(named(locked["host"], "greet")).is_file()


def test_a_damaged_file_of_the_pool_is_fetched_again(shelf, served, pool, capsys):
    packages = everything(base_of(shelf, pool, served.url).resolve(WANTED))
    victim = base_of(shelf, pool, served.url).pool.file(packages[0])
    victim.write_bytes(b"half")

    base_of(shelf, pool, served.url).fetch(packages)

    assert hashlib.sha256(victim.read_bytes()).hexdigest() == packages[0].sha256
    assert f"the pool's file of {packages[0].name} {packages[0].version} is damaged" in capsys.readouterr().err


def test_offline_from_a_folder_works_as_with_a_mirror(shelf, mirror, pool):
    base = base_of(shelf, pool, mirror.root, offline=True)

    assert len(base.fetch(everything(base.resolve(WANTED)))) == 4


def in_empty_network(tmp_path: Path, shelf: Shelf, found: lock.Lock, pool: Path) -> subprocess.CompletedProcess[str]:
    """Run fetch_offline.py where there is no interface but a loopback that is down: a socket would lead nowhere."""
    lock.write(tmp_path / "tiny.json", found)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest(shelf)))
    script = ROOT / "tests/services/fetch_offline.py"
    command = ["unshare", "--net", sys.executable, script, tmp_path / "manifest.json", tmp_path / "tiny.json", pool]
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


def test_offline_in_an_empty_network_namespace_the_pool_is_enough(shelf, served, pool, tmp_path):
    found = lock.resolve(base_of(shelf, pool, served.url), WANTED, "2026-11-22")

    done = in_empty_network(tmp_path, shelf, found, pool)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"{package.sha256}.rpm" for package in found.packages()]


def test_offline_in_an_empty_network_namespace_an_absent_package_is_named(shelf, served, pool, tmp_path):
    found = lock.resolve(base_of(shelf, pool, served.url), WANTED, "2026-11-22")
    base_of(shelf, pool, served.url).pool.file(named(found.packages(), "greet")).unlink()

    done = in_empty_network(tmp_path, shelf, found, pool)

    assert done.returncode == 1
    assert f"offline, and the pool {pool} lacks: greet 1.0-1" in done.stderr


def test_offline_without_a_folder_nothing_is_resolved(shelf, pool):
    with pytest.raises(AsrboxError, match="offline: there is no mirror to take packages from"):
        base_of(shelf, pool, "http://127.0.0.1:1", offline=True).resolve(WANTED)


# what is shipped


@pytest.mark.parametrize("name", ["centos-stream-9", "centos-stream-10"])
def test_the_keys_in_the_checkout_are_those_that_the_base_pins_and_rpm_takes_them(tmp_path, name):
    shipped = base_manifest(read_yaml(ROOT / "distro/bases" / f"{name}.yaml"))
    assert isinstance(shipped, ElManifest)
    rows = [key.model_dump() for repository in shipped.repositories for key in repository.keys if key.file]

    keys = [rpm_keys.pinned(row, root=ROOT, cache=tmp_path, mirror=None, offline=True) for row in rows]

    assert [key.fingerprint for key in keys] == [row["fingerprint"] for row in rows]
    trust = rpm_keys.Trust(tmp_path / "trust", tuple(keys))
    trust.prepare()
    done = subprocess.run(
        ["rpm", "--dbpath", trust.folder, "-qa", "gpg-pubkey"], capture_output=True, text=True, check=True
    )
    assert len(done.stdout.splitlines()) == len({key.fingerprint for key in keys})
