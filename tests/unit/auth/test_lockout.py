"""Guessing does not pay, and the right person is not kept out for long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliances.auth import lockout
from appliances.auth.lockout import BY_ADDRESS, BY_LOGIN
from appliances.auth.store import Store

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "auth.sqlite3")


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (4, 0), (5, 5), (6, 10), (7, 20), (8, 40), (9, 60), (10**6, 60)]
)
def test_the_delay_of_a_login_grows_to_a_minute(failures: int, seconds: int) -> None:
    assert BY_LOGIN.delay(failures) == timedelta(seconds=seconds)


def fail(store: Store, times: int, login: str = "anna", address: str = "192.0.2.1", now: datetime = NOON) -> None:
    for _ in range(times):
        assert lockout.count(store, login, address, now) is None


def test_the_sixth_attempt_has_to_wait_from_wherever_it_comes(store: Store) -> None:
    fail(store, 5)
    assert lockout.count(store, "anna", "192.0.2.2", NOON) == 5
    assert lockout.count(store, "ANNA", "192.0.2.3", NOON + timedelta(seconds=2)) == 3
    assert lockout.count(store, "oleg", "192.0.2.1", NOON) is None
    assert lockout.count(store, "anna", "192.0.2.1", NOON + timedelta(seconds=5)) is None


def test_an_address_that_tries_many_logins_has_to_wait(store: Store) -> None:
    for number in range(BY_ADDRESS.free):
        fail(store, 1, login=f"login{number}")
    assert lockout.count(store, "anna", "192.0.2.1", NOON) == 15
    assert lockout.count(store, "anna", "192.0.2.2", NOON) is None


def test_the_counters_survive_a_restart(store: Store) -> None:
    fail(store, 5)
    assert lockout.count(Store(store.path), "anna", "192.0.2.9", NOON) == 5


def test_success_forgives_the_login_but_not_the_address(store: Store) -> None:
    for number in range(BY_ADDRESS.free - 1):
        fail(store, 1, login=f"login{number}")
    fail(store, 1, login="mine")  # the attacker's own account, with the right password:
    lockout.forgive(store, "mine", "192.0.2.1")
    fail(store, 1, login="anna")
    assert lockout.count(store, "anna", "192.0.2.1", NOON) == 15


def test_old_failures_are_forgotten(store: Store) -> None:
    fail(store, 5)
    later = NOON + BY_LOGIN.forget + timedelta(seconds=1)
    fail(store, 4, now=later)
    assert lockout.count(store, "anna", "192.0.2.1", later) is None


def test_what_was_typed_as_login_is_not_stored_in_clear(store: Store) -> None:
    fail(store, 1, login="my password by mistake")
    rows = store.read("SELECT subject FROM attempt")
    assert not any("password" in row["subject"] for row in rows)


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=730)])
def test_a_clock_that_is_set_back_locks_nobody_out(store: Store, back: timedelta) -> None:
    fail(store, 5)
    assert lockout.count(store, "anna", "192.0.2.1", NOON) == 5

    assert lockout.count(store, "anna", "192.0.2.1", NOON - back) is None
    fail(store, 4, now=NOON - back)
    assert lockout.count(store, "anna", "192.0.2.1", NOON - back) == 5, "guessing does not pay then either"
