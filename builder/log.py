"""Lines that read like the story of a build: nested, timed, safe to use from several threads.

Everything goes to standard error, so that standard output stays free for results.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

_lock = threading.Lock()
_depth = threading.local()


def _level() -> int:
    return getattr(_depth, "value", 0)


def _write(mark: str, text: str) -> None:
    indent = "  " * _level()
    with _lock:
        for line in text.splitlines() or [""]:
            sys.stderr.write(f"{mark} {indent}{line}\n")
        sys.stderr.flush()


def info(text: str) -> None:
    """One line about what happens now."""
    _write("·", text)


def warn(text: str) -> None:
    """Something the user should know but that stops nothing."""
    _write("!", text)


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Announce a piece of work; when it ends, say how long it took (seconds)."""
    _write("▸", text)
    _depth.value = _level() + 1
    started = time.monotonic()
    try:
        yield
    except BaseException:
        _depth.value -= 1
        _write("✗", f"{text}: failed after {time.monotonic() - started:.1f} s")
        raise
    _depth.value -= 1
    _write("✓", f"{text}: {time.monotonic() - started:.1f} s")
