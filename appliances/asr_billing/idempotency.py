"""A request that is sent twice is done once: its answer is kept under the caller's Idempotency-Key.

The answer is written in the transaction that does the work, so it survives whatever the work survives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from appliances.asr_billing.database import Changed, Database, Duplicate, Transaction
from appliances.asr_billing.subscriber import Invalid

KEPT_FOR = timedelta(days=30)
LONGEST_KEY = 255  # characters, printable ASCII


class KeyReused(Exception):
    """The key was used before for another request."""


@dataclass(frozen=True)
class Answer:
    """What the first request got: HTTP status and JSON text."""

    status: int
    text: str


def is_key(text: str) -> bool:
    """Whether a header's value can be a key."""
    return 0 < len(text) <= LONGEST_KEY and text.isascii() and text.isprintable()


def fingerprint(method: str, path: str, body: bytes) -> str:
    """What makes two requests the same."""
    return hashlib.sha256(b"\0".join((method.encode(), path.encode(), body))).hexdigest()


def once(
    database: Database, caller: str, key: str, request: str, work: Callable[[Transaction], Answer]
) -> tuple[Answer, bool]:
    """Do `work` in one transaction with keeping its answer, or give the kept answer; True: it was kept before.

    Raises KeyReused when the key belongs to another request, and what `work` raises: then nothing is kept.
    """
    try:
        with database.transaction() as transaction:
            if known := _recall(transaction, caller, key, request):
                return known, True
            answer = work(transaction)
            _keep(transaction, caller, key, request, answer)
        return answer, False
    except (Invalid, Duplicate, Changed):
        # A twin of this request may have been faster while this one waited for it.
        with database.transaction(read_only=True) as transaction:
            if known := _recall(transaction, caller, key, request):
                return known, True
        raise


def _recall(transaction: Transaction, caller: str, key: str, request: str) -> Answer | None:
    row = transaction.row("idempotency.find", {"caller": caller, "request_key": key})
    if row is None:
        return None
    if row["request_sha256"] != request:
        raise KeyReused(key)
    return Answer(row["status"], row["answer"])


def _keep(transaction: Transaction, caller: str, key: str, request: str, answer: Answer) -> None:
    moment = datetime.now(UTC).replace(tzinfo=None)
    transaction.change("idempotency.forget_old", {"moment": moment - KEPT_FOR})
    values = {"caller": caller, "request_key": key, "request_sha256": request}
    transaction.change("idempotency.keep", {**values, "status": answer.status, "answer": answer.text, "moment": moment})
