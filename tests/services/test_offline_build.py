"""A build that opens no socket: in a network namespace in which there is nothing, not even loopback."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Built

BUILD = """
import sys
from pathlib import Path
from builder import workshop
from builder.resolve import Project, load
from builder.store import Store

root, store, build = (Path(argument) for argument in sys.argv[1:4])
mode = sys.argv[4]
settings = workshop.Settings(store, build, 1 << 40, offline=True, lock_mode=mode)
shop = workshop.Workshop(load(Project(root)), settings, Store(store))
with workshop.opened(shop.pool):
    workshop.build(shop, shop.pool, ["packages:auth"])
"""


def build_without_network(store: Path, build: Path, mode: str) -> subprocess.CompletedProcess[str]:
    command = ["unshare", "--net", sys.executable, "-c", BUILD, str(ROOT), str(store), str(build), mode]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.timeout(900)
def test_trees_are_built_from_the_pool_alone(built: Built, tmp_path: Path) -> None:
    """Container tree, its role, packages and wheels of one appliance: everything that could want a network."""
    store = tmp_path / "store"
    for name in ("pool", "wheels"):
        shutil.copytree(built.store.path / name, store / name)
    fresh = ROOT / "build" / "debian-13.lock.json"
    if fresh.exists():  # a package of the committed lock has left the mirror since
        (tmp_path / "build").mkdir()
        shutil.copy(fresh, tmp_path / "build")
    done = build_without_network(store, tmp_path / "build", "auto")
    assert done.returncode == 0, done.stderr
    made = [path for path in (store / "objects").iterdir() if (path / "out/rootfs/opt/asrbox/bin/gunicorn").is_file()]
    assert len(made) == 1
    same = built.out("packages:auth") / "rootfs/opt/asrbox/bin/gunicorn"
    assert (made[0] / "out/rootfs/opt/asrbox/bin/gunicorn").read_bytes() == same.read_bytes()
    shutil.rmtree(store)


def test_without_the_pool_the_missing_packages_are_named(tmp_path: Path) -> None:
    done = build_without_network(tmp_path / "store", tmp_path / "build", "strict")
    assert done.returncode == 1
    assert "bash" in done.stderr
    assert "asrbox lock" in done.stderr
