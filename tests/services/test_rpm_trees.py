"""Root trees out of RPMs by the real rpm, and a mirror folder that is carried along."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import lock, mirror
from builder.bases import LockedPackage, Sources, rpm_database
from builder.bases.debian import DebianBase
from builder.bases.rpm import RpmBase
from builder.errors import AsrboxError
from tests.services import rpm_mirror
from tests.services.rpm_mirror import RpmMirror
from tests.services.rpm_shelf import Shelf, base_of, make_shelf, manifest, names

ROOT = Path(__file__).parents[2]
EPOCH = 1_790_000_000  # seconds: a day in September 2026
WANTED = {
    "host": ["greet", "kernel-tiny", "policy"],
    "container": ["shell"],
    "routers": ["router"],
    "broken": ["broken"],
    "broken-lua": ["broken-lua"],
    "agent": ["zabbix-agent"],
}
BUILD_OFFLINE = """
import json, sys
from pathlib import Path
from builder import lock
from builder.bases import Sources, back_end
manifest, mirror, pool, tree = sys.argv[1:]
base = back_end(json.loads(Path(manifest).read_text()), Sources(Path(pool), mirror=mirror, offline=True))
packages = lock.read(Path(mirror) / "lock.json").trees["container"]
base.fetch(packages)
base.bootstrap(Path(tree), packages, epoch=1790000000, log=Path(tree + ".log"))
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    shelf = make_shelf(tmp_path_factory.mktemp("rpm"))
    yield shelf
    shelf.close()


