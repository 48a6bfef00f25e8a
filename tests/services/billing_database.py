"""The billing's database, as its web daemon opens it."""

from __future__ import annotations

from typing import Any

from appliances.asr_billing.database import Database
from appliances.asr_billing.migrations import migrate
from tests.services.firebird import PORT, own_address

ADDRESS = own_address()  # of the Firebird of this run of tests


def database(prepare: Any = migrate, password: str = "correct horse") -> Database:
    return Database(ADDRESS, PORT, password=lambda: password, prepare=prepare, size=2)
