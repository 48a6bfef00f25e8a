"""What the installer says to people, in Russian and in English."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

MESSAGES = Path(__file__).parent / "messages"


def texts(language: str) -> Mapping[str, str]:
    """All texts in "ru" or "en" (also "ru_RU.UTF-8")."""
    return _read("ru" if language.startswith("ru") else "en")


def latin_letters() -> dict[int, str]:
    """For `str.translate`: Cyrillic text for a screen that has no such letters."""
    letters = _read("latin")
    return str.maketrans({**letters, **{one.upper(): other.capitalize() for one, other in letters.items()}})


def _read(name: str) -> dict[str, str]:
    return tomllib.loads((MESSAGES / f"{name}.toml").read_text(encoding="utf-8"))
