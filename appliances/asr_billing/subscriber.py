"""A subscriber: what the provider knows of a customer, and when such a record is right. Plain data, no database."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from appliances.common.i18n import LazyText, lazy

KINDS = ("person", "company")
# Longest texts, in characters; the columns of migrations/0001_subscriber.sql are as long.
LONGEST = {"contract": 32, "name": 200, "phone": 40, "email": 254, "address": 400, "comment": 2000}
MANY_LINES = {"comment"}
_CONTRACT = re.compile(r"[^\W_](?:[\w./-]*[^\W_])?")
_EMAIL = re.compile(r"[^@\s]+@(?:[^@\s.]+\.)+[^@\s.]{2,}")


@dataclass(frozen=True)
class Details:
    """What a person may write about a subscriber; texts are clean, `phone` as `canonical_phone` gives it."""

    contract: str
    name: str
    kind: str
    phone: str = ""
    email: str = ""
    address: str = ""
    comment: str = ""


@dataclass(frozen=True)
class Subscriber:
    """A stored subscriber. `version` grows by one with every change; moments are in UTC."""

    id: int
    details: Details
    version: int
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True)
class Message:
    """An error text that is put into the reader's language when shown."""

    text: LazyText
    longest: int | None = None

    def __str__(self) -> str:
        shown = str(self.text)
        return shown if self.longest is None else shown % {"longest": self.longest}


class Invalid(Exception):
    """What a person wrote cannot be stored: field → message, in the order of the form."""

    def __init__(self, messages: Mapping[str, Message]) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message in messages.items()))
        self.messages = dict(messages)


CONTRACT_TAKEN = Message(lazy("This contract number belongs to another subscriber."))


def read_details(given: Mapping[str, object]) -> Details:
    """Clean and check what was written; keys that are missing count as empty. Raises Invalid with every mistake."""
    texts: dict[str, str] = {}
    wrong: dict[str, Message] = {}
    for field in ("contract", "name", "kind", "phone", "email", "address", "comment"):
        value = given.get(field, "")
        if not isinstance(value, str):
            wrong[field] = Message(lazy("Must be a text."))
            continue
        texts[field] = clean(value, many_lines=field in MANY_LINES)
        if message := _wrong(field, texts[field]):
            wrong[field] = message
    if wrong:
        raise Invalid(wrong)
    texts["phone"] = canonical_phone(texts["phone"])
    return Details(**texts)


def clean(text: str, *, many_lines: bool = False) -> str:
    """Text in Unicode's composed form without control characters, with single spaces, trimmed."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = text.split("\n") if many_lines else [text.replace("\n", " ")]
    tidy = (" ".join(_visible(line).split()) for line in lines)
    return "\n".join(tidy).strip()


def canonical_phone(text: str) -> str:
    """Digits of a phone number, with + where the country is known; Russian 8 912… and 7 912… become +7912…."""
    digits = "".join(character for character in text if character in "0123456789")
    if len(digits) == 11 and digits[0] in "78" and not text.startswith("+8"):
        return "+7" + digits[1:]
    return ("+" if text.startswith("+") else "") + digits


def shown_phone(phone: str) -> str:
    """A canonical phone as people read it: +7 912 345-67-89."""
    if re.fullmatch(r"\+7\d{10}", phone):
        return f"+7 {phone[2:5]} {phone[5:8]}-{phone[8:10]}-{phone[10:]}"
    return phone


def _wrong(field: str, text: str) -> Message | None:
    required = {
        "contract": lazy("Give the number of the contract."),
        "name": lazy("Give the name: of a person, or of a company."),
    }
    if not text and field in required:
        return Message(required[field])
    if field in LONGEST and len(text) > LONGEST[field]:
        return Message(lazy("At most %(longest)s characters."), LONGEST[field])
    if field == "kind" and text not in KINDS:
        return Message(lazy("Must be “person” or “company”."))
    if not text:
        return None
    if field == "contract" and not _CONTRACT.fullmatch(text):
        return Message(lazy("Letters, digits, and between them . / - _ only, without spaces."))
    if field == "phone" and not _is_phone(text):
        return Message(lazy("5 to 15 digits; between them spaces, hyphens and brackets; + only in front."))
    if field == "email" and not _EMAIL.fullmatch(text):
        return Message(lazy("An address like name@example.org."))
    return None


def _is_phone(text: str) -> bool:
    digits = sum(character in "0123456789" for character in text)
    return 5 <= digits <= 15 and re.fullmatch(r"\+?[0-9 ()-]+", text) is not None


def _visible(line: str) -> str:
    """The line without what nobody sees: control characters become spaces, format signs and lone surrogates vanish."""
    instead = {"Cc": " ", "Cf": "", "Cs": ""}
    return "".join(instead.get(unicodedata.category(character), character) for character in line)
