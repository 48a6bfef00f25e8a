"""Settings that an appliance declares: one schema for asrctl, the form, validation and what the container reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

Value = bool | int | str

REFERENCE = re.compile(r"secret:[0-9a-f]{16}")
LONGEST_SECRET = 1000  # characters
_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


class Setting(BaseModel):
    """One setting. `minimum` and `maximum` are for numbers; a choice is one of some, with what people
    call each; a text fits `pattern` as a whole,
    as `example` does; a secret is a text that is never shown: plans name it by a reference (secretstore.py).

    `restart` names the daemons that read it only when they start. `needs` says what other settings have to be as soon
    as this one is not its default.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    key: str
    kind: Literal["bool", "int", "text", "choice", "secret"]
    title: dict[str, str]
    help: dict[str, str]
    default: Value
    minimum: int | None = None
    maximum: int | None = None
    pattern: str | None = None
    example: str | None = None
    choices: dict[str, dict[str, str]] = {}  # value → its title by language
    restart: list[str] = []
    needs: dict[str, Value] = {}

    def check(self, value: object) -> Value:
        """The value; a text is read as people type it. Raises ValueError saying what this setting takes."""
        if self.kind == "bool":
            return self._bool(value)
        if self.kind == "int":
            return self._int(value)
        if not isinstance(value, str):
            raise ValueError(f"{self.key} takes a text")
        if self.kind == "secret":
            return self._secret(value)
        text = value.strip()
        if self.kind == "choice" and text not in self.choices:
            raise ValueError(f"{self.key} takes one of: {', '.join(self.choices)}")
        if self.pattern is not None and not re.fullmatch(self.pattern, text):
            such = f" such as {self.example}" if self.example else f" that fits {self.pattern}"
            nothing = ", or nothing" if re.fullmatch(self.pattern, "") else ""
            raise ValueError(f"{self.key} takes a text{such}{nothing}")
        return text

    def check_planned(self, value: object) -> Value:
        """The same for what stands in a plan, where a secret has its reference."""
        if self.kind != "secret":
            return self.check(value)
        if not isinstance(value, str) or not REFERENCE.fullmatch(value):
            raise ValueError(f"{self.key} is a secret, and those are not written into a plan: use asrctl config")
        return value

    def _secret(self, value: str) -> str:
        if not value or len(value) > LONGEST_SECRET or not value.isprintable():
            raise ValueError(f"{self.key} takes one line of 1 to {LONGEST_SECRET} characters")
        return value

    def _bool(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        word = value.strip().lower() if isinstance(value, str) else ""
        if word in _YES:
            return True
        if word in _NO:
            return False
        raise ValueError(f"{self.key} takes yes or no")

    def _int(self, value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,18}\s*", value):
            value = int(value)
        bounds = f" from {self.minimum}" if self.minimum is not None else ""
        bounds += f" to {self.maximum}" if self.maximum is not None else ""
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{self.key} takes a number{bounds}")
        if (self.minimum is not None and value < self.minimum) or (self.maximum is not None and value > self.maximum):
            raise ValueError(f"{self.key} takes a number{bounds}, not {value}")
        return value


def unmet(settings: Sequence[Setting], values: Mapping[str, Value]) -> dict[str, str]:
    """The rule between settings: those that need another one to be otherwise → what they need, as a sentence."""
    found = {}
    for one in settings:
        lacking = [f"{key} to be {typed(value)}" for key, value in one.needs.items() if values[key] != value]
        if lacking and values[one.key] != one.default:
            found[one.key] = f"{one.key} needs {' and '.join(lacking)}"
    return found


def typed(value: Value) -> str:
    """A value as people type it."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
