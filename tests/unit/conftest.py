"""What the pure tests share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builder.resolve import Project

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A copy of the real manifests and roles that a test may spoil."""
    for name in ("distro", "images", "roles", "kickstart"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for manifest in ROOT.glob("appliances/*/appliance.yaml"):
        target = tmp_path / manifest.relative_to(ROOT)
        target.parent.mkdir(parents=True)
        shutil.copyfile(manifest, target)
    return Project(tmp_path)
