"""What a subscriber is found by."""

import pytest

from appliances.asr_billing.search import normal, search_terms, search_words
from appliances.asr_billing.subscriber import Details

SEMYONOV = Details(
    contract="2026-0042",
    name="Семёнов-Тянь Йозеф",
    kind="person",
    phone="+79123456789",
    email="S.Ivan@Mail.ru",
    address="ул. Ленина, 5, кв. 12",
)


def found(query: str, details: Details = SEMYONOV) -> bool:
    """What the database does: every term is the beginning of some word."""
    words = search_words(details)
    return all(any(word.startswith(term) for word in words) for term in search_terms(query))


@pytest.mark.parametrize(
    "query",
    [
        "семенов", "СЕМЁН", "сем йоз", "йозеф семёнов", "тянь",
        "2026-0042", "2026", "0042", "20260042",
        "+7 912 345-67-89", "8 (912) 345-67-89", "89123", "6789", "345-67-89", "9123456789",
        "s.ivan@mail.ru", "ivan", "ленина 5", "Ленина, 5-12", "кв 12",
    ],
)  # fmt: skip
def test_found_by_the_beginnings_of_words_and_by_the_end_of_a_phone(query: str) -> None:
    assert found(query)


@pytest.mark.parametrize(
    "query", ["семенова", "енов", "иозеф", "2026-0043", "912346", "ленина 6", "ленина 1", "6780", "789"]
)
def test_not_found_by_something_else(query: str) -> None:
    assert not found(query)


def test_a_stress_mark_does_not_hide_a_name_and_й_is_not_и() -> None:
    assert normal("за\u0301мок") == "замок"
    assert normal("Ё") == normal("Е\u0308") == "е"
    assert normal("ЙОД") == "йод" != normal("иод")


def test_foreign_letters_are_found_without_their_marks() -> None:
    assert found("muller strasse", Details("1", "Müller Straße", "person"))


@pytest.mark.parametrize("query", ["", "  ", "—", "%_", "'\";--", "\0", "\ud800"])
def test_a_query_without_words_asks_for_nothing(query: str) -> None:
    assert search_terms(query) == []


def test_a_short_number_is_a_whole_word() -> None:
    assert found("5", SEMYONOV)
    assert not found("5", Details("1", "Петров", "person", address="Ленина, 51"))
    assert found("7", Details("7", "Петров", "person"))
    assert not found("7", Details("70", "Петров", "person"))


def test_terms_are_few_short_and_begin_with_the_rarest() -> None:
    assert search_terms("а бб ввв ввв " + "г" * 500) == ["г" * 63, "ввв", "бб", "а"]
    assert len(search_terms(" ".join(f"слово{n}а" for n in range(50)))) == 8
