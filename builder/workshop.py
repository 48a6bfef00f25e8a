"""One build, from the options of the command line to a file in dist/: locks, store, steps, publication."""

from __future__ import annotations

import datetime
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder import engine, lock, log, pipeline, sign, wheels
from builder.bases import Sources, back_end
from builder.errors import AsrboxError
from builder.lock import Lock
from builder.pipeline import Locks, Mode, Pipeline
from builder.resolve import Resolved
from builder.store import Store
from builder.tree import Tools


@dataclass(frozen=True)
class Settings:
    """Options of a build. `store` and `build` are folders; `store_limit` is in bytes."""

    store: Path
    build: Path
    store_limit: int
    mirror: str | None = None
    offline: bool = False
    lock_mode: lock.Mode = "auto"
    keyrings: tuple[Path, ...] = ()
    mode: Mode = "fast"
    seed: str | None = None
    boot_iso: Path | None = None
    jobs: int | None = None


@dataclass(frozen=True)
class Workshop:
    """A distribution, the options, and where packages are kept. The pool may belong to another store (`--twice`)."""

    resolved: Resolved
    settings: Settings
    pool: Store

    def tools(self) -> Tools:
        """The package back end and the folders that steps need."""
        s, root = self.settings, self.resolved.project.root
        sources = Sources(self.pool.pool, mirror=s.mirror, offline=s.offline, keyrings=s.keyrings, root=root)
        base = back_end(self.resolved.base.model_dump(), sources)
        return Tools(base, self.pool.wheels, s.offline, root, s.boot_iso)

    def lock(self, tools: Tools) -> Lock:
        """The committed lock of the packages, or a fresh one where it no longer serves and the mode allows it."""
        project, name = self.resolved.project, self.resolved.distribution.base
        return lock.ensure(
            tools.base,
            project.lock(name),
            self.resolved.packages(),
            mode=self.settings.lock_mode,
            fresh_path=self.settings.build / f"{name}.lock.json",
            made=datetime.datetime.now(datetime.UTC).date().isoformat(),
        )

    def locks(self, tools: Tools) -> Locks:
        """All locks: packages, Python parts, and what makes wheels."""
        found_wheels = {tree: wheels.read(self.resolved.wheel_lock(tree)) for tree in self.resolved.python()}
        build_tools = wheels.read(self.resolved.project.build_tools_lock)
        return Locks(self.lock(tools).trees, found_wheels, build_tools)

    def pipeline(self) -> Pipeline:
        """The steps of this build."""
        tools = self.tools()
        seed = self.settings.seed
        return pipeline.assemble(self.resolved, self.locks(tools), tools, mode=self.settings.mode, seed=seed)


def require_root() -> None:
    """Root trees hold files of many owners and need mounts of their own."""
    if os.geteuid() != 0:
        raise AsrboxError("a build makes root file systems and needs to be root", hint="run it with sudo")


@contextmanager
def opened(store: Store) -> Iterator[Store]:
    """The store, held for writing."""
    require_root()
    with store.writing():
        yield store


def build(workshop: Workshop, store: Store, goals: list[str] | None = None) -> tuple[Pipeline, list[engine.Outcome]]:
    """Make the goals (names of steps; default: the ISO) present in the store. The caller holds the store."""
    steps = workshop.pipeline()
    wanted = [steps.steps[name] for name in goals] if goals else [steps.goal]
    outcomes = engine.build(wanted, store, workshop.settings.build / "logs", workers=workshop.settings.jobs)
    used = {outcome.step.id for outcome in outcomes}
    if gone := store.evict(used, workshop.settings.store_limit):
        log.info(f"{len(gone)} outputs of earlier builds left the store to keep it below its limit")
    return steps, outcomes


def publish(workshop: Workshop, store: Store, steps: Pipeline, dist: Path, key: str | None = None) -> Path:
    """Put the ISO, its checksum and (with a key) its signature into `dist`; whole or not at all."""
    name = str(steps.goal.options["file"])
    source, target, mark = store.out(steps.goal) / name, dist / name, dist / f".{name}.step"
    dist.mkdir(parents=True, exist_ok=True)
    current = mark.is_file() and mark.read_text() == f"{steps.goal.id}\n" and target.is_file()
    if not current or target.stat().st_size != source.stat().st_size:
        mark.unlink(missing_ok=True)
        staged = dist / f".{name}.tmp"
        try:
            shutil.copyfile(source, staged)
            staged.rename(target)
        finally:
            staged.unlink(missing_ok=True)
        sign.write_checksums(dist, [target], key=key)
        mark.write_text(f"{steps.goal.id}\n")
    return target
