"""The base manifest of the synthetic distribution: that of CentOS Stream 9, but for what Debian's packages are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from builder import lock, workshop
from builder.manifest import parse_size
from builder.resolve import Project, Resolved, load
from builder.store import Store
from tests.synthetic.generate import generate

NAME = "synthetic-9"
LIKE = "centos-stream-9"
# The packages are Debian's: so are the version of Python, and with it the wheels.
OTHERWISE = {
    "base": NAME,
    "title": "Synthetic EL 9 (Debian packages as RPMs, no CentOS)",
    "python": "3.13",
    "interpreter": "python3",
    "python_locks": "debian-13",
}


def write_manifest(checkout: Path, target: Path) -> Path:
    """Write the manifest to `target`, which is then given to --base; returns it."""
    like = yaml.safe_load((checkout / "distro" / "bases" / f"{LIKE}.yaml").read_text())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("# Written by tests/synthetic.\n" + yaml.safe_dump({**like, **OTHERWISE}, sort_keys=False))
    return target


@dataclass(frozen=True)
class Sources:
    """The distribution on the synthetic base, and where its packages are: options of `workshop.Settings`."""

    resolved: Resolved
    options: dict[str, Any]


def sources(checkout: Path) -> Sources:
    """Make the synthetic distribution below build/synthetic of a checkout, unless it is there already."""
    debian = load(Project(checkout))
    settings = workshop.Settings(checkout / "build" / "store", checkout / "build", parse_size("20GiB"))
    store = Store(settings.store)
    shop = workshop.Workshop(debian, settings, store)
    tools = shop.tools()
    # Not simply the committed lock: a package of it may have left the mirror.
    serving = shop.lock(tools)
    tools.base.fetch(serving.packages())
    folder = checkout / "build" / "synthetic"
    locked = folder / "debian-13.lock.json"
    lock.write(locked, serving)
    mirror = generate(store.pool, locked, folder, manifests=checkout)
    manifest = write_manifest(checkout, folder / "base" / f"{NAME}.yaml")
    resolved = load(Project(checkout), base_name=str(manifest))
    # The lock of one mirror is not for the next: its packages may be others by the same name and version.
    build = folder / "build" / mirror.folder.name
    return Sources(resolved, {"mirror": str(mirror.folder), "keyrings": (mirror.key,), "build": build})
