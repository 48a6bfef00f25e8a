"""What the tests of the agent share: a host that asrctl takes for its own, and an agent that answers there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from appliances.base.agent import api
from appliances.base.agent.paths import Paths
from appliances.base.agent.server import serve_socket
from tests.unit.agent.examples import installed

Serve = Callable[[api.Backend, Path], None]  # whom, on which socket


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """What the programs of this process find when they ask where everything is."""
    monkeypatch.setenv("ASRBOX_ROOT", str(tmp_path))
    return installed(tmp_path)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves the API for a backend on a real unix socket, until the test has ended."""
    with ExitStack() as servers:

        def begin(backend: api.Backend, path: Path) -> None:
            servers.callback(serve_socket(api.create_app(backend, None), path).stop)

        yield begin
