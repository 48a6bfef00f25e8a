"""Steps: what makes a unit of work what it is, and why it is not the same as last time.

The id of a step is a hash over everything that goes in: the source of the code that runs, its options, the contents
of the files it reads, and the ids of the steps it builds on. Nothing else may influence its output.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from builder.errors import AsrboxError

CHECKOUT = Path(__file__).resolve().parents[1]
IGNORED = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


@dataclass(frozen=True)
class Work:
    """What a step's function gets: folders and facts, nothing global.

    `out` is an empty folder that becomes the step's output; `inputs` are the outputs of earlier steps by their role;
    `log` takes the output of programs; `epoch` is the time (seconds since 1970) that every timestamp is clamped to.
    """

    out: Path
    inputs: Mapping[str, Path]
    options: Mapping[str, Any]
    log: Path
    epoch: int


@dataclass(frozen=True)
class Step:
    """One unit of work. `inputs` maps a role ("base", "host") to the step that plays it.

    `code` are the modules whose source decides the output, `files` what is read from the checkout (folders whole),
    relative to `root`. `context` is for what the function needs but that cannot change the output (a pool of verified
    packages, say) and is not part of the id.
    """

    name: str
    function: Callable[[Work, Any], None]
    epoch: int
    root: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    inputs: Mapping[str, Step] = field(default_factory=dict)
    code: tuple[ModuleType, ...] = ()
    context: Any = None

    @cached_property
    def ingredients(self) -> dict[str, Any]:
        """Everything that goes into the id, in a form that two of them can be compared."""
        return {
            "name": self.name,
            "epoch": self.epoch,
            "code": {module.__name__: _sha256(Path(str(module.__file__))) for module in self.code},
            "options": json.loads(json.dumps(self.options, sort_keys=True)),
            "files": {self._place(path): digest for path, digest in _contents(self.files)},
            "inputs": {role: {"step": step.name, "id": step.id} for role, step in self.inputs.items()},
        }

    def _place(self, path: Path) -> str:
        """A name that is the same in every checkout; the builder's own files may lie outside of `root`."""
        return str(path.relative_to(self.root if path.is_relative_to(self.root) else CHECKOUT))

    @cached_property
    def id(self) -> str:
        """64 hex digits that name the output in the store."""
        return hashlib.sha256(json.dumps(self.ingredients, sort_keys=True).encode()).hexdigest()


def walk(goals: list[Step]) -> list[Step]:
    """All steps that the goals need, each once, every step after its inputs."""
    order: dict[str, Step] = {}

    def visit(step: Step) -> None:
        for below in step.inputs.values():
            visit(below)
        order.setdefault(step.id, step)

    for goal in goals:
        visit(goal)
    return list(order.values())


def reasons(step: Step, before: Mapping[str, Any] | None) -> list[str]:
    """Why the step is not what it was: one sentence per change. `before` are the ingredients of its last run."""
    if before is None:
        return ["it was never built here"]
    now = step.ingredients
    found = []
    for name, digest in now["code"].items():
        if before["code"].get(name) != digest:
            found.append(f"the code in {name} changed")
    found += _mapping_changes("file", before["files"], now["files"])
    found += _option_changes(before["options"], now["options"])
    for role, below in now["inputs"].items():
        if before["inputs"].get(role, {}).get("id") != below["id"]:
            found.append(f"its input {below['step']} changed")
    if before["epoch"] != now["epoch"]:
        found.append("the release date changed")
    return found or ["its output is no longer in the store"]


def _mapping_changes(kind: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(before.keys() | now.keys()):
        if key not in before:
            yield f"the {kind} {key} is new"
        elif key not in now:
            yield f"the {kind} {key} is gone"
        elif before[key] != now[key]:
            yield f"the {kind} {key} changed"


def _option_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        if isinstance(old, list) and isinstance(new, list):
            gone, come = [item for item in old if item not in new], [item for item in new if item not in old]
            shown = [f"-{_short(item)}" for item in gone] + [f"+{_short(item)}" for item in come]
            yield f"the option {key} changed: {_first(shown)}"
        elif isinstance(old, dict) and isinstance(new, dict):
            parts = [str(part) for part in sorted(old.keys() | new.keys()) if old.get(part) != new.get(part)]
            yield f"the option {key} changed: {_first(parts)}"
        else:
            yield f"the option {key} changed: {_short(old)} → {_short(new)}"


def _first(parts: list[str]) -> str:
    return ", ".join(parts[:6]) + (f" and {len(parts) - 6} more" if len(parts) > 6 else "")


def _short(value: Any) -> str:
    text = " ".join(str(part) for part in value[:2]) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _contents(paths: tuple[Path, ...]) -> Iterator[tuple[Path, str]]:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            for below in sorted(path.rglob("*")):
                if not IGNORED.intersection(below.parts) and (below.is_symlink() or not below.is_dir()):
                    yield below, _digest(below)
        elif path.exists() or path.is_symlink():
            yield path, _digest(path)
        else:
            raise AsrboxError(f"{path} is needed for the build but does not exist")


def _digest(path: Path) -> str:
    if path.is_symlink():
        return f"link:{path.readlink()}"
    executable = "x" if path.stat().st_mode & stat.S_IXUSR else "-"
    return f"{executable}:{_sha256(path)}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
