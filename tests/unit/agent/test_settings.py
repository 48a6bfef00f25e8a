"""Settings take what they declare, as people type it, and say what they take."""

from __future__ import annotations

from typing import Any

import pytest

from appliances.base.agent.settings import Setting, unmet


def setting(kind: str, **more: Any) -> Setting:
    words = {"en": "x", "ru": "x"}
    return Setting.model_validate({"key": "it", "kind": kind, "title": words, "help": words, "default": "", **more})


@pytest.mark.parametrize(
    ("one", "given", "value"),
    [
        (setting("int", minimum=1, maximum=9), " 9 ", 9),
        (setting("int"), -3, -3),
        (setting("bool"), "Yes", True),
        (setting("bool"), "0", False),
        (setting("bool"), True, True),
        (setting("choice", choices={"a": {"en": "A", "ru": "А"}, "b": {"en": "B", "ru": "Б"}}), "b", "b"),
        (setting("text"), " Anna & Co ", "Anna & Co"),
        (setting("text", pattern="[a-z]+"), "abc", "abc"),
        (setting("secret"), " with spaces ", " with spaces "),
    ],
)
def test_what_fits_is_taken(one: Setting, given: object, value: object) -> None:
    assert one.check(given) == value
    assert type(one.check(given)) is type(value)


@pytest.mark.parametrize(
    ("one", "given", "says"),
    [
        (setting("int", minimum=1, maximum=9), "10", "it takes a number from 1 to 9, not 10"),
        (setting("int", minimum=1), "many", "it takes a number from 1"),
        (setting("int"), True, "it takes a number"),
        (setting("int"), "9" * 40, "it takes a number"),
        (setting("bool"), "maybe", "it takes yes or no"),
        (setting("bool"), 1, "it takes yes or no"),
        (
            setting("choice", choices={"a": {"en": "A", "ru": "А"}, "b": {"en": "B", "ru": "Б"}}),
            "c",
            "it takes one of: a, b",
        ),
        (setting("text"), 5, "it takes a text"),
        (setting("secret"), "two\nlines", "it takes one line of 1 to 1000 characters$"),
        (setting("secret"), "", "it takes one line"),
        (setting("secret"), "x" * 1001, "it takes one line"),
        (setting("text", pattern="[a-z]+"), "a\nb", r"it takes a text that fits \[a-z\]\+$"),
        (setting("text", pattern="(?:a@b)?", example="a@b"), "a", "it takes a text such as a@b, or nothing$"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(one: Setting, given: object, says: str) -> None:
    with pytest.raises(ValueError, match="^" + says):
        one.check(given)


def test_a_plan_has_the_reference_of_a_secret_and_nothing_else() -> None:
    secret = setting("secret")
    assert secret.check_planned("secret:0123456789abcdef") == "secret:0123456789abcdef"
    with pytest.raises(ValueError, match="it is a secret, and those are not written into a plan: use asrctl config"):
        secret.check_planned("hunter2")
    assert setting("int").check_planned("7") == 7


def test_a_setting_may_need_another_one_unless_it_is_its_default() -> None:
    names = setting("text", needs={"agreed": True, "hours": 8}).model_copy(update={"key": "names"})
    settings = [names]
    values: dict[str, bool | int | str] = {"names": "x", "agreed": False, "hours": 7}
    assert unmet(settings, values) == {"names": "names needs agreed to be yes and hours to be 8"}
    assert unmet(settings, {**values, "agreed": True}) == {"names": "names needs hours to be 8"}
    assert unmet(settings, {**values, "agreed": True, "hours": 8}) == {}
    assert unmet(settings, {**values, "names": ""}) == {}
