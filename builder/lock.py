"""The lock of a base: the exact packages of every tree, as JSON that diffs read well, and when to renew it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from builder import log
from builder.bases import Base, LockedPackage
from builder.errors import AsrboxError, Where

Mode = Literal["auto", "strict"]
ADVICE = "run: asrbox lock"
_COLUMNS = [column.name for column in fields(LockedPackage)]


@dataclass(frozen=True)
class Lock:
    """Exact packages per tree. `made` is a date (YYYY-MM-DD); `wanted` holds the names that were asked for.

    `instead_of` is the sha256 of the lock file that this one stands in for while a build goes on without it.
    """

    base: str
    made: str
    wanted: dict[str, list[str]]
    trees: dict[str, list[LockedPackage]]
    instead_of: str | None = field(default=None)

    def packages(self) -> list[LockedPackage]:
        """Every package of every tree, once, sorted."""
        return sorted({package for tree in self.trees.values() for package in tree})


def read(path: Path) -> Lock:
    """Read a lock file. Raises AsrboxError with file and line when it is absent, no JSON or not of this shape."""
    try:
        text = path.read_text()
    except FileNotFoundError as error:
        raise AsrboxError(f"there is no lock {path}", hint=ADVICE) from error
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise AsrboxError(
            f"no JSON: {error.msg}", hint=f"restore it, or {ADVICE}", where=Where(path, error.lineno)
        ) from error
    try:
        trees = {tree: [_package(row) for row in rows] for tree, rows in data["trees"].items()}
        wanted = {tree: [str(name) for name in names] for tree, names in data["wanted"].items()}
        return Lock(data["base"], data["made"], wanted, trees, data.get("instead_of"))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        line = _line_of_bad_row(text)
        raise AsrboxError(
            f"not a lock of packages ({type(error).__name__}: {error})",
            hint=f"restore it, or {ADVICE}",
            where=Where(path, line),
        ) from error


def _package(row: Mapping[str, object]) -> LockedPackage:
    if set(row) | {"key"} != set(_COLUMNS):
        raise ValueError(f"a package has the keys {', '.join(_COLUMNS[:-1])}, not {', '.join(row)}")
    size = row["size"]
    if not isinstance(size, int):
        raise ValueError(f"the size of {row['name']} is {size!r}, not a number of bytes")
    return LockedPackage(size=size, **{key: str(row[key]) for key in row if key != "size"})


def _line_of_bad_row(text: str) -> int | None:
    """One package is one line of the file, so that the bad one can be found again."""
    for number, line in enumerate(text.splitlines(), start=1):
        row = line.strip().rstrip(",")
        if row.startswith('{"'):
            try:
                _package(json.loads(row))
            except (ValueError, KeyError, TypeError):
                return number
    return None


def write(path: Path, lock: Lock) -> None:
    """Write a lock so that one package is one line; replaces the file at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(render(lock))
    temporary.replace(path)


def render(lock: Lock) -> str:
    """The text of a lock file: trees and packages sorted, one package per line."""
    head: dict[str, object] = {"base": lock.base, "made": lock.made}
    if lock.instead_of:
        head["instead_of"] = lock.instead_of
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    wanted = [f"    {_json(tree)}: {_json(sorted(set(names)))}" for tree, names in sorted(lock.wanted.items())]
    trees = []
    for tree, packages in sorted(lock.trees.items()):
        rows = [f"      {_json(_row(package))}" for package in sorted(packages)]
        trees.append(f"    {_json(tree)}: [\n" + ",\n".join(rows) + "\n    ]" if rows else f"    {_json(tree)}: []")
    lines += ['  "wanted": {', ",\n".join(wanted), "  },", '  "trees": {', ",\n".join(trees), "  }"]
    return "{\n" + "\n".join(line for line in lines if line) + "\n}\n"


def _row(package: LockedPackage) -> dict[str, object]:
    row = {name: getattr(package, name) for name in _COLUMNS}
    return row if package.key else {name: value for name, value in row.items() if name != "key"}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def diff(old: Lock, new: Lock) -> list[str]:
    """What changed, one readable line per package: `openssl 3.5.1-1 → 3.5.4-1 (container, host)`."""
    before, after = _versions(old), _versions(new)
    changes: dict[tuple[str, str], list[str]] = {}
    for tree, name in sorted(before.keys() | after.keys()):
        was, now = before.get((tree, name)), after.get((tree, name))
        if was == now:
            continue
        if was is None:
            text = f"{now} is new"
        elif now is None:
            text = f"{was} is gone"
        elif was.split("#")[0] == now.split("#")[0]:
            text = f"{was.split('#')[0]} has other contents"
        else:
            text = f"{was} → {now}"
        changes.setdefault((name, text), []).append(tree)
    return [f"{name} {_without_hash(text)} ({', '.join(trees)})" for (name, text), trees in sorted(changes.items())]


