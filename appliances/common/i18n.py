"""Two languages, Russian first: gettext catalogues are read from the .po files themselves, nothing is compiled."""

from __future__ import annotations

import io
from collections.abc import Callable
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask, current_app, g, has_request_context, request

LANGUAGES = {"ru": "Русский", "en": "English"}
DEFAULT_LANGUAGE = "ru"
COOKIE = "asrbox-language"


class LazyText:
    """A text that is translated when it is shown, for labels that are declared before any request exists."""

    def __init__(self, message: str) -> None:
        self.message = message

    def __str__(self) -> str:
        return gettext(self.message)

    def __repr__(self) -> str:
        return f"lazy({self.message!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LazyText) and other.message == self.message

    def __hash__(self) -> int:
        return hash(self.message)


def lazy(message: str) -> LazyText:
    """Mark `message` for the catalogue now, translate it later."""
    return LazyText(message)


def load_catalogue(path: Path) -> GNUTranslations:
    """The translations of one .po file. Entries marked fuzzy are left out, as msgfmt does."""
    with path.open("rb") as file:
        catalogue = read_po(file)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue, use_fuzzy=False)
    compiled.seek(0)
    return GNUTranslations(compiled)


def language() -> str:
    """Language of this request: the cookie, else the browser's wish, else Russian."""
    if not has_request_context():
        return DEFAULT_LANGUAGE
    if "language" not in g:
        chosen = request.cookies.get(COOKIE, "")
        if chosen not in LANGUAGES:
            chosen = request.accept_languages.best_match(list(LANGUAGES)) or DEFAULT_LANGUAGE
        g.language = chosen
    return str(g.language)


def gettext(message: str, **values: Any) -> str:
    """`message` in the language of this request, with %(name)s filled in from `values`."""
    text = _translations().gettext(message)
    return text % values if values else text


def ngettext(singular: str, plural: str, n: int, **values: Any) -> str:
    """The form that fits the number `n`, which is available as %(n)s or %(num)s too."""
    return _translations().ngettext(singular, plural, n) % {"n": n, "num": n, **values}


def pick(titles: dict[str, str]) -> str:
    """The text of a `{"ru": …, "en": …}` pair, as manifests have them, in the language of this request."""
    return titles.get(language()) or titles.get(DEFAULT_LANGUAGE) or next(iter(titles.values()), "")


def install(app: Flask, catalogues: list[Path]) -> None:
    """Read `<folder>/<language>.po` of each folder; a later folder overrides an earlier one."""
    found: dict[str, NullTranslations] = {}
    for code in LANGUAGES:
        merged = NullTranslations()
        for folder in catalogues:
            path = folder / f"{code}.po"
            if path.exists():
                one = load_catalogue(path)
                one.add_fallback(merged)
                merged = one
        found[code] = merged
    app.extensions["asrbox-translations"] = found
    app.jinja_env.add_extension("jinja2.ext.i18n")
    install_callables: Callable[..., None] = app.jinja_env.install_gettext_callables  # type: ignore[attr-defined]
    install_callables(
        lambda message: _translations().gettext(message),
        lambda singular, plural, n: _translations().ngettext(singular, plural, n),
        newstyle=True,
    )


def _translations() -> NullTranslations:
    if not has_request_context():
        return NullTranslations()
    table: dict[str, NullTranslations] = current_app.extensions["asrbox-translations"]
    return table[language()]