@pytest.fixture(scope="module")
def base(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> RpmBase:
    return base_of(shelf, tmp_path_factory.mktemp("pool"), shelf.ready)


@pytest.fixture(scope="module")
def trees(base: RpmBase) -> dict[str, list[LockedPackage]]:
    return base.resolve(WANTED)


@pytest.fixture(scope="module")
def host(base: RpmBase, trees: dict[str, list[LockedPackage]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host tree that the tests only look at; its log is beside it."""
    tree = tmp_path_factory.mktemp("trees") / "host"
    base.bootstrap(tree, trees["host"], epoch=EPOCH, log=tree.with_suffix(".log"))
    return tree


def snapshot(folder: Path) -> dict[str, tuple[int, int, str, list[str]]]:
    """Path → mode, time, contents and labels of everything in a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        contents = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(status.st_mode) else ""
        labels = [str(os.getxattr(path, name, follow_symlinks=False)) for name in os.listxattr(path)]
        found[str(path.relative_to(folder))] = (status.st_mode, int(status.st_mtime), contents, labels)
    return found


def test_a_tree_has_exactly_the_locked_packages_at_the_database_of_the_base(host, trees):
    assert (host / "var/lib/rpm/rpmdb.sqlite").is_file()
    assert not (host / "root").exists()
    assert [path.name for path in (host / "var/lib/rpm").iterdir()] == ["rpmdb.sqlite"]
    assert rpm_database.installed(host, "/var/lib/rpm") == {(p.name, p.version, p.architecture) for p in trees["host"]}


def test_the_place_of_the_database_is_that_of_the_manifest(base, shelf, trees, tmp_path):
    el10 = RpmBase({**manifest(shelf), "rpmdb": "/usr/lib/sysimage/rpm"}, Sources(base.pool.folder))
    tree = tmp_path / "tree"
    el10.bootstrap(tree, trees["container"], epoch=EPOCH, log=tmp_path / "log")

    assert rpm_database.installed(tree, "/usr/lib/sysimage/rpm") == {("shell", "1.0-1", "noarch")}
    assert el10.options != base.options


def test_two_trees_of_the_same_lock_are_the_same_byte_by_byte(base, host, trees, tmp_path):
    again = tmp_path / "again"
    base.bootstrap(again, list(reversed(trees["host"])), epoch=EPOCH, log=tmp_path / "log")

    assert snapshot(again) == snapshot(host)


def test_scriptlets_have_proc_and_devices_and_nothing_of_that_is_left(host):
    assert (host / "usr/lib/made-by-post").read_text() == "made in a scriptlet\n"
    for name in ("proc", "sys", "dev", "run", "tmp"):
        assert not (host / name).exists() or list((host / name).iterdir()) == []
    assert str(host) not in Path("/proc/self/mountinfo").read_text()


def test_no_time_is_later_than_the_release(host):
    assert max(path.lstat().st_mtime for path in host.rglob("*")) == EPOCH


def test_documentation_and_foreign_languages_are_left_out(host):
    assert not (host / "usr/share/doc/greet/README").exists()
    assert not (host / "usr/share/locale/de/greet").exists()
    assert (host / "usr/share/locale/ru/greet").read_text() == "привет"


def test_a_kernel_package_makes_no_initrd_but_its_kernel_can_be_booted(host):
    assert (host / "boot/vmlinuz-6.1-1").read_bytes() == b"MZ"
    assert not (host / "boot/initramfs-made-by-kernel-install").exists()
    assert list((host / "etc/kernel/install.d").iterdir()) == []


def test_files_get_the_labels_of_the_policy_in_the_tree(host):
    assert os.getxattr(host / "usr/bin/greet", "security.selinux") == b"system_u:object_r:greet_exec_t:s0\0"
    assert os.getxattr(host / "usr/lib/libgreet", "security.selinux") == b"system_u:object_r:default_t:s0\0"
    assert not (host / ".autorelabel").exists()


def test_labels_come_through_the_copies_and_the_squashfs_of_a_build(host, tmp_path):
    from builder import imageset, tree

    tree.copy_tree(host, tmp_path / "copy")
    imageset.squash([tmp_path / "copy"], tmp_path / "image", mode="fast", epoch=EPOCH, log=tmp_path / "log")
    subprocess.run(["unsquashfs", "-quiet", "-no-progress", "-d", tmp_path / "out", tmp_path / "image"], check=True)

    assert os.getxattr(tmp_path / "out/usr/bin/greet", "security.selinux") == b"system_u:object_r:greet_exec_t:s0\0"


def test_files_that_came_after_the_packages_are_labelled_when_asked(base, host, tmp_path):
    shutil.copytree(host, tmp_path / "tree", symlinks=True)
    (tmp_path / "tree/usr/lib/by-a-role").write_text("new")

    base.label(tmp_path / "tree", log=tmp_path / "log")

    assert b":default_t:" in os.getxattr(tmp_path / "tree/usr/lib/by-a-role", "security.selinux")


def test_where_no_label_can_be_kept_the_host_relabels_itself(base, host, tmp_path, monkeypatch, capsys):
    shutil.copytree(host, tmp_path / "tree", symlinks=True)

    def refused(*_: object) -> None:
        raise OSError("Operation not supported")

    monkeypatch.setattr(os, "setxattr", refused)
    base.label(tmp_path / "tree", log=tmp_path / "log")

    assert (tmp_path / "tree/.autorelabel").is_file()
    assert "cannot keep SELinux labels" in capsys.readouterr().err


def test_a_tree_without_a_policy_has_no_labels(base, trees, tmp_path):
    base.bootstrap(tmp_path / "tree", trees["container"], epoch=EPOCH, log=tmp_path / "log")

    assert os.listxattr(tmp_path / "tree/bin/sh") == []


def test_an_appliance_is_added_to_a_container_and_comes_out_the_same_each_time(base, trees, tmp_path):
    made = []
    for name in ("one", "two"):
        tree = tmp_path / name
        base.bootstrap(tree, trees["container"], epoch=EPOCH, log=tmp_path / "log")
        base.add(tree, trees["routers"], epoch=EPOCH, log=tmp_path / "log")
        made.append(snapshot(tree))

    assert names(trees["routers"]) == ["libgreet", "router"]
    assert os.listxattr(tmp_path / "one/usr/bin/router") == ["security.capability"]
    assert rpm_database.installed(tmp_path / "one", "/var/lib/rpm") >= {("router", "1:2.0-1", "noarch")}
    assert made[0] == made[1]


def test_nothing_is_added_by_an_empty_list(base, trees, tmp_path):
    base.bootstrap(tmp_path / "tree", trees["container"], epoch=EPOCH, log=tmp_path / "log")
    before = snapshot(tmp_path / "tree")

    base.add(tmp_path / "tree", [], epoch=EPOCH, log=tmp_path / "log")

    assert snapshot(tmp_path / "tree") == before


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ("broken", r"these scriptlets failed in .*: %post of broken-1\.0-1\.noarch \(exit status 3\)\n"),
        ("broken-lua", r"these scriptlets failed in .*: %post of broken-lua-1\.0-1\.noarch \(1: no moon\)\n"),
    ],
)
def test_a_failing_scriptlet_is_an_error_though_rpm_forgives_it(base, trees, tmp_path, tree, message):
    log = tmp_path / "rpm.log"
    base.bootstrap(tmp_path / "tree", trees["container"], epoch=EPOCH, log=log)

    with pytest.raises(AsrboxError, match=message) as caught:
        base.add(tmp_path / "tree", trees[tree], epoch=EPOCH, log=log)

    assert caught.value.hint == f"what they printed is in {log}"
    if tree == "broken":
        assert "the disk is made of cheese" in log.read_text()


def test_a_lock_that_lacks_what_a_package_requires_is_refused_by_rpm(base, trees, tmp_path):
    router = [package for package in trees["routers"] if package.name == "router"]

    with pytest.raises(AsrboxError, match=r"rpm could not install .*: .*libgreet is needed by router-1:2\.0-1\.noarch"):
        base.bootstrap(tmp_path / "tree", router, epoch=EPOCH, log=tmp_path / "log")


def test_a_tree_that_is_not_empty_is_refused(base, trees, tmp_path):
    (tmp_path / "something").touch()

    with pytest.raises(AsrboxError, match=r"the folder .* is not empty"):
        base.bootstrap(tmp_path, trees["container"], epoch=EPOCH, log=tmp_path / "log")


def test_what_was_not_fetched_is_not_installed(shelf, trees, tmp_path):
    base = base_of(shelf, tmp_path / "empty", None, offline=True)

    with pytest.raises(AsrboxError, match=r"shell 1\.0-1 is not in the pool: fetch it first"):
        base.bootstrap(tmp_path / "tree", trees["container"], epoch=EPOCH, log=tmp_path / "log")


# a mirror to carry along


def locked(trees: dict[str, list[LockedPackage]]) -> lock.Lock:
    return lock.Lock("tiny-9", "2026-11-22", {name: list(wanted) for name, wanted in WANTED.items()}, trees)


def test_the_folder_holds_exactly_the_locked_packages_their_keys_and_the_lock(shelf, base, trees, tmp_path):
    parts = mirror.collect(base, locked(trees), tmp_path / "carried")

    found = sorted(path.name for path in tmp_path.glob("carried/*/Packages/*.rpm"))
    assert found == sorted(package.origin.rpartition("/")[2] for package in locked(trees).packages())
    assert [(part.repository, part.packages) for part in parts] == [
        ("core", len(found) - 1),
        ("vendor", 1),
        ("extra", 0),
    ]
    assert sum(part.size for part in parts) == sum(package.size for package in locked(trees).packages())
    assert (tmp_path / f"carried/keys/{rpm_mirror.fingerprint(shelf.signer)}.asc").is_file()
    assert lock.read(tmp_path / "carried/lock.json") == locked(trees)


def test_the_folder_is_the_same_each_time_and_old_or_damaged_packages_leave_it(base, trees, tmp_path):
    for name in ("one", "two"):
        mirror.collect(base, locked(trees), tmp_path / name)
    (victim,) = tmp_path.glob("one/core/Packages/greet-*.rpm")
    victim.write_bytes(b"half")
    (victim.parent / "old-1.0-1.noarch.rpm").touch()

    mirror.collect(base, locked(trees), tmp_path / "one")

    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "two")