def _versions(lock: Lock) -> dict[tuple[str, str], str]:
    return {
        (tree, package.name): f"{package.version}#{package.sha256}"
        for tree, packages in lock.trees.items()
        for package in packages
    }


def _without_hash(text: str) -> str:
    return " ".join(word.split("#")[0] for word in text.split(" "))


def ensure(
    base: Base,
    lock_path: Path,
    wanted: Mapping[str, Sequence[str]],
    *,
    mode: Mode,
    fresh_path: Path,
    made: str,
) -> Lock:
    """The lock to build from: the committed one while it serves, else (mode "auto") a fresh one that is told about.

    It serves when it covers exactly the `wanted` names (per tree) and every package is in the pool or on the mirror.
    A fresh lock is written to `fresh_path`, dated `made`, and taken again by later builds while it serves and the
    committed lock is the same. Raises AsrboxError in mode "strict", naming each package that is in the way.
    """
    if not lock_path.exists():
        if mode == "strict":
            raise AsrboxError(f"there is no lock {lock_path}", hint=ADVICE)
        log.warn(f"there is no lock {lock_path}: resolving the packages now")
        return _renew(base, None, wanted, fresh_path, made, instead_of="")
    lock = read(lock_path)
    obstacles = _obstacles(base, lock, wanted)
    if not obstacles:
        return lock
    if mode == "strict":
        raise AsrboxError(
            f"the lock {lock_path} cannot be built as it is:\n" + "\n".join(f"    {line}" for line in obstacles),
            hint=f"{ADVICE}, or build with --lock=auto",
        )
    instead_of = hashlib.sha256(lock_path.read_bytes()).hexdigest()
    for line in obstacles:
        log.warn(line)
    return _renew(base, lock, wanted, fresh_path, made, instead_of)


def _renew(
    base: Base,
    old: Lock | None,
    wanted: Mapping[str, Sequence[str]],
    fresh_path: Path,
    made: str,
    instead_of: str,
) -> Lock:
    if fresh_path.exists():
        earlier = read(fresh_path)
        if earlier.instead_of == (instead_of or None) and not _obstacles(base, earlier, wanted):
            log.warn(f"building from the lock that was made on {earlier.made}: {fresh_path}")
            return earlier
    fresh = resolve(base, wanted, made, instead_of=instead_of or None)
    if old is not None:
        for line in diff(old, fresh):
            log.warn(line)
    write(fresh_path, fresh)
    log.warn(f"building from a fresh lock, {fresh_path}; to keep it: asrbox lock")
    return fresh


def resolve(base: Base, wanted: Mapping[str, Sequence[str]], made: str, *, instead_of: str | None = None) -> Lock:
    """Ask the mirror for the packages of today. `made` is the date to write into the lock (YYYY-MM-DD)."""
    trees = base.resolve(wanted)
    names = {tree: sorted(set(names)) for tree, names in wanted.items()}
    return Lock(str(base.manifest["base"]), made, names, trees, instead_of)


def _obstacles(base: Base, lock: Lock, wanted: Mapping[str, Sequence[str]]) -> list[str]:
    """Why a lock does not serve, one line each; the mirror is asked only when the manifests are covered."""
    found = []
    for tree in sorted(wanted.keys() | lock.wanted.keys()):
        now, then = set(wanted.get(tree, ())), set(lock.wanted.get(tree, ()))
        if tree not in lock.trees:
            found.append(f"the tree {tree} is not in the lock")
        elif tree not in wanted:
            found.append(f"the tree {tree} is in the lock but in no manifest")
        else:
            found += [f"{name} is wanted in {tree} but not in the lock" for name in sorted(now - then)]
            found += [f"{name} is locked for {tree} but no longer wanted" for name in sorted(then - now)]
    if found:
        return found
    return [
        f"{package.name} {package.version} has left the mirror and is not in the pool"
        for package in base.missing(lock.packages())
    ]
