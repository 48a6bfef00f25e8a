"""Firebird as the rest of the billing sees it: transactions that commit or vanish, and errors with a meaning."""

from __future__ import annotations

import atexit
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, cast

from firebird.driver import DatabaseError, Isolation, TraAccessMode, connect, driver_config, tpb

from appliances.asr_billing.pool import Pool, PoolBusy, close
from appliances.asr_billing.statements import Statement, compiled, statement
from appliances.common.settings import SettingsError

CONNECT_SECONDS = 3
LOCK_SECONDS = 5  # so long a transaction waits for a row that another one is changing
PATIENCE_SECONDS = 3.0  # so long a request waits for a free connection

# Codes of iberror.h
_UNIQUE = {335544665, 335544349}  # unique_key_violation, no_dup
_CHANGED = {
    335544336,
    335544451,
    335544510,
    335544878,
}  # deadlock, update_conflict, lock_timeout, concurrent_transaction
_LOGIN = {335544472, 335545106}  # login, login_error
_NO_FILE = {335544344, 335544734}  # io_error, io_open_err
_AWAY = {335544721, 335544722, 335544726, 335544727, 335544741, 335544856, 335544648, 335544794}

driver_config.db_defaults.timeout.value = CONNECT_SECONDS


class Unavailable(Exception):
    """The database cannot be asked now; the text says why and what to look at. Nothing was changed."""


class Duplicate(Exception):
    """A unique value is taken. `constraint` is its name in the schema."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class Changed(Exception):
    """Another transaction changed the same row at the same time; the caller may look and try again."""


class Transaction:
    """Runs statements in one transaction of one connection. They raise Duplicate, Changed or Unavailable.

    A statement is named `<file>.<name>` of the folder sql, or given as text.
    """

    def __init__(self, connection: Any, meaning: Callable[[DatabaseError], Exception]) -> None:
        self._connection = connection
        self._meaning = meaning

    def rows(self, sql: str, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """All rows of a query, as dictionaries with lower-case names."""
        with self._cursor() as cursor:
            _execute(cursor, sql, values)
            names = [column[0].lower() for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def row(self, sql: str, values: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """The first row of a query, or None."""
        found = self.rows(sql, values)
        return found[0] if found else None

    def change(self, sql: str, values: Mapping[str, Any] | None = None) -> int:
        """Run one statement that changes rows; gives back how many."""
        with self._cursor() as cursor:
            _execute(cursor, sql, values)
            return int(cursor.affected_rows)

    def change_many(self, sql: str, rows: list[Mapping[str, Any]]) -> None:
        """Run one statement for each of `rows`, prepared once."""
        ready = _ready(sql)
        with self._cursor() as cursor:
            cursor.executemany(ready.sql, [ready.arguments(row) for row in rows])

    def define(self, sql: str) -> None:
        """Run one statement of the data definition language as it is written."""
        with self._cursor():
            self._connection.execute_immediate(sql)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        try:
            with self._connection.cursor() as cursor:
                yield cursor
        except DatabaseError as error:
            raise self._meaning(error) from error


class Database:
    """The billing database at `address`:`port`. `password` is asked at each new connection.

    `prepare` (the migrations) runs once before the first transaction, with `raw_transaction`. Everything raises
    Unavailable while Firebird does not answer, and works again when it does.
    """

    def __init__(
        self,
        address: str,
        port: int,
        *,
        password: Callable[[], str],
        prepare: Callable[[Database], object],
        size: int = 8,
        alias: str = "billing",
        user: str = "BILLING",
    ) -> None:
        self._place = f"{address}:{port}"
        self._dsn = f"{address}/{port}:{alias}"
        self._user = user
        self._password = password
        self._prepare = prepare
        self._prepared = False
        self._preparing = threading.Lock()
        self._pool = Pool(self._connect, size, PATIENCE_SECONDS)
        atexit.register(self._pool.close)

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Iterator[Transaction]:
        """One transaction: committed when the block ends, rolled back when it raises.

        Read-only ones see one state of the whole database; others see, per statement, what is committed. Raises
        Unavailable, and Duplicate or Changed for what statements of the block met.
        """
        self.ready()
        with self.raw_transaction(read_only=read_only) as transaction:
            yield transaction

    def ready(self) -> None:
        """Make sure that the schema is the one of this code. Raises Unavailable."""
        if self._prepared:
            return
        if not self._preparing.acquire(timeout=PATIENCE_SECONDS):
            raise Unavailable("the schema of the database is being brought up to date; this may take minutes")
        try:
            if not self._prepared:
                self._prepare(self)
                self._prepared = True
        finally:
            self._preparing.release()

    @contextmanager
    def raw_transaction(self, *, read_only: bool = False) -> Iterator[Transaction]:
        """As `transaction`, without asking for the schema: for the migrations themselves."""
        isolation = Isolation.SNAPSHOT if read_only else Isolation.READ_COMMITTED_RECORD_VERSION
        access = TraAccessMode.READ if read_only else TraAccessMode.WRITE
        try:
            with self._pool.connection() as connection:
                connection.begin(tpb(isolation, lock_timeout=LOCK_SECONDS, access_mode=access))
                try:
                    yield Transaction(connection, self._meaning)
                    connection.commit()
                except BaseException:
                    _roll_back(connection)
                    raise
        except PoolBusy as error:
            raise Unavailable(f"all connections to Firebird were busy for {PATIENCE_SECONDS:.0f} s") from error
        except DatabaseError as error:
            raise self._meaning(error) from error

    def _connect(self) -> Any:
        try:
            return connect(self._dsn, user=self._user, password=self._password(), charset="UTF8")
        except SettingsError as error:
            raise Unavailable(f"the password of the database user {self._user} is missing: {error}") from error

    def _meaning(self, error: Any) -> Exception:
        codes = _codes(error)
        said = " ".join(str(error).split())
        if codes & _UNIQUE:
            return Duplicate(_constraint(said))
        if codes & _CHANGED:
            return Changed(said)
        if codes & _LOGIN:
            return Unavailable(
                f"Firebird at {self._place} refuses the user {self._user}: the secret billing-password is not "
                "the one that Firebird was started with; restart asrbox-firebird.service"
            )
        if codes & _NO_FILE:
            return Unavailable(f"Firebird at {self._place} cannot open the database: {said}")
        if codes & _AWAY:
            return Unavailable(f"Firebird at {self._place} does not answer: {said}")
        return cast(Exception, error)


def load_client() -> None:
    """Load Firebird's client library without letting it have the process's signals; call it in the main thread.

    With its first connection the library puts handlers of its own on SIGTERM and SIGINT, and they hang the process when
    the signal comes while another call runs. So the first connection is made here, to a port where nothing answers.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with suppress(DatabaseError):
        connect("127.0.0.1/1:none", user="nobody", password="none").close()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _roll_back(connection: Any) -> None:
    """Roll back; a connection that cannot even do that is closed, and the pool makes another one."""
    try:
        connection.rollback()
    except DatabaseError:
        close(connection)


def _execute(cursor: Any, sql: str, values: Mapping[str, Any] | None) -> None:
    ready = _ready(sql)
    cursor.execute(ready.sql, ready.arguments(values or {}))


def _ready(sql: str) -> Statement:
    return compiled(sql) if " " in sql else statement(sql)


def _codes(error: DatabaseError) -> set[int]:
    return set(error.gds_codes or ())


def _constraint(said: str) -> str:
    """Name of the constraint or index in Firebird's sentence: … constraint "X" on table "Y" …."""
    parts = said.split('"')
    return parts[1] if len(parts) > 1 else ""
