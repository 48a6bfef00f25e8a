"""Guessing passwords must not pay: each failure beyond a few makes the next attempt wait longer.

Counted by login, whoever tries, and by address, whatever logins it tries. The counters are in the database: a restart
forgives nothing. An attempt is counted before the password is looked at, so that parallel guesses gain nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from appliances.auth.store import Store, moment


@dataclass(frozen=True)
class Rule:
    """`free` failures cost nothing; then the delay doubles from `first` to `longest`; `forget` after the last one."""

    free: int
    first: timedelta
    longest: timedelta
    forget: timedelta

    def delay(self, failures: int) -> timedelta:
        """How long to wait after that many failures in a row."""
        if failures < self.free:
            return timedelta(0)
        doublings: int = min(failures - self.free, 32)
        return min(self.first * (1 << doublings), self.longest)


# By login the wait stays short: otherwise anybody could lock the administrator out for hours by typing nonsense.
BY_LOGIN = Rule(free=5, first=timedelta(seconds=5), longest=timedelta(minutes=1), forget=timedelta(hours=12))
BY_ADDRESS = Rule(free=20, first=timedelta(seconds=15), longest=timedelta(minutes=15), forget=timedelta(hours=1))
EARLY = timedelta(minutes=1)  # a time server may move the clock so far


def count(store: Store, login: str, address: str, now: datetime) -> int | None:
    """Count one attempt. None: it may go on; else the seconds to wait, and nothing was counted."""
    subjects = _subjects(login, address)
    with store.write() as db:
        rows = {
            row["subject"]: row
            for row in db.execute(
                "SELECT * FROM attempt WHERE subject IN (?, ?)", tuple(subject for subject, _ in subjects)
            )
        }
        # A failure in the future was noted by a clock that has been set back: it must not lock anybody out till then.
        rows = {subject: row for subject, row in rows.items() if datetime.fromisoformat(row["last_at"]) <= now + EARLY}
        waits = [datetime.fromisoformat(row["blocked_until"]) - now for row in rows.values()]
        longest = max(waits, default=timedelta(0))
        if longest > timedelta(0):
            return max(1, int(longest.total_seconds()))
        for subject, rule in subjects:
            row = rows.get(subject)
            fresh = row is None or datetime.fromisoformat(row["last_at"]) + rule.forget < now
            failures = 1 if fresh or row is None else row["failures"] + 1
            db.execute(
                "INSERT INTO attempt (subject, failures, last_at, blocked_until) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (subject) DO UPDATE SET failures = excluded.failures, last_at = excluded.last_at,"
                " blocked_until = excluded.blocked_until",
                (subject, failures, moment(now), moment(now + rule.delay(failures))),
            )
        db.execute("DELETE FROM attempt WHERE last_at < ?", (moment(now - max(BY_LOGIN.forget, BY_ADDRESS.forget)),))
    return None


def forgive(store: Store, login: str, address: str) -> None:
    """After a right password: the login starts anew; of the address only this one attempt is taken back.

    An address that guesses at many accounts must not get clean by signing in to its own in between.
    """
    (by_login, _rule), (by_address, _rule2) = _subjects(login, address)
    with store.write() as db:
        db.execute("DELETE FROM attempt WHERE subject = ?", (by_login,))
        db.execute(
            "UPDATE attempt SET failures = max(failures - 1, 0), blocked_until = last_at WHERE subject = ?",
            (by_address,),
        )


def _subjects(login: str, address: str) -> tuple[tuple[str, Rule], tuple[str, Rule]]:
    digest = hashlib.sha256(login.casefold().encode()).hexdigest()
    return (f"login:{digest}", BY_LOGIN), (f"address:{address}", BY_ADDRESS)
