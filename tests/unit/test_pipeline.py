"""The graph of steps of the real distribution: it is whole, and what roles take from the checkout is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builder import lock, pipeline, wheels
from builder.resolve import Project, Resolved, load
from builder.store import Store
from builder.workshop import Settings, Workshop

from .conftest import ROOT

FROM_CHECKOUT = re.compile(r"\{\{ asrbox_sources \}\}/([\w./*-]+)")


@pytest.fixture(scope="module")
def resolved() -> Resolved:
    return load(Project(ROOT))


def test_every_file_that_a_step_reads_is_in_the_checkout(resolved: Resolved, tmp_path: Path) -> None:
    tools = Workshop(resolved, Settings(tmp_path, tmp_path, 0, offline=True), Store(tmp_path)).tools()
    python = {tree: wheels.read(resolved.wheel_lock(tree)) for tree in resolved.python()}
    packages = lock.read(resolved.project.lock(resolved.distribution.base)).trees
    locks = pipeline.Locks(packages, python, wheels.read(resolved.project.build_tools_lock))
    steps = pipeline.assemble(resolved, locks, tools).steps  # to name a step, its files are read
    assert {f"image:{name}" for name in resolved.start_order} < set(steps)
    assert len({step.id for step in steps.values()}) == len(steps)


def test_every_file_that_a_role_takes_from_the_checkout_is_there() -> None:
    taken = {
        path: role
        for role in (ROOT / "roles").glob("*/tasks/*.yml")
        for path in FROM_CHECKOUT.findall(role.read_text(encoding="utf-8"))
    }
    assert "docs/operate.md" in taken
    assert [path for path in taken if not list(ROOT.glob(path))] == []
