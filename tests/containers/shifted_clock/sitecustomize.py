"""Put on the path of a Python program, it moves the program's clock by the seconds in /run/asrbox-test/offset.

Only the time of day: what runs steadily (monotonic, boottime) goes on. libfaketime would do that for programs of any
kind, but time.sleep() fails under it (0.9.10, clock_nanosleep).
"""

import datetime
import time
from pathlib import Path

_OFFSET = Path("/run/asrbox-test/offset")
_true = time.time


def _shifted() -> float:
    return _true() + float(_OFFSET.read_text())


class _Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "_Datetime":
        return cls.fromtimestamp(_shifted(), tz)


time.time = _shifted
datetime.datetime = _Datetime  # type: ignore[misc]
