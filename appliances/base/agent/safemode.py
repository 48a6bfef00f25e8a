"""Appliances in safe mode: something that holds data stays broken, so its daemons are off until a person has looked.

The container runs on, so that one can look into it; the data are not touched. It ends when somebody starts the
appliance or one of its daemons, or when the machine reboots.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import threading
from pathlib import Path

from appliances.base.agent import files


class SafeMode:
    """Appliance → why, in a file below /run. Safe to use from threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._reasons = {str(name): str(why) for name, why in json.loads(path.read_text()).items()}

    def reason(self, appliance: str) -> str | None:
        """Why the appliance is in safe mode; None when it is not."""
        return self._reasons.get(appliance)

    def enter(self, appliance: str, reason: str) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self._change({**self._reasons, appliance: f"{reason} (since {now:%Y-%m-%d %H:%M} UTC)"})

    def leave(self, appliance: str) -> bool:
        """Returns whether it was in safe mode."""
        if appliance not in self._reasons:
            return False
        self._change({name: why for name, why in self._reasons.items() if name != appliance})
        return True

    def _change(self, reasons: dict[str, str]) -> None:
        with self._lock:
            self._reasons = reasons
            files.folder(self._path.parent, mode=0o700)
            files.write_json(self._path, reasons, mode=0o600)
