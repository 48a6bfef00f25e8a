"""What an installation leaves that differs between two builds is taken away: the same for every family."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path


def make_neutral(tree: Path, litter: Iterable[str], emptied: Iterable[str], *, epoch: int, started: float) -> None:
    """Remove `litter` (patterns below the tree), empty the files `emptied`, forget the build machine's resolver.

    Every time later than `epoch`, or of this very build (since `started`; its clock may be behind), becomes `epoch`;
    both in seconds since 1970.
    """
    for pattern in litter:
        for path in tree.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    (tree / "etc").mkdir(exist_ok=True)
    for name in emptied:
        (tree / name).write_text("")
        (tree / name).chmod(0o644)
    resolver = tree / "etc/resolv.conf"
    if not resolver.is_symlink():
        resolver.unlink(missing_ok=True)
    for folder, folders, names in os.walk(tree):
        for path in (Path(folder), *(Path(folder, name) for name in (*folders, *names))):
            changed = path.lstat().st_mtime
            if changed > epoch or changed >= started - 1:
                os.utime(path, (epoch, epoch), follow_symlinks=False)
