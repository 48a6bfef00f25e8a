"""Hosts made of what the build made: no machine is emulated, Incus and the agent run for real in namespaces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.containers.incus_host import IncusHost, incus_host


@dataclass(frozen=True)
class Built:
    """What `asrbox build` made: the host tree, and a folder with images.squashfs, images.json, distribution.json."""

    host_tree: Path
    image_set: Path


@pytest.fixture(scope="session")
def built() -> Built:
    """The build under test, named by ASRBOX_TEST_HOST_TREE and ASRBOX_TEST_IMAGE_SET."""
    found = Built(Path(os.environ["ASRBOX_TEST_HOST_TREE"]), Path(os.environ["ASRBOX_TEST_IMAGE_SET"]))
    assert (found.image_set / "images.json").exists(), f"{found.image_set} is not an image set"
    return found


@pytest.fixture
def empty_host(built: Built, tmp_path: Path) -> Iterator[IncusHost]:
    """A freshly installed host, switched on for the first time; the agent has not been started yet."""
    with incus_host(built.host_tree, tmp_path) as host:
        host.put_image_set(built.image_set)
        yield host


@pytest.fixture(scope="module")
def host(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IncusHost]:
    """A host whose first start is done. Shared by the tests of a module, which leave everything running."""
    with incus_host(built.host_tree, tmp_path_factory.mktemp("host")) as running:
        running.put_image_set(built.image_set)
        running.start_agent()
        running.wait_ready()
        yield running
