"""The one small file in which auth keeps everything: SQLite on the volume, migrated by numbered SQL files."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from appliances.auth.policy import Policy

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY = 5.0  # seconds to wait for another thread's write


class MigrationError(Exception):
    """The database cannot be brought to the schema of this version; the text names the file."""


def moment(at: datetime) -> str:
    """A moment as it is stored: ISO 8601 in UTC, to the second, so that text order is time order."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


class Store:
    """Connections to the database: one for each thread, durable with every commit."""

    def __init__(self, path: Path, policy: Policy | None = None) -> None:
        """Opens or creates the file and migrates it. Raises sqlite3.Error, MigrationError."""
        self.path = path
        self.policy = policy or Policy()
        self._local = threading.local()
        self._migrate()

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is committed at the end and rolled back on an exception."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def read(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """All rows of one query."""
        return self._connection().execute(sql, values).fetchall()

    def one(self, sql: str, *values: object) -> sqlite3.Row | None:
        """The first row of one query, or None."""
        row: sqlite3.Row | None = self._connection().execute(sql, values).fetchone()
        return row

    def version(self) -> int:
        """Number of the newest migration that this database has."""
        row = self.one("PRAGMA user_version")
        return int(row[0]) if row else 0

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=BUSY, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
        return connection

    def _migrate(self) -> None:
        files = migration_files()
        with self.write() as db:
            done = db.execute("PRAGMA user_version").fetchone()[0]
            if done > len(files):
                raise MigrationError(
                    f"{self.path}: made by a newer version (migration {done}, this one knows {len(files)}); "
                    "install the newer version again or restore a copy"
                )
            for number, file in enumerate(files[done:], start=done + 1):
                for statement in statements(file.read_text(encoding="utf-8")):
                    try:
                        db.execute(statement)
                    except sqlite3.Error as error:
                        raise MigrationError(f"{file.name}: {error}") from error
                db.execute(f"PRAGMA user_version = {number}")


def migration_files() -> list[Path]:
    """The migrations in order. Raises MigrationError when a number is missing or taken twice."""
    files = sorted(MIGRATIONS.glob("*.sql"))
    for number, file in enumerate(files, start=1):
        if not re.match(rf"{number:04d}_\w+\.sql$", file.name):
            raise MigrationError(f"{file.name}: expected number {number:04d}")
    return files


def statements(script: str) -> list[str]:
    """The single statements of an SQL script: sqlite3.executescript would commit the transaction they belong to."""
    found, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    if re.sub(r"--.*", "", pending).strip():
        raise MigrationError(f"unfinished statement: {pending.strip()[:60]}")
    return found
