"""What the tests of services share: the billing's two daemons, on a real Firebird 4 of the built tree."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.billing import Billing
from tests.services.billing_database import ADDRESS
from tests.services.firebird import FirebirdServer


@pytest.fixture(scope="session")
def firebird_tree(built: Any) -> Path:
    """Root file system of asr_billing as the build makes it."""
    tree: Path = built.appliance_tree("asr_billing")
    return tree


@pytest.fixture
def firebird(firebird_tree: Path, tmp_path: Path) -> Iterator[FirebirdServer]:
    """A Firebird with an empty volume, not started."""
    server = FirebirdServer(firebird_tree, tmp_path, ADDRESS)
    yield server
    server.stop(signal.SIGKILL)  # nobody looks at it any more


@pytest.fixture
def billing(firebird: FirebirdServer) -> Iterator[Billing]:
    """The web daemon's stand on that Firebird, neither of them started."""
    stand = Billing(firebird)
    yield stand
    stand.close()


@pytest.fixture
def running(firebird: FirebirdServer, billing: Billing) -> Billing:
    """Both started."""
    firebird.start()
    billing.start()
    billing.wait_for_health()
    return billing
