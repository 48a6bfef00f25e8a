"""What all floors share: the distribution, built once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from builder import workshop
from builder.manifest import parse_size
from builder.pipeline import Pipeline
from builder.resolve import Project, Resolved, load
from builder.store import Store

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
    settings = workshop.Settings(ROOT / "build" / "store", ROOT / "build", store_limit=parse_size("20GiB"))
    store = Store(settings.store)
    shop = workshop.Workshop(load(Project(ROOT)), settings, store)
    with workshop.opened(store):
        steps, _ = workshop.build(shop, store)
        iso = workshop.publish(shop, store, steps, ROOT / "dist")
    return Built(shop.resolved, store, steps, iso)
