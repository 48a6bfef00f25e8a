"""The database: numbered migrations in one transaction, durable settings, a journal that cannot be rewritten."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliances.auth import audit, store
from appliances.auth.store import MigrationError, Store, statements


def test_a_new_database_has_all_migrations_and_a_second_start_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "auth.sqlite3"
    assert Store(path).version() == len(store.migration_files()) == 3
    assert Store(path).version() == 3


def test_commits_are_durable(tmp_path: Path) -> None:
    opened = Store(tmp_path / "auth.sqlite3")
    journal, synchronous = opened.one("PRAGMA journal_mode"), opened.one("PRAGMA synchronous")
    assert journal is not None and journal[0] == "wal"
    assert synchronous is not None and synchronous[0] == 2  # FULL


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "auth.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(MigrationError, match=r"made by a newer version \(migration 99, this one knows 3\)"):
        Store(path)


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0001_good.sql").write_text("CREATE TABLE good (id INTEGER);")
    (tmp_path / "0002_bad.sql").write_text("CREATE TABLE other (id INTEGER); CREATE TABL;")
    monkeypatch.setattr(store, "MIGRATIONS", tmp_path)
    with pytest.raises(MigrationError, match="0002_bad.sql"):
        Store(tmp_path / "db")
    with sqlite3.connect(tmp_path / "db") as db:
        assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_a_gap_in_the_numbers_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0001_a.sql").touch()
    (tmp_path / "0003_c.sql").touch()
    monkeypatch.setattr(store, "MIGRATIONS", tmp_path)
    with pytest.raises(MigrationError, match="0003_c.sql: expected number 0002"):
        store.migration_files()


def test_a_trigger_is_one_statement() -> None:
    script = "-- why\nCREATE TRIGGER t BEFORE UPDATE ON x BEGIN SELECT 1; SELECT 2; END;\nCREATE TABLE x (a);\n-- end\n"
    assert len(statements(script)) == 2


def test_an_exception_rolls_back(tmp_path: Path) -> None:
    opened = Store(tmp_path / "auth.sqlite3")
    with pytest.raises(RuntimeError), opened.write() as db:
        audit.add(db, datetime.now(UTC), "anna", "logout")
        raise RuntimeError
    assert audit.page(opened) == []


@pytest.mark.parametrize("sql", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"])
def test_the_journal_is_append_only(tmp_path: Path, sql: str) -> None:
    opened = Store(tmp_path / "auth.sqlite3")
    with opened.write() as db:
        audit.add(db, datetime.now(UTC), "anna", "logout")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), opened.write() as db:
        db.execute(sql)
    assert [entry.actor for entry in audit.page(opened)] == ["anna"]
