"""What the tests of the installer share: a machine, its answers, its kickstart."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable

import pytest

from appliances.base.installer import kickstart
from appliances.base.installer.facts import Facts
from appliances.base.installer.fragments import fragments
from appliances.base.installer.kickstart import Kickstart
from appliances.base.installer.links import Link
from appliances.base.installer.seed import Seed, check_text
from builder import kickstart as built
from tests.unit.installer.machine import DISTRIBUTION, SEED, blocks, disk


@pytest.fixture
def seed() -> Seed:
    return check_text(SEED, ["base", "auth"])


@pytest.fixture
def files(seed: Seed) -> dict[str, str]:
    """What %pre writes for the answers on the only disk."""
    return fragments(
        seed, blocks(disk())[0], group="sudo", timezone="Etc/UTC", locale="ru_RU.UTF-8", appliances=["base", "auth"]
    )


@pytest.fixture
def text() -> str:
    """The rendered kickstart."""
    return built.render(DISTRIBUTION, "debian")


@pytest.fixture
def wanted(text: str, files: dict[str, str]) -> Kickstart:
    return kickstart.read(text, files)


@pytest.fixture
def facts() -> Facts:
    return Facts(
        disks=tuple(blocks(disk())),
        groups={},
        links=(Link("enp1s0", "52:54:00:12:34:56", True),),
        kernel="6.12.9-amd64",
        uefi=False,
    )


@pytest.fixture
def new_id() -> Callable[[], uuid.UUID]:
    """Ids that are the same in every run: 00000001-…, 00000002-…"""
    numbers = itertools.count(1)
    return lambda: uuid.UUID(int=next(numbers) << 96)
