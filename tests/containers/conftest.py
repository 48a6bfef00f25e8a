"""Hosts made of what the build made: no machine is emulated, Incus and the agent run for real in namespaces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Built
from tests.containers.incus_host import IncusHost, incus_host


@pytest.fixture(scope="session")
def image_set(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image set of the build as the installer leaves it on a host: with distribution.json beside it."""
    folder = tmp_path_factory.mktemp("images")
    for name in ("images.squashfs", "images.json"):
        (folder / name).symlink_to(built.image_set / name)
    (folder / "distribution.json").write_text(json.dumps(built.resolved.as_json()))
    return folder


@pytest.fixture
def empty_host(built: Built, image_set: Path, tmp_path: Path) -> Iterator[IncusHost]:
    """A freshly installed host, switched on for the first time; the agent has not been started yet."""
    with incus_host(built.host_tree, tmp_path) as host:
        host.put_image_set(image_set)
        yield host


@pytest.fixture(scope="session")
def host(built: Built, image_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IncusHost]:
    """A host whose first start is done. Shared by the tests, which leave everything running."""
    with incus_host(built.host_tree, tmp_path_factory.mktemp("host")) as running:
        running.put_image_set(image_set)
        running.start_agent()
        running.wait_ready()
        yield running
