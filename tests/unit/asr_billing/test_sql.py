"""SQL files: parameters of statements, statements of migrations."""

from pathlib import Path

import pytest

from appliances.asr_billing.migrations import MigrationError, read_migrations, split
from appliances.asr_billing.statements import FOLDER, compiled, statement, texts


def test_parameters_become_question_marks_in_their_order() -> None:
    one = compiled("select ':no', \"a:b\", :b -- :comment\n from t where x = :a and y = :b and z = ':it''s:'")
    assert one.sql == "select ':no', \"a:b\", ? -- :comment\n from t where x = ? and y = ? and z = ':it''s:'"
    assert one.arguments({"a": 1, "b": 2, "c": 3}) == [2, 1, 2]


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(KeyError, match="moment"):
        compiled("delete from t where at < :moment").arguments({})


def test_statements_of_a_file_have_neither_comments_nor_a_semicolon() -> None:
    assert statement("subscriber.add_word").sql == "insert into subscriber_word (word, subscriber_id) values (?, ?)"
    for file in ("subscriber", "idempotency", "migration", "health"):
        for name, text in texts(file).items():
            assert text, f"{file}.{name}"
            assert not text.endswith(";") and "--" not in text, f"{file}.{name}"


def test_a_script_is_split_as_isql_splits_it() -> None:
    script = (
        "-- a comment; with a semicolon\n"
        "create table a (\n    b integer -- not; the end\n);\n\n"
        "set term ^ ;\n"
        "create procedure p as\nbegin\n  delete from a;\nend^\n"
        "SET TERM ; ^\n"
        "drop table a;\n"
    )
    assert split(script) == [
        "create table a (\n    b integer -- not; the end\n)",
        "create procedure p as\nbegin\n  delete from a;\nend",
        "drop table a",
    ]


def test_a_statement_without_an_end_is_refused() -> None:
    with pytest.raises(MigrationError, match="a statement does not end with ;: create table a"):
        split("create table a (b integer)\n")


def test_the_shipped_migrations_are_numbered_without_a_gap() -> None:
    migrations = read_migrations()
    assert [migration.number for migration in migrations] == list(range(1, len(migrations) + 1))
    assert all(part for migration in migrations for part in migration.parts)
    assert FOLDER.is_dir()


@pytest.mark.parametrize("names", [["0001_a.sql", "0003_b.sql"], ["1_a.sql"], ["0001-a.sql"], ["0002_a.sql"]])
def test_a_gap_or_another_name_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("select 1 from rdb$database;\n")
    with pytest.raises(MigrationError, match=r"expected the name 000\d_<name>\.sql"):
        read_migrations(tmp_path)


def test_a_migration_has_parts(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("create table a (b integer);\n-- part\ninsert into a values (1);\n")
    (migration,) = read_migrations(tmp_path)
    assert migration.parts == (("create table a (b integer)",), ("insert into a values (1)",))
    assert (migration.number, migration.name, len(migration.sha256)) == (1, "a", 64)
