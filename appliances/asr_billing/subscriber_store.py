"""Subscribers in the database. Every function works inside a transaction of its caller."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from appliances.asr_billing.cursor import DEFAULT_SORT, Cursor
from appliances.asr_billing.database import Duplicate, Transaction
from appliances.asr_billing.search import search_words
from appliances.asr_billing.statements import texts
from appliances.asr_billing.subscriber import CONTRACT_TAKEN, Details, Invalid, Subscriber

_KEY = {"name": "s.name", "contract": "s.contract", "created": "s.created_at"}
_NEWEST_FIRST = {"created"}
_DETAILS = tuple(field.name for field in fields(Details))


class OutOfDate(Exception):
    """Somebody changed the subscriber after the caller had read it. `current` is how it is now."""

    def __init__(self, current: Subscriber) -> None:
        super().__init__(f"subscriber {current.id} has version {current.version}")
        self.current = current


@dataclass(frozen=True)
class Page:
    """A stretch of a sorted list, and the places from which the next and the previous stretch begin."""

    subscribers: list[Subscriber]
    after: Cursor | None
    before: Cursor | None


def create(transaction: Transaction, details: Details, author: str) -> Subscriber:
    """Store a new subscriber. Raises Invalid when the contract number is taken."""
    moment = _now()
    values = {**asdict(details), "moment": moment, "author": author}
    try:
        stored = transaction.row("subscriber.insert", values)
    except Duplicate as error:
        raise Invalid({"contract": CONTRACT_TAKEN}) from error
    assert stored is not None
    _index(transaction, stored["id"], details)
    return Subscriber(stored["id"], details, 1, moment, author, moment, author)


def change(transaction: Transaction, id_: int, version: int, details: Details, author: str) -> Subscriber | None:
    """Replace the details of the subscriber if it still has `version`; None when there is no such subscriber.

    Raises OutOfDate, and Invalid when the contract number is taken.
    """
    values = {**asdict(details), "moment": _now(), "author": author, "id": id_, "version": version}
    try:
        changed = transaction.change("subscriber.update", values)
    except Duplicate as error:
        raise Invalid({"contract": CONTRACT_TAKEN}) from error
    current = find(transaction, id_)
    if current is None:
        return None
    if not changed:
        raise OutOfDate(current)
    transaction.change("subscriber.forget_words", {"id": id_})
    _index(transaction, id_, details)
    return current


def find(transaction: Transaction, id_: int) -> Subscriber | None:
    """One subscriber by its number."""
    row = transaction.row("subscriber.one", {"id": id_})
    return None if row is None else _subscriber(row)


def count(transaction: Transaction) -> int:
    """How many subscribers there are."""
    row = transaction.row("subscriber.count")
    assert row is not None
    return int(row["subscribers"])


def page(
    transaction: Transaction,
    *,
    terms: list[str],
    sort: str = DEFAULT_SORT,
    cursor: Cursor | None = None,
    limit: int = 50,
) -> Page:
    """At most `limit` subscribers that have all `terms`, sorted, from the place of `cursor`."""
    backwards = cursor is not None and cursor.backwards
    rising = (sort not in _NEWEST_FIRST) is not backwards
    pieces = texts("subscriber")
    conditions = [pieces["condition_term"].format(number=number) for number in range(1, len(terms))]
    values: dict[str, Any] = {"limit": limit + 1} | {f"term{number}": term for number, term in enumerate(terms)}
    if cursor is not None:
        conditions.append(pieces["condition_place"].format(key=_KEY[sort], compare=">" if rising else "<"))
        values |= {"value": cursor.value, "id": cursor.id}
    sql = pieces["page"].format(
        source=pieces["source_found" if terms else "source_all"],
        conditions=" and ".join(conditions) or "1 = 1",
        key=_KEY[sort],
        direction="asc" if rising else "desc",
    )
    rows = transaction.rows(sql, values)
    more = len(rows) > limit
    found = [_subscriber(row) for row in rows[:limit]]
    if backwards:
        found.reverse()
    if not found:
        return Page([], None, None)
    return Page(
        found,
        after=_place(found[-1], sort, backwards=False) if more or backwards else None,
        before=_place(found[0], sort, backwards=True) if (more if backwards else cursor is not None) else None,
    )


def _index(transaction: Transaction, id_: int, details: Details) -> None:
    words = sorted(search_words(details))
    transaction.change_many("subscriber.add_word", [{"word": word, "id": id_} for word in words])


def _place(subscriber: Subscriber, sort: str, *, backwards: bool) -> Cursor:
    value = subscriber.created_at if sort == "created" else getattr(subscriber.details, sort)
    return Cursor(sort, value, subscriber.id, backwards)


def _subscriber(row: dict[str, Any]) -> Subscriber:
    details = Details(**{name: row.pop(name) for name in _DETAILS})
    return Subscriber(details=details, **row)


def _now() -> datetime:
    # Firebird keeps a ten-thousandth of a second; what was written has to equal what is read.
    now = datetime.now(UTC).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 100 * 100)
