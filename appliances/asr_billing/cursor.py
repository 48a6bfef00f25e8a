"""Places in a sorted list: the value of the sort key and the id, so that a page begins where the last one ended."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime

SORTS = ("name", "contract", "created")
DEFAULT_SORT = "name"
LONGEST_TEXT = 200  # characters of a sort key
LARGEST_ID = 2**63 - 1


class BadCursor(ValueError):
    """The text is not a cursor of this list."""


@dataclass(frozen=True)
class Cursor:
    """Between two subscribers of the list sorted by `sort`: after the one named (or before it, when `backwards`)."""

    sort: str
    value: str | datetime
    id: int
    backwards: bool = False

    def __str__(self) -> str:
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        text = json.dumps([self.sort, value, self.id, int(self.backwards)], ensure_ascii=False, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str, sort: str) -> Cursor:
    """The cursor that `str()` wrote for a list sorted by `sort`. Raises BadCursor."""
    try:
        read = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode())
    except (ValueError, binascii.Error, RecursionError) as error:
        raise BadCursor("not a cursor of this list") from error
    if not isinstance(read, list) or len(read) != 4:
        raise BadCursor("not a cursor of this list")
    made_for, value, id_, backwards = read
    if made_for != sort:
        raise BadCursor("made for another order")
    sound = isinstance(value, str) and len(value) <= LONGEST_TEXT and type(id_) is int and 0 < id_ <= LARGEST_ID
    if not sound or not _can_be_stored(value) or backwards not in (0, 1):
        raise BadCursor("not a cursor of this list")
    return Cursor(sort, _moment(value) if sort == "created" else value, id_, bool(backwards))


def _can_be_stored(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadCursor("not a cursor of this list") from error
    if moment.tzinfo is not None:
        raise BadCursor("not a cursor of this list")
    return moment
