"""Opaque tokens: 256 random bits, of which only the sha256 is stored. Sessions of browsers, and tokens for programs."""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from appliances.auth import audit
from appliances.auth.store import Store, moment
from appliances.common.authority import Issued, Person

SEEN_EVERY = timedelta(minutes=1)  # last_seen_at is not written more often: each write is an fsync
KEEP_ENDED = timedelta(days=30)
API_DAYS = (30, 90, 365)

# <what>:<right>, as in asr_billing:read. Scopes without a colon (introspect) belong to appliances alone.
SCOPE = re.compile(r"[a-z][a-z0-9_]{1,30}:[a-z][a-z0-9_]{1,30}")


class TokenRefused(Exception):
    """A token cannot be issued as asked; `field` is name, scopes or days."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


@dataclass(frozen=True)
class Token:
    """A token as lists show it; the token itself is known only to its holder."""

    id: int
    kind: str
    name: str
    scopes: tuple[str, ...]
    address: str
    created_at: str
    expires_at: str
    last_seen_at: str
    current: bool


def digest(token: str) -> str:
    """sha256 of a token as it is stored, hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


def open_session(
    db: sqlite3.Connection, account_id: int, *, life: timedelta, address: str, browser: str, now: datetime
) -> Issued:
    """A session for a browser; long-ended tokens are swept out on the way."""
    db.execute("DELETE FROM token WHERE coalesce(revoked_at, expires_at) < ?", (moment(now - KEEP_ENDED),))
    return _issue(db, "session", account_id, browser, "", address, now, now + life)


def issue(store: Store, account_id: int, login: str, name: str, scopes: list[str], days: int, address: str) -> Issued:
    """A token for a program. Raises TokenRefused."""
    name = name.strip()
    if not 1 <= len(name) <= 60:
        raise TokenRefused("name")
    if not scopes or any(not SCOPE.fullmatch(scope) for scope in scopes):
        raise TokenRefused("scopes")
    if days not in API_DAYS:
        raise TokenRefused("days")
    now = datetime.now(UTC)
    words = " ".join(sorted(set(scopes)))
    with store.write() as db:
        issued = _issue(db, "api", account_id, name, words, address, now, now + timedelta(days=days))
        audit.add(db, now, login, "token.issued", detail=f"{name}: {words}", address=address)
    return issued


def of_account(store: Store, account_id: int, kind: str, current: str = "") -> list[Token]:
    """Live tokens of one kind, newest first; the one that belongs to the token `current` is marked."""
    now = moment(datetime.now(UTC))
    idle = moment(datetime.now(UTC) - store.policy.session_idle)
    rows = store.read(
        "SELECT * FROM token WHERE account_id = ? AND kind = ? AND revoked_at IS NULL AND expires_at > ?"
        " AND (kind = 'api' OR last_seen_at > ?) ORDER BY id DESC",
        account_id,
        kind,
        now,
        idle,
    )
    return [
        Token(
            row["id"],
            row["kind"],
            row["name"],
            tuple(row["scopes"].split()),
            row["address"],
            row["created_at"],
            row["expires_at"],
            row["last_seen_at"],
            bool(current) and row["hash"] == digest(current),
        )
        for row in rows
    ]


def revoke(store: Store, account_id: int, login: str, token_id: int, address: str) -> bool:
    """End one token of this account. False when it has no such live token."""
    now = datetime.now(UTC)
    with store.write() as db:
        row = db.execute(
            "UPDATE token SET revoked_at = ? WHERE id = ? AND account_id = ? AND revoked_at IS NULL"
            " RETURNING kind, name",
            (moment(now), token_id, account_id),
        ).fetchone()
        if row is None:
            return False
        action = "token.revoked" if row["kind"] == "api" else "session.ended"
        audit.add(db, now, login, action, detail=row["name"], address=address)
    return True


def end_session(store: Store, token: str, address: str) -> bool:
    """Sign out. False when the token was not a live session."""
    now = datetime.now(UTC)
    with store.write() as db:
        row = db.execute(
            "UPDATE token SET revoked_at = ? WHERE hash = ? AND kind = 'session' AND revoked_at IS NULL"
            " RETURNING (SELECT login FROM account WHERE account.id = account_id) AS login",
            (moment(now), digest(token)),
        ).fetchone()
        if row is None:
            return False
        audit.add(db, now, row["login"], "logout", address=address)
    return True


def end_other_sessions(db: sqlite3.Connection, account_id: int, keep: str, now: datetime) -> None:
    """End all sessions of the account but that of the token `keep`."""
    db.execute(
        "UPDATE token SET revoked_at = ?"
        " WHERE account_id = ? AND kind = 'session' AND revoked_at IS NULL AND hash <> ?",
        (moment(now), account_id, digest(keep)),
    )


def holder(store: Store, token: str) -> Person | None:
    """The account behind a live token, or None. A program's token carries its scopes, never the roles of its owner."""
    now = datetime.now(UTC)
    row = store.one(
        "SELECT token.*, account.login, account.name AS person, account.must_change FROM token"
        " JOIN account ON account.id = token.account_id"
        " WHERE token.hash = ? AND token.revoked_at IS NULL AND account.disabled_at IS NULL",
        digest(token),
    )
    if row is None or row["expires_at"] <= moment(now):
        return None
    session = row["kind"] == "session"
    if session and row["last_seen_at"] <= moment(now - store.policy.session_idle):
        return None
    if row["last_seen_at"] <= moment(now - SEEN_EVERY):
        with store.write() as db:
            db.execute("UPDATE token SET last_seen_at = ? WHERE id = ?", (moment(now), row["id"]))
    roles = store.read("SELECT role FROM account_role WHERE account_id = ?", row["account_id"]) if session else []
    return Person(
        login=row["login"],
        name=row["person"],
        kind=row["kind"],
        roles=frozenset(role["role"] for role in roles),
        scopes=frozenset(row["scopes"].split()),
        expires_at=datetime.fromisoformat(row["expires_at"]),
        must_change_password=session and bool(row["must_change"]),
    )


def _issue(
    db: sqlite3.Connection,
    kind: str,
    account_id: int,
    name: str,
    scopes: str,
    address: str,
    now: datetime,
    expires_at: datetime,
) -> Issued:
    token = secrets.token_urlsafe(32)
    db.execute(
        "INSERT INTO token (kind, hash, account_id, name, scopes, address, created_at, expires_at, last_seen_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (kind, digest(token), account_id, name, scopes, address, moment(now), moment(expires_at), moment(now)),
    )
    return Issued(token, expires_at)
