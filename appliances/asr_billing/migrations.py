"""Brings the schema forward: numbered files migrations/NNNN_name.sql, each exactly once, in order.

A file consists of parts, divided by lines `-- part`. Each part is one transaction, together with the record that it is
done: Firebird rolls both back when the process or the server dies, so a killed migration continues with that part.
A new part is needed where a statement works with rows of a table that the part before it makes.
"""

from __future__ import annotations

import hashlib
import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from firebird.driver import DatabaseError

from appliances.asr_billing import statements
from appliances.asr_billing.database import Database, Duplicate, Transaction, Unavailable

FOLDER = Path(__file__).parent / "migrations"
_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_log = logging.getLogger(__name__)


class MigrationError(Unavailable):
    """The schema cannot be brought to the version of this code; a person has to look."""


@dataclass(frozen=True)
class Migration:
    """One file: each part is a list of statements."""

    number: int
    name: str
    sha256: str
    parts: tuple[tuple[str, ...], ...]

    @property
    def file(self) -> str:
        return f"{self.number:04}_{self.name}.sql"


def read_migrations(folder: Path = FOLDER) -> list[Migration]:
    """All migrations of a folder in their order. Raises MigrationError for a gap or a file with another name."""
    found = []
    for number, path in enumerate(sorted(folder.glob("*.sql")), 1):
        name = _FILE.fullmatch(path.name)
        if name is None or int(name[1]) != number:
            raise MigrationError(f"{path}: expected the name {number:04}_<name>.sql")
        text = path.read_text(encoding="utf-8")
        parts = tuple(tuple(split(part)) for part in re.split(r"^-- part$", text, flags=re.MULTILINE))
        found.append(Migration(number, name[2], hashlib.sha256(text.encode()).hexdigest(), parts))
    return found


def split(script: str) -> list[str]:
    """Statements of a script as isql reads it: each ends with `;` at the end of a line, or what SET TERM names."""
    found: list[str] = []
    lines: list[str] = []
    terminator = ";"
    for line in script.splitlines():
        if not lines and (not line.strip() or line.lstrip().startswith("--")):
            continue
        if change := re.fullmatch(r"\s*set\s+term\s+(\S+?)\s*" + re.escape(terminator) + r"\s*", line, re.IGNORECASE):
            terminator = change[1]
            continue
        lines.append(line)
        if line.rstrip().endswith(terminator):
            found.append("\n".join(lines).rstrip().removesuffix(terminator))
            lines = []
    if lines:
        raise MigrationError(f"a statement does not end with {terminator}: {lines[0].strip()}")
    return found


def migrate(database: Database, migrations: list[Migration] | None = None) -> int:
    """Run what the database has not seen yet; gives back the version of its schema.

    Safe to run by several processes at the same time. Raises MigrationError, or Unavailable without Firebird.
    """
    migrations = read_migrations() if migrations is None else migrations
    _make_table(database)
    while True:
        with database.raw_transaction() as transaction:
            transaction.row("migration.lock")  # a second process waits here until this part is committed
            step = _next_step(transaction, migrations)
            if step is None:
                return len(migrations)
            _run(transaction, *step)


def schema_version(database: Database) -> int:
    """Number of the last migration that is complete."""
    with database.raw_transaction(read_only=True) as transaction:
        complete = [row["number"] for row in transaction.rows("migration.all") if row["parts_done"] == row["parts"]]
    return max(complete, default=0)


def _make_table(database: Database) -> None:
    with database.raw_transaction() as transaction:
        there = transaction.row("migration.exists")
    if not there:
        (definition,) = split((statements.FOLDER / "schema_migration.sql").read_text(encoding="utf-8"))
        with suppress(Duplicate), database.raw_transaction() as transaction:
            transaction.define(definition)
    with suppress(Duplicate), database.raw_transaction() as transaction:
        transaction.change("migration.first")


def _next_step(transaction: Transaction, migrations: list[Migration]) -> tuple[Migration, int] | None:
    seen = {row["number"]: row for row in transaction.rows("migration.all")}
    if newer := [number for number in seen if number > len(migrations)]:
        raise MigrationError(
            f"the database has schema version {max(newer)}, this program knows "
            f"{len(migrations)}: it is older than the data"
        )
    for migration in migrations:
        row = seen.get(migration.number)
        if row is None:
            return migration, 0
        if row["sha256"] != migration.sha256:
            raise MigrationError(
                f"migrations/{migration.file} was changed after the database had run it; write a new migration instead"
            )
        if row["parts_done"] < row["parts"]:
            return migration, int(row["parts_done"])
    return None


def _run(transaction: Transaction, migration: Migration, part: int) -> None:
    _log.info("migration %04d_%s: part %d of %d", migration.number, migration.name, part + 1, len(migration.parts))
    for statement in migration.parts[part]:
        try:
            transaction.define(statement)
        except DatabaseError as error:
            said = " ".join(str(error).split())
            raise MigrationError(f"migrations/{migration.file}: {said}; in: {' '.join(statement.split())}") from error
    record = {
        "number": migration.number,
        "name": migration.name,
        "sha256": migration.sha256,
        "parts": len(migration.parts),
        "moment": datetime.now(UTC).replace(tzinfo=None),
    }
    transaction.change("migration.advance" if part else "migration.begin", record)
