"""What a person stopped by hand. It stays stopped until started again, or until the machine reboots."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from appliances.base.agent import files


class Held:
    """A set of targets, `<appliance>` or `<appliance>.<daemon>`, in a file below /run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._targets = set(json.loads(path.read_text()))
        except (OSError, ValueError):
            self._targets = set()

    def __contains__(self, target: str) -> bool:
        return target in self._targets

    def appliances(self) -> set[str]:
        return {target for target in self._targets if "." not in target}

    def hold(self, target: str) -> None:
        self._change(self._targets | {target})

    def release(self, target: str) -> None:
        self._change(self._targets - {target})

    def _change(self, targets: set[str]) -> None:
        with self._lock:
            self._targets = targets
            files.folder(self._path.parent, mode=0o700)
            files.write_json(self._path, sorted(targets), mode=0o600)
