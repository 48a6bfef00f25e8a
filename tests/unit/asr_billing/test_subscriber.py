"""What may be written about a subscriber, and how it is cleaned."""

import pytest

from appliances.asr_billing.subscriber import Details, Invalid, canonical_phone, clean, read_details, shown_phone

RIGHT = {"contract": "2026-0042", "name": "Семёнов Пётр Ильич", "kind": "person"}


def messages(**given: object) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        read_details({**RIGHT, **given})
    return {field: str(message) for field, message in refused.value.messages.items()}


def test_what_is_written_is_cleaned_before_it_is_stored() -> None:
    # й as и with a separate breve, as macOS writes it; a phone as people write it
    details = read_details(
        {
            "contract": " 2026-0042 ",
            "name": "  Семёнов\tПётр   Ильич\u200b ",
            "kind": "person",
            "phone": "8 (912) 345-67-89",
            "address": "ул. Первомаи\u0306ская, 5",
            "comment": "first\r\nsecond  \n\n",
        }
    )
    assert details == Details(
        contract="2026-0042",
        name="Семёнов Пётр Ильич",
        kind="person",
        phone="+79123456789",
        address="ул. Первомайская, 5",
        comment="first\nsecond",
    )


def test_every_mistake_is_told_at_once_in_the_order_of_the_form() -> None:
    with pytest.raises(Invalid) as refused:
        read_details({"kind": "robot", "phone": "12", "email": "nobody"})
    assert [(field, str(message)) for field, message in refused.value.messages.items()] == [
        ("contract", "Give the number of the contract."),
        ("name", "Give the name: of a person, or of a company."),
        ("kind", "Must be “person” or “company”."),
        ("phone", "5 to 15 digits; between them spaces, hyphens and brackets; + only in front."),
        ("email", "An address like name@example.org."),
    ]


@pytest.mark.parametrize("contract", ["A 1", "-1", "1-", "<b>", "№5", "a\\b"])
def test_contract_numbers_with_other_signs_are_refused(contract: str) -> None:
    assert messages(contract=contract) == {
        "contract": "Letters, digits, and between them . / - _ only, without spaces."
    }


@pytest.mark.parametrize("contract", ["7", "007", "А-12/3", "2026.0042", "ИП_5"])
def test_contract_numbers_of_the_field_are_taken(contract: str) -> None:
    assert read_details({**RIGHT, "contract": contract}).contract == contract


def test_a_text_may_be_as_long_as_its_column_and_not_longer() -> None:
    assert len(read_details({**RIGHT, "name": "ю" * 200}).name) == 200
    assert messages(name="ю" * 201) == {"name": "At most 200 characters."}


def test_only_texts_are_texts() -> None:
    assert messages(phone=79123456789, email=None) == {"phone": "Must be a text.", "email": "Must be a text."}


@pytest.mark.parametrize("phone", ["8912", "+7 912 34x", "7+9123456789", "1234567890123456"])
def test_what_is_not_a_phone_is_refused(phone: str) -> None:
    assert list(messages(phone=phone)) == ["phone"]


@pytest.mark.parametrize("email", ["a@b", "a b@c.de", "@c.de", "a@@c.de", "a@.de", "a@c..de"])
def test_what_is_not_an_address_is_refused(email: str) -> None:
    assert list(messages(email=email)) == ["email"]


@pytest.mark.parametrize(
    ("written", "stored", "shown"),
    [
        ("8 (912) 345-67-89", "+79123456789", "+7 912 345-67-89"),
        ("+7 912 345 67 89", "+79123456789", "+7 912 345-67-89"),
        ("7-912-345-67-89", "+79123456789", "+7 912 345-67-89"),
        ("+381 11 3456789", "+381113456789", "+381113456789"),
        ("22-33-44", "223344", "223344"),
        ("+86 10 1234 5678", "+861012345678", "+861012345678"),
        ("", "", ""),
    ],
)
def test_phones(written: str, stored: str, shown: str) -> None:
    assert canonical_phone(written) == stored
    assert shown_phone(stored) == shown


def test_what_nobody_sees_is_not_stored() -> None:
    assert clean("a\x00b\ud800c\u202ed") == "a bcd"
