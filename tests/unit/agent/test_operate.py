"""Every command of docs/operate.md is known to the test that follows it (tests/containers/test_operate.py)."""

from __future__ import annotations

from tests.containers.operate import DOCUMENT, NOT_RUN, OPTIONS, TRIES, documented, pattern, plain


def test_every_command_of_the_document_is_tried_or_has_a_reason_not_to_be() -> None:
    text = DOCUMENT.read_text()
    commands = documented(text)
    tried = [plain(one.line) for one in TRIES]

    known = [one for one in commands if one in NOT_RUN or any(pattern(one).fullmatch(line) for line in tried)]

    assert [one for one in commands if one not in known] == [], "put these into TRIES or NOT_RUN"
    assert set(NOT_RUN) - set(commands) == set(), "the document no longer has these"
    patterns = [pattern(one) for one in commands]
    assert [line for line in tried if not any(one.fullmatch(line) for one in patterns)] == [], "nor these"
    assert all(f"`{option.strip()}`" in text for option in OPTIONS)


def test_commands_are_found_where_the_document_has_them() -> None:
    text = """
```sh
asrctl alarms test
```
| `asrctl certificate`, `… install CHAIN KEY` | which one, of `base`, or `the agent does not answer` |
then `passwd`
"""
    assert documented(text) == [
        "asrctl alarms test",
        "asrctl certificate",
        "asrctl certificate install CHAIN KEY",
        "passwd",
    ]


def test_a_documented_command_stands_for_what_people_type() -> None:
    assert pattern("asrctl config APPLIANCE [KEY [VALUE]]").fullmatch("asrctl config auth session_hours 8")
    assert pattern("asrctl config APPLIANCE [KEY [VALUE]]").fullmatch("asrctl config auth")
    assert not pattern("asrctl config APPLIANCE [KEY [VALUE]]").fullmatch("asrctl config")
    assert not pattern("asrctl start TARGET").fullmatch("asrctl stop auth")
    assert pattern("asrctl logs").fullmatch("asrctl logs auth"), "named in a sentence"
