"""The graph of steps of the real distribution: it is whole, and what roles take from the checkout is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliances.base.agent.entrypages import LOOK, LOOK_FILES
from builder import lock, pipeline, wheels
from builder.resolve import Project, Resolved, load
from builder.step import Step
from builder.store import Store
from builder.workshop import Settings, Workshop

from .conftest import ROOT

FROM_CHECKOUT = re.compile(r"\{\{ asrbox_sources \}\}/([\w./*-]+)")


@pytest.fixture(scope="module")
def resolved() -> Resolved:
    return load(Project(ROOT))


@pytest.fixture(scope="module")
def steps(resolved: Resolved, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Step]:
    """All steps by name. To name a step, its files are read."""
    tmp_path = tmp_path_factory.mktemp("store")
    tools = Workshop(resolved, Settings(tmp_path, tmp_path, 0, offline=True), Store(tmp_path)).tools()
    python = {tree: wheels.read(resolved.wheel_lock(tree)) for tree in resolved.python()}
    packages = lock.read(resolved.project.lock(resolved.distribution.base)).trees
    locks = pipeline.Locks(packages, python, wheels.read(resolved.project.build_tools_lock))
    return pipeline.assemble(resolved, locks, tools).steps


def test_every_file_that_a_step_reads_is_in_the_checkout(resolved: Resolved, steps: dict[str, Step]) -> None:
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


def imported(file: Path) -> Iterator[str]:
    """What a Python file imports; of `from package import name` both, since the name may be a module too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names)


def test_a_tree_has_every_module_that_its_programs_import(steps: dict[str, Step]) -> None:
    trees = {name: step.options["sources"] for name, step in steps.items() if step.options.get("sources")}
    assert "tree:host" in trees
    for tree, sources in trees.items():
        copied = {
            file for one in sources for file in ([ROOT / one] if (ROOT / one).is_file() else (ROOT / one).rglob("*.py"))
        }
        for file in (one for one in copied if one.suffix == ".py"):
            for module in imported(file):
                path = ROOT / f"{module.replace('.', '/')}.py"
                if module.startswith("appliances.") and path.is_file():
                    assert path in copied, f"{tree}: {file.relative_to(ROOT)} imports {module}"


def test_the_hosts_tree_has_what_the_pages_of_the_entry_look_like(steps: dict[str, Step]) -> None:
    assert {str((LOOK / name).relative_to(ROOT)) for name in LOOK_FILES} <= set(steps["tree:host"].options["sources"])
