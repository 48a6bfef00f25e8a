"""The package database in a tree: what is installed, and one file of it that every build host makes the same."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from builder.errors import AsrboxError
from builder.run import run

NAME = "rpmdb.sqlite"
BESIDE = (".rpm.lock", f"{NAME}-wal", f"{NAME}-shm")
_FORM = r"%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{ARCH}\n"
# sqlite.org/fileformat2.html 1.3: how often the file changed, at which of these its size was right, who wrote it last
_HEADER = {24: 1, 92: 1, 96: 3034000}
_BTREE_HEADER_SIZE = {2: 12, 5: 12, 10: 8, 13: 8}  # bytes by kind of page, 1.6; pages of other kinds begin with 0


def installed(tree: Path, database: str) -> set[tuple[str, str, str]]:
    """(name, version, architecture) of every package in a tree; the version with its epoch unless that is 0.

    Reads a copy of the package database, since rpm writes beside the one that it reads.
    """
    with tempfile.TemporaryDirectory(prefix="asrbox-rpmdb-") as copy:
        shutil.copyfile(tree / database.lstrip("/") / NAME, Path(copy, NAME))
        options = ["--dbpath", copy, "--noplugins", "--query", "--all", "--queryformat", _FORM]
        done = run(["rpm", *options], env={"HOME": copy})
    rows = (line.split("\t") for line in done.stdout.splitlines())
    return {(name, version.removeprefix("0:"), architecture) for name, version, architecture in rows}


def assert_in_place(tree: Path, database: str) -> None:
    """Raises AsrboxError unless the package database is at `database`, and there alone."""
    if not (tree / database.lstrip("/") / NAME).is_file():
        raise AsrboxError(
            f"the package database of {tree} is not at {database}",
            hint="`rpmdb` of the base manifest must be the place where the base's own rpm looks",
        )
    if (tree / "root/.rpmdb").exists():
        raise AsrboxError(f"{tree} has a package database at /root/.rpmdb, where the base's own rpm does not look")


@contextlib.contextmanager
def closing(tree: Path, database: str) -> Iterator[None]:
    """Seal the package database after rpm has written it, whether all went well or not."""
    try:
        yield
    finally:
        folder = tree / database.lstrip("/")
        if (folder / NAME).is_file():
            seal(folder / NAME)
        for name in BESIDE:
            (folder / name).unlink(missing_ok=True)


def seal(path: Path) -> None:
    """Make a database one file whose bytes depend on nothing but its rows.

    Not on which SQLite wrote it, in how many turns, and what was written and deleted meanwhile.
    """
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone():
            connection.execute("DELETE FROM sqlite_stat1")  # only the planner's guesses; rpm makes them anew
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    for offset, value in _HEADER.items():
        data[offset : offset + 4] = value.to_bytes(4, "big")
    page_size = int.from_bytes(data[16:18], "big")
    for page in range(0, len(data), page_size):
        _blank_gap(data, page, page + 100 if page == 0 else page)
    path.write_bytes(data)


def _blank_gap(data: bytearray, page: int, header: int) -> None:
    """Between the cell pointers and the cells of a page lies what was there before: take it out."""
    if (size := _BTREE_HEADER_SIZE.get(data[header])) is None:
        return
    cells = int.from_bytes(data[header + 3 : header + 5], "big")
    begin = header + size + 2 * cells
    end = page + int.from_bytes(data[header + 5 : header + 7], "big")
    data[begin:end] = bytes(max(0, end - begin))
