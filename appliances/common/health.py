"""/healthz: every dependency is really asked, with a deadline, and a check that hangs is never started twice."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypedDict

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

DEADLINE = 4.0  # seconds; the agent gives up after 5

Check = Callable[[], str]
_log = logging.getLogger(__name__)


class Outcome(TypedDict):
    ok: bool
    detail: str


class Health:
    """Runs named checks at the same time. A check returns a detail for people, or raises."""

    def __init__(self, checks: Mapping[str, Check], deadline: float = DEADLINE) -> None:
        self._checks = dict(checks)
        self._deadline = deadline
        self._pool = ThreadPoolExecutor(max_workers=max(1, len(self._checks)), thread_name_prefix="health")
        self._running: dict[str, tuple[Future[str], float]] = {}
        self._lock = threading.Lock()

    def run(self) -> dict[str, Outcome]:
        """Outcome of each check within the deadline (seconds)."""
        with self._lock:
            for name, check in self._checks.items():
                if name not in self._running:
                    self._running[name] = (self._pool.submit(check), time.monotonic())
            asked = dict(self._running)
        wait([future for future, _ in asked.values()], timeout=self._deadline)
        outcomes = {name: self._outcome(name, future, since) for name, (future, since) in asked.items()}
        with self._lock:
            for name, (future, _) in asked.items():
                if future.done() and self._running.get(name, (None,))[0] is future:
                    del self._running[name]
        return outcomes

    def _outcome(self, name: str, future: Future[str], since: float) -> Outcome:
        if not future.done():
            return {"ok": False, "detail": f"no answer for {time.monotonic() - since:.0f} s"}
        error = future.exception()
        if error is None:
            return {"ok": True, "detail": future.result()}
        _log.warning("check %s fails: %s", name, error)
        return {"ok": False, "detail": str(error) or type(error).__name__}


def blueprint(checks: Mapping[str, Check]) -> Blueprint:
    """A blueprint with GET /healthz: 200 when every check passes, 503 otherwise."""
    health = Health(checks)
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    def healthz() -> ResponseReturnValue:
        outcomes = health.run()
        passing = all(outcome["ok"] for outcome in outcomes.values())
        body = jsonify(status="ok" if passing else "failing", checks=outcomes)
        return body, 200 if passing else 503

    return routes
