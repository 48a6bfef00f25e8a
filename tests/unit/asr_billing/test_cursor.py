"""A place in a sorted list, as it travels in an address."""

import base64
import json
from datetime import datetime

import pytest

from appliances.asr_billing.cursor import BadCursor, Cursor, read_cursor


@pytest.mark.parametrize(
    "cursor",
    [
        Cursor("name", "Ёлкин, 100% «О'Нил»", 7),
        Cursor("contract", "", 2**63 - 1, backwards=True),
        Cursor("created", datetime(2026, 11, 22, 23, 59, 59, 123400), 1),
    ],
)
def test_a_cursor_comes_back_as_it_was(cursor: Cursor) -> None:
    assert read_cursor(str(cursor), cursor.sort) == cursor


def test_a_cursor_is_safe_in_an_address() -> None:
    text = str(Cursor("name", "Щербаков ??>>~~ и сыновья", 9))
    assert not set(text) & set("+/=&?#% ")


def test_a_cursor_of_another_order_is_refused() -> None:
    with pytest.raises(BadCursor, match="made for another order"):
        read_cursor(str(Cursor("name", "a", 1)), "contract")


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "%%%", "ю", encoded([]), encoded({}), encoded(None), encoded("name"),
        encoded(["name", "a", 1]), encoded(["name", 5, 1, 0]), encoded(["name", "a", "1", 0]),
        encoded(["name", "a", True, 0]), encoded(["name", "a", 0, 0]), encoded(["name", "a", 2**63, 0]),
        encoded(["name", "a", 1, 2]), encoded(["name", "a" * 201, 1, 0]), encoded(["name", "\0", 1, 0]),
        encoded(["name", "\ud800", 1, 0]), base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    ],
)  # fmt: skip
def test_what_is_not_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursor, match="not a cursor"):
        read_cursor(text, "name")


@pytest.mark.parametrize("value", ["yesterday", "2026-13-01", "2026-11-22T10:00:00+03:00", ""])
def test_a_moment_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(BadCursor):
        read_cursor(encoded(["created", value, 1, 0]), "created")
