"""The base manifest of the synthetic distribution: that of CentOS Stream 9, but for what Debian's packages are."""

from __future__ import annotations

from pathlib import Path

import yaml

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
