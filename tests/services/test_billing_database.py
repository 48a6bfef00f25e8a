"""The billing's Firebird 4, of the built tree: the daemon's setup and its bounds, migrations."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliances.asr_billing import subscriber_store
from appliances.asr_billing.database import Database, Unavailable
from appliances.asr_billing.migrations import Migration, MigrationError, migrate, read_migrations, schema_version
from tests.services.billing_database import ADDRESS, database
from tests.services.firebird import PORT, FirebirdServer

# --- the daemon -------------------------------------------------------------------------------------------------------


def test_the_image_holds_no_password_and_no_security_database(firebird_tree: Path) -> None:
    left = [
        str(path.relative_to(firebird_tree))
        for folder in ("etc/firebird", "var/lib/firebird")
        for path in (firebird_tree / folder).rglob("*")
        if path.name == "SYSDBA.password" or path.suffix == ".fdb"
    ]
    assert left == []
    assert (firebird_tree / "etc/systemd/system/firebird4.0.service").readlink() == Path("/dev/null")


def test_setup_makes_a_durable_database_and_can_be_run_again(firebird: FirebirdServer) -> None:
    # given the fresh volume, which belongs to root
    assert firebird.database.parent.stat().st_uid == 0

    first = firebird.setup()
    assert (first.returncode, first.stdout) == (0, "created /var/lib/asrbox/database/billing.fdb\n")
    answer = firebird.isql(
        "billing",
        "set list on; select mon$forced_writes, mon$page_size, "
        "(select trim(rdb$character_set_name) from rdb$database) as charset from mon$database;",
    )
    assert re.findall(r"(\S+)\s+(\S+)", answer) == [
        ("MON$FORCED_WRITES", "1"), ("MON$PAGE_SIZE", "16384"), ("CHARSET", "UTF8"),
    ]  # fmt: skip

    # when it runs again, what is in the database stays
    firebird.isql("billing", "create table kept (a integer); commit; insert into kept values (7); commit;")
    second = firebird.setup()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert "7" in firebird.isql("billing", "set list on; select a from kept;")
    assert sorted(path.name for path in firebird.database.parent.iterdir()) == ["billing.fdb"]


def test_a_power_cut_during_setup_leaves_nothing_that_disturbs_the_next(firebird: FirebirdServer) -> None:
    # given halves of both files, as a cut leaves them
    (firebird.state / "security" / "security4.fdb.new").write_bytes(b"half")
    (firebird.state / "database" / "billing.fdb.new").write_bytes(b"half")

    firebird.start()

    with database().transaction() as transaction:
        assert subscriber_store.count(transaction) == 0


def test_setup_says_what_is_missing(firebird: FirebirdServer) -> None:
    (firebird.configuration / "secrets" / "sysdba-password").unlink()
    done = firebird.setup()
    assert done.returncode == 1
    assert done.stderr == (
        "firebird_setup: cannot read /etc/asrbox/secrets/sysdba-password: No such file or directory; "
        "the host's agent renders it\n"
    )
    assert not firebird.database.exists()


def test_firebird_listens_on_its_own_address_only_and_encrypts(firebird: FirebirdServer) -> None:
    firebird.start()
    assert firebird.listening() == {ADDRESS}
    with database().raw_transaction() as transaction:
        row = transaction.row(
            "select mon$wire_encrypted as wire, trim(mon$auth_method) as method "
            "from mon$attachments where mon$attachment_id = current_connection"
        )
    assert row == {"wire": True, "method": "Srp256"}


@pytest.mark.parametrize("alias", ["/var/lib/asrbox/database/billing.fdb", "security.db", "/tmp/x.fdb", "billing.new"])
def test_nothing_but_the_billing_database_can_be_reached(firebird: FirebirdServer, alias: str) -> None:
    firebird.start()
    other = Database(
        ADDRESS, PORT, password=lambda: "master's key", prepare=migrate, size=1, alias=alias, user="SYSDBA"
    )
    with pytest.raises(Exception, match=r"not allowed by server configuration|no permission for remote access"):
        other.ready()


def test_a_changed_secret_holds_after_a_restart_of_the_daemon(firebird: FirebirdServer) -> None:
    firebird.start()
    database().ready()
    firebird.write_secrets(**{"billing-password": "new ' secret"})
    firebird.stop()
    firebird.start()
    database(password="new ' secret").ready()
    with pytest.raises(Unavailable, match="refuses the user BILLING: the secret billing-password is not the one"):
        database(password="correct horse").ready()


# --- migrations -------------------------------------------------------------------------------------------------------

TABLE = Migration(1, "table", "a" * 64, (("create table t (n integer)",), ("insert into t values (1)",)))
MORE = Migration(2, "more", "b" * 64, (("alter table t add m integer", "create index t_n on t (n)"),))
BROKEN = Migration(2, "more", "b" * 64, (("alter table t add m integer", "create index t_k on t (k)"),))


def values(base: Database) -> list[dict[str, Any]]:
    with base.raw_transaction(read_only=True) as transaction:
        return transaction.rows("select n from t")


def test_migrations_run_once_from_nothing_and_on_what_is_there(firebird: FirebirdServer) -> None:
    firebird.start()
    base = database()
    assert migrate(base, [TABLE]) == 1
    assert migrate(base, [TABLE]) == 1
    assert migrate(base, [TABLE, MORE]) == 2
    assert (schema_version(base), values(base)) == (2, [{"n": 1}])


def test_the_shipped_migrations_run_twice(firebird: FirebirdServer) -> None:
    firebird.start()
    for _ in range(2):
        base = database()
        base.ready()
        assert schema_version(base) == len(read_migrations())


def test_a_failed_migration_leaves_nothing_and_runs_when_mended(firebird: FirebirdServer) -> None:
    firebird.start()
    base = database()
    with pytest.raises(
        MigrationError, match=r"migrations/0002_more.sql: .*T_K failed.*; in: create index t_k on t \(k\)"
    ):
        migrate(base, [TABLE, BROKEN])
    assert schema_version(base) == 1
    assert migrate(base, [TABLE, MORE]) == 2  # the column of the failed one was rolled back, else this would clash


def test_a_migration_killed_between_its_parts_continues(firebird: FirebirdServer) -> None:
    # given: the server dies when the second part has done its work and not committed
    firebird.start()
    killed = Migration(1, "table", "a" * 64, TABLE.parts)

    class Dying(tuple):  # type: ignore[type-arg]
        def __iter__(self) -> Iterator[str]:
            yield "insert into t values (1)"
            firebird.stop(signal.SIGKILL)

    with pytest.raises(Unavailable):
        migrate(database(), [Migration(1, killed.name, killed.sha256, (killed.parts[0], Dying()))])

    # when it starts again
    firebird.start()
    base = database()
    assert schema_version(base) == 0  # begun, not complete
    assert values(base) == []
    assert migrate(base, [killed]) == 1
    assert values(base) == [{"n": 1}]


def test_processes_that_migrate_at_the_same_time_do_it_once(firebird: FirebirdServer) -> None:
    firebird.start()
    bases = [database() for _ in range(3)]
    failures: list[Exception] = []

    def work(base: Database) -> None:
        try:
            migrate(base, [TABLE, MORE])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(base,)) for base in bases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert values(bases[0]) == [{"n": 1}]


def test_a_changed_migration_and_a_newer_database_are_refused(firebird: FirebirdServer) -> None:
    firebird.start()
    base = database()
    migrate(base, [TABLE, MORE])
    with pytest.raises(MigrationError, match="0001_table.sql was changed after the database had run it"):
        migrate(base, [Migration(1, "table", "c" * 64, TABLE.parts), MORE])
    with pytest.raises(MigrationError, match="the database has schema version 2, this program knows 1"):
        migrate(base, [TABLE])
