"""Python parts from a real package index: what a lock gets, and what is refused when the index has other bytes."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import wheels
from builder.errors import AsrboxError
from builder.wheel_resolve import resolve, resolve_for_all
from tests.services.mirror import serve


class PackageIndex:
    """A folder that is a simple index (PEP 503) of pure wheels."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, name: str, version: str, *requires: str) -> Path:
        """Publish an empty wheel that requires others → its path."""
        folder = self.root / "simple" / name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}-{version}-py3-none-any.whl"
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(path, "w") as archive:
            lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {line}" for line in requires)]
            archive.writestr(f"{info}/METADATA", "\n".join(["Metadata-Version: 2.1", *lines]) + "\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        links = [f'<a href="{p.name}#sha256={_sha256(p)}">{p.name}</a>' for p in sorted(folder.glob("*.whl"))]
        (folder / "index.html").write_text("<!DOCTYPE html>\n" + "\n".join(links))
        return path


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """An index that pip asks, with greet, which needs tone always, fresh from Python 3.13 on and stale before 3.12."""
    index = PackageIndex(tmp_path / "index")
    index.add("tone", "1.0")
    index.add("tone", "2.0")
    index.add("fresh", "1.0")
    index.add("stale", "1.0")
    index.add(
        "greet",
        "1.0",
        "tone<2",
        'fresh ; python_version >= "3.13"',
        'stale ; python_version < "3.12"',
        "gone ; extra == 'x'",
    )
    with serve(index.root) as served:
        monkeypatch.setenv("PIP_INDEX_URL", f"{served.url}/simple/")
        yield index


def test_markers_are_read_for_the_target_whatever_python_runs_the_builder(index):
    assert [wheel.name for wheel in resolve(["greet"], "3.13")] == ["fresh", "greet", "tone"]
    assert [wheel.name for wheel in resolve(["greet"], "3.11")] == ["greet", "stale", "tone"]


def test_a_lock_names_the_version_and_the_checksum_of_the_index(index):
    (tone,) = [wheel for wheel in resolve(["greet"]) if wheel.name == "tone"]

    assert (tone.version, tone.hashes) == ("1.0", (_sha256(index.root / "simple/tone/tone-1.0-py3-none-any.whl"),))


def test_a_lock_for_two_interpreters_says_which_needs_what(index):
    found = {wheel.name: wheel.python for wheel in resolve_for_all(["greet"], ["3.11", "3.13"])}

    assert found == {"greet": (), "tone": (), "fresh": ("3.13",), "stale": ("3.11",)}


def test_constraints_hold(index):
    (tone,) = resolve(["tone"], constraints=["tone==1.0"])

    assert tone.version == "1.0"


def test_an_unknown_requirement_is_named(index):
    with pytest.raises(AsrboxError, match="No matching distribution found for nosuch"):
        resolve(["nosuch"])


def test_fetched_wheels_are_those_of_the_lock_and_need_the_index_once(index, tmp_path):
    locked = resolve(["greet"])

    files = wheels.fetch(locked, tmp_path / "pool")

    assert [_sha256(path) for path in files] == [wheel.hashes[0] for wheel in locked]
    assert wheels.fetch(locked, tmp_path / "pool", offline=True) == files


def test_a_wheel_that_was_changed_on_the_index_is_refused_by_name(index, tmp_path):
    locked = resolve(["greet"])
    index.add("tone", "1.0", "fresh")

    with pytest.raises(AsrboxError, match=r"(?s)HASHES.*tone==1\.0"):
        wheels.fetch(locked, tmp_path / "pool")

    assert list((tmp_path / "pool").glob("*.whl")) == []
