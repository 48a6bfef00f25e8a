"""Runs steps: what is in the store is reused, what is independent runs side by side, the reason is always told."""

from __future__ import annotations

import concurrent.futures
import errno
import os
import time
from dataclasses import dataclass
from pathlib import Path

from builder import log
from builder.errors import AsrboxError
from builder.run import stop_all
from builder.step import Step, Work, reasons, walk
from builder.store import Store, remove


@dataclass(frozen=True)
class Outcome:
    """What became of one step: `reused`, or run in `seconds` because of `why`."""

    step: Step
    reused: bool
    why: tuple[str, ...]
    seconds: float = 0.0


def plan(goals: list[Step], store: Store) -> list[Outcome]:
    """What a build would do now, without doing it."""
    found = []
    for step in walk(goals):
        reused = store.has(step)
        found.append(Outcome(step, reused, () if reused else tuple(reasons(step, store.last_ingredients(step)))))
    return found


def build(goals: list[Step], store: Store, logs: Path, *, workers: int | None = None) -> list[Outcome]:
    """Make the outputs of all goals present in the store and return what was done, in the order of `walk`.

    The caller holds `store.writing()`. Raises AsrboxError of the first step that fails; nothing half-made stays.
    """
    planned = plan(goals, store)
    todo = {outcome.step.id: outcome for outcome in planned if not outcome.reused}
    for outcome in planned:
        if outcome.reused:
            store.touch(outcome.step)
            store.remember(outcome.step)
    done: dict[str, Outcome] = {}
    running: dict[concurrent.futures.Future[float], str] = {}
    with concurrent.futures.ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1)) as pool:
        try:
            while todo or running:
                for identity, outcome in list(todo.items()):
                    waits = [below for below in outcome.step.inputs.values() if not store.has(below)]
                    if not waits and identity not in running.values():
                        running[pool.submit(_run, outcome, store, logs)] = identity
                        del todo[identity]
                finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in finished:
                    identity = running.pop(future)
                    seconds = future.result()
                    before = next(outcome for outcome in planned if outcome.step.id == identity)
                    done[identity] = Outcome(before.step, False, before.why, seconds)
        except BaseException:
            stop_all()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [done.get(outcome.step.id, outcome) for outcome in planned]


def _run(outcome: Outcome, store: Store, logs: Path) -> float:
    step = outcome.step
    started = time.monotonic()
    staging = store.staging()
    log_file = logs / f"{step.name.replace(':', '-')}.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    log_file.write_text("")
    with log.step(f"{step.name} ({outcome.why[0]})"):
        try:
            (staging / "out").mkdir()
            inputs = {role: store.out(below) for role, below in step.inputs.items()}
            step.function(Work(staging / "out", inputs, step.options, log_file, step.epoch), step.context)
            store.commit(step, staging)
        except BaseException as failure:
            remove(staging)
            raise _explained(step, failure, log_file, store) from failure
    return time.monotonic() - started


def _explained(step: Step, failure: BaseException, log_file: Path, store: Store) -> BaseException:
    if isinstance(failure, OSError) and failure.errno == errno.ENOSPC or "No space left on device" in str(failure):
        return AsrboxError(
            f"{step.name}: there is no space left on the disk of {store.path}",
            hint="free some space, lower --store-limit, or give --store a folder on another disk",
        )
    if isinstance(failure, AsrboxError):
        kept = f"the log is kept in {log_file}" if log_file.stat().st_size else None
        hint = "; ".join(filter(None, [failure.hint, kept])) or None
        return AsrboxError(f"{step.name}: {failure.message}", hint=hint, where=failure.where)
    return failure


def explain(outcomes: list[Outcome], *, done: bool) -> str:
    """The outcomes as text, a line for each step and one for each reason. `done`: they were carried out."""
    width = max(len(outcome.step.name) for outcome in outcomes)
    verb = "rebuilt" if done else "to build"
    lines = []
    for outcome in outcomes:
        state = "reused" if outcome.reused else verb
        took = f"  {outcome.seconds:6.1f} s" if done and not outcome.reused else ""
        lines.append(f"{outcome.step.name:<{width}}  {state:<8}  {outcome.step.id[:12]}{took}")
        lines += [f"{'':<{width}}    because {why}" for why in outcome.why]
    return "\n".join(lines)