def test_from_the_folder_everything_is_resolved_and_built_without_a_network(shelf, base, trees, tmp_path):
    mirror.collect(base, locked(trees), tmp_path / "carried")
    (tmp_path / "manifest.json").write_text(json.dumps(manifest(shelf)))
    there = base_of(shelf, tmp_path / "pool", tmp_path / "carried", offline=True)

    again = there.resolve(WANTED)
    command = ["unshare", "--net", sys.executable, "-c", BUILD_OFFLINE, tmp_path / "manifest.json"]
    command += [tmp_path / "carried", tmp_path / "fresh-pool", tmp_path / "tree"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)

    assert again == trees
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tree/bin/sh").is_file()


def test_a_key_that_is_only_published_comes_from_the_folder_when_offline(shelf, base, trees, tmp_path):
    mirror.collect(base, locked(trees), tmp_path / "carried")
    published = manifest(shelf)
    for row in published["repositories"]:
        row["keys"] = [{**row["keys"][0], "file": None, "url": "http://127.0.0.1:1/key.asc"}]
    there = RpmBase(published, Sources(tmp_path / "pool", mirror=str(tmp_path / "carried"), offline=True))

    assert len(there.fetch(trees["host"])) == len(trees["host"])

    shutil.rmtree(tmp_path / "carried/keys")
    there = RpmBase(published, Sources(tmp_path / "other", mirror=str(tmp_path / "carried"), offline=True))
    with pytest.raises(AsrboxError, match=r"the key \w{40} is neither in the pool nor at file://.*/keys/"):
        there.fetch(trees["host"])


def test_a_mirror_is_not_made_of_packages_that_have_left_theirs(shelf, trees, tmp_path):
    shutil.copytree(shelf.ready, tmp_path / "mirror")
    changed = RpmMirror(tmp_path / "mirror")
    changed.file("greet").unlink()
    changed.publish("core")

    with pytest.raises(AsrboxError, match=r"the mirror has no greet 1\.0-1 any more"):
        mirror.collect(base_of(shelf, tmp_path / "pool", changed.root), locked(trees), tmp_path / "carried")


def test_a_base_of_debian_packages_has_no_such_folder(trees, tmp_path):
    debian = DebianBase({"base": "debian-13", "architecture": "amd64"}, Sources(tmp_path))

    with pytest.raises(AsrboxError, match=r"the base tiny-9 is made of Debian packages"):
        mirror.collect(debian, locked(trees), tmp_path / "carried")
