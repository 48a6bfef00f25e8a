"""What all floors share: the distribution, built once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builder import workshop
from builder.manifest import parse_size
from builder.pipeline import Pipeline
from builder.resolve import Project, Resolved, load
from builder.store import Store
from tests.synthetic.base import Sources, sources

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Built:
    """A built distribution: its ISO in dist/, and the trees that it was made of (read-only: copy before use)."""

    resolved: Resolved
    store: Store
    steps: Pipeline
    iso: Path

    def out(self, step: str) -> Path:
        """Output folder of a step, such as "initrd"."""
        return self.store.out(self.steps.steps[step])

    @property
    def host_tree(self) -> Path:
        return self.out("tree:host") / "rootfs"

    @property
    def image_set(self) -> Path:
        """Folder with images.squashfs and images.json."""
        return self.out("imageset")

    def appliance_tree(self, name: str) -> Path:
        return self.out(f"tree:{name}") / name / "rootfs"


@pytest.fixture(scope="session")
def built() -> Built:
    """The distribution of this checkout; a no-op when `make iso` or `make twice` has built it already."""
    return build(load(Project(ROOT)))


@pytest.fixture(scope="session")
def el_sources() -> Sources:
    """The synthetic RPM distribution, made of the locked Debian packages unless it is there already."""
    return sources(ROOT)


@pytest.fixture(scope="session")
def built_el(el_sources: Sources) -> Built:
    """The same distribution of RPMs, the synthetic ones: built from a mirror folder."""
    return build(el_sources.resolved, **el_sources.options)


def settings(**options: Any) -> workshop.Settings:
    """Those of a plain `make iso`, with these changes."""
    usual: dict[str, Any] = {"build": ROOT / "build", "store_limit": parse_size("20GiB")}
    return workshop.Settings(ROOT / "build" / "store", **(usual | options))


def build(resolved: Resolved, **options: Any) -> Built:
    """Build and publish as `make iso` does."""
    shop = workshop.Workshop(resolved, settings(**options), Store(ROOT / "build" / "store"))
    with workshop.opened(shop.pool) as store:
        steps, _ = workshop.build(shop, store)
        iso = workshop.publish(shop, store, steps, ROOT / "dist")
    return Built(resolved, store, steps, iso)
