"""The journal of who did what: rows are added and never changed, which the database itself enforces."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from appliances.auth.store import Store, moment

ACTIONS = (
    "account.created",
    "login.done",
    "login.failed",
    "login.blocked",
    "logout",
    "password.changed",
    "password.refused",
    "token.issued",
    "token.revoked",
    "session.ended",
)


@dataclass(frozen=True)
class Entry:
    """One line of the journal."""

    id: int
    at: str
    actor: str
    action: str
    detail: str
    address: str


def add(db: sqlite3.Connection, at: datetime, actor: str, action: str, *, detail: str = "", address: str = "") -> None:
    """Write a line in the transaction of `db`, so that it stands or falls with what it tells of."""
    if action not in ACTIONS:
        raise ValueError(f"{action}: not an action of the journal")
    db.execute(
        "INSERT INTO audit (at, actor, action, detail, address) VALUES (?, ?, ?, ?, ?)",
        (moment(at), actor[:100], action, detail[:500], address),
    )


def page(store: Store, before: int | None = None, size: int = 50) -> list[Entry]:
    """The newest `size` lines, or those older than the line with id `before`."""
    rows = store.read(
        "SELECT id, at, actor, action, detail, address FROM audit WHERE ? IS NULL OR id < ? ORDER BY id DESC LIMIT ?",
        before,
        before,
        size,
    )
    return [Entry(**dict(row)) for row in rows]
