"""Accounts of staff: the first administrator, signing in, changing one's password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from appliances.auth import audit, lockout, passwords, tokens
from appliances.auth.store import Store, moment
from appliances.common.authority import Issued, LoginRefused

ADMINISTRATOR = "administrator"


class PasswordRefused(Exception):
    """`reason` is wrong (the current one), short, long, simple or same."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


PASSWORD_CHANGED = "administrator-password-changed"  # noqa: S105  name of a file


@dataclass(frozen=True)
class Account:
    """A member of staff, without the password."""

    id: int
    login: str
    name: str
    roles: tuple[str, ...]
    must_change: bool
    created_at: str
    password_changed_at: str


def create_first_administrator(store: Store, password: str, now: datetime) -> bool:
    """Make the account `administrator` when there is no account at all. True when it was made."""
    if store.one("SELECT 1 FROM account") is not None:
        return False
    password_hash = passwords.hashed(password)
    with store.write() as db:
        if db.execute("SELECT 1 FROM account").fetchone() is not None:
            return False
        cursor = db.execute(
            "INSERT INTO account (login, name, password_hash, must_change, created_at, password_changed_at)"
            " VALUES (?, ?, ?, 1, ?, ?)",
            (ADMINISTRATOR, "Administrator", password_hash, moment(now), moment(now)),
        )
        db.execute("INSERT INTO account_role (account_id, role) VALUES (?, ?)", (cursor.lastrowid, ADMINISTRATOR))
        audit.add(db, now, "asrbox", "account.created", detail=ADMINISTRATOR)
    return True


def note_changed_password(store: Store) -> None:
    """Leave a mark beside the database once the administrator has a password of their own.

    The agent looks for it: until then it shows the first password on the host's console.
    """
    row = store.one("SELECT must_change FROM account WHERE login = ?", ADMINISTRATOR)
    if row is not None and not row["must_change"]:
        (store.path.parent / PASSWORD_CHANGED).touch(mode=0o644)


def sign_in(store: Store, login: str, password: str, address: str, browser: str) -> Issued:
    """Open a session. Raises LoginRefused, after the same time for a wrong password and for an unknown login."""
    now = datetime.now(UTC)
    wait = lockout.count(store, login, address, now)
    if wait is not None:
        with store.write() as db:
            audit.add(db, now, login, "login.blocked", detail=f"{wait} s", address=address)
        raise LoginRefused(wait)
    row = store.one("SELECT id, login, password_hash FROM account WHERE login = ? AND disabled_at IS NULL", login)
    if not passwords.matches(row["password_hash"] if row else None, password) or row is None:
        with store.write() as db:
            # The name is kept only when it is one of ours: people type their password into the wrong field.
            audit.add(db, now, row["login"] if row else "?", "login.failed", address=address)
        raise LoginRefused
    lockout.forgive(store, login, address)
    renewed = passwords.hashed(password) if passwords.is_outdated(row["password_hash"]) else None
    with store.write() as db:
        if renewed:
            db.execute("UPDATE account SET password_hash = ? WHERE id = ?", (renewed, row["id"]))
        life = store.policy.session_life
        issued = tokens.open_session(db, row["id"], life=life, address=address, browser=browser, now=now)
        audit.add(db, now, row["login"], "login.done", detail=browser, address=address)
    return issued


def by_login(store: Store, login: str) -> Account | None:
    """The account with this login (case does not matter), or None."""
    row = store.one(
        "SELECT id, login, name, must_change, created_at, password_changed_at FROM account"
        " WHERE login = ? AND disabled_at IS NULL",
        login,
    )
    if row is None:
        return None
    roles = store.read("SELECT role FROM account_role WHERE account_id = ? ORDER BY role", row["id"])
    values = {**dict(row), "must_change": bool(row["must_change"])}
    return Account(**values, roles=tuple(role["role"] for role in roles))


def change_password(store: Store, account: Account, current: str, new: str, *, keep: str, address: str) -> None:
    """Set a new password and end every session but the one of token `keep`. Raises PasswordRefused, LoginRefused."""
    now = datetime.now(UTC)
    wait = lockout.count(store, account.login, address, now)
    if wait is not None:
        raise LoginRefused(wait)
    row = store.one("SELECT password_hash FROM account WHERE id = ?", account.id)
    if row is None or not passwords.matches(row["password_hash"], current):
        with store.write() as db:
            audit.add(db, now, account.login, "password.refused", address=address)
        raise PasswordRefused("wrong")
    lockout.forgive(store, account.login, address)
    if current == new:
        raise PasswordRefused("same")
    reason = passwords.weakness(new, account.login, store.policy.shortest_password)
    if reason:
        raise PasswordRefused(reason)
    password_hash = passwords.hashed(new)
    with store.write() as db:
        db.execute(
            "UPDATE account SET password_hash = ?, must_change = 0, password_changed_at = ? WHERE id = ?",
            (password_hash, moment(now), account.id),
        )
        tokens.end_other_sessions(db, account.id, keep, now)
        audit.add(db, now, account.login, "password.changed", address=address)
    note_changed_password(store)
