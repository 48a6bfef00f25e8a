"""A build on a disk that is really full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import engine
from builder.errors import AsrboxError
from builder.step import Step, Work
from builder.store import Store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_no_space_left_is_one_sentence_and_leaves_nothing_half_made(small_disk: Path, tmp_path: Path) -> None:
    def write_much(work: Work, _: object) -> None:
        (work.out / "much").write_bytes(bytes(8 << 20))

    store = Store(small_disk / "store")
    told = "much: there is no space left on the disk of .*\n  hint: free some space"
    with store.writing(), pytest.raises(AsrboxError, match=told):
        engine.build([Step("much", write_much, 1, tmp_path)], store, tmp_path / "logs")
    assert list(store.tmp.iterdir()) == []
    assert list(store.objects.iterdir()) == []
