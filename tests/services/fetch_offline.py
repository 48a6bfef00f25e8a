"""Fetch everything that a lock names from a pool, offline. Tests run this in a network namespace that has nothing.

usage: fetch_offline.py MANIFEST.json LOCK.json POOL
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from builder import lock
from builder.bases import Sources, back_end
from builder.errors import AsrboxError


def main(manifest: str, lock_path: str, pool: str) -> int:
    base = back_end(json.loads(Path(manifest).read_text()), Sources(pool=Path(pool), offline=True))
    try:
        for path in base.fetch(lock.read(Path(lock_path)).packages()):
            print(path.name)
    except AsrboxError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
