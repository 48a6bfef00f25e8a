"""A plan is on trial until what it changes is well. That is noted on the disk: an agent that is killed meanwhile still
judges it at its next start, and takes it back if need be.
"""

from __future__ import annotations

import json
from pathlib import Path

from appliances.base.agent import files


class Trial:
    """The note, in one file; none when no plan is on trial."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, before: int, names: set[str]) -> None:
        """Before a plan comes into force: the number of the one that is, and the appliances that will change."""
        files.write_json(
            files.folder(self._path.parent, mode=0o700) / self._path.name, [before, *sorted(names)], mode=0o600
        )

    def end(self) -> None:
        self._path.unlink(missing_ok=True)
        if self._path.parent.exists():
            files.sync_folder(self._path.parent)

    def read(self) -> tuple[int, set[str]] | None:
        """What `begin()` noted; None when nothing is on trial, or the note is damaged."""
        try:
            before, *names = json.loads(self._path.read_text())
            return int(before), set(map(str, names))
        except (OSError, ValueError, TypeError):
            return None
