"""Every text of the pages has a Russian translation, and no translation is left over from a text that is gone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

APPLIANCES = Path(__file__).resolve().parents[3] / "appliances"
KEYWORDS = {"_": None, "gettext": None, "lazy": None, "ngettext": (1, 2)}
METHODS = [("**/templates/**.html", "jinja2.ext:babel_extract"), ("**.py", "python")]


def catalogue(file: Path) -> Catalog:
    with file.open("rb") as opened:
        return read_po(opened)


def texts(folder: Path) -> set[str]:
    """The keys of all texts in the code and templates of one appliance (of plurals, the singular)."""
    found = extract_from_dir(folder, method_map=METHODS, keywords=KEYWORDS)
    return {
        message[0] if isinstance(message, tuple) else message for _file, _line, message, _comments, _context in found
    }


def keys(file: Path) -> set[str]:
    return {entry.id[0] if isinstance(entry.id, tuple) else str(entry.id) for entry in catalogue(file) if entry.id}


CATALOGUES = sorted(APPLIANCES.rglob("ru.po"))
COMMON = APPLIANCES / "common" / "translations" / "ru.po"


def owner(file: Path) -> Path:
    """The folder of the appliance that a catalogue belongs to."""
    return APPLIANCES / file.relative_to(APPLIANCES).parts[0]


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda file: owner(file).name)
def test_every_text_is_translated_and_none_is_left_over(file: Path) -> None:
    used = texts(owner(file))
    assert used - keys(file) - keys(COMMON) == set(), "texts without a Russian translation"
    assert keys(file) - used == set(), "translations of texts that nobody shows any more"


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda file: owner(file).name)
def test_translations_are_complete_and_keep_what_is_filled_in(file: Path) -> None:
    for entry in catalogue(file):
        if not entry.id:
            continue
        assert not entry.fuzzy, entry.id
        forms = entry.string if isinstance(entry.string, tuple) else (entry.string,)
        source = entry.id[0] if isinstance(entry.id, tuple) else entry.id
        for form in forms:
            assert form, f"{source!r} has an empty translation"
            assert set(re.findall(r"%\(\w+\)s", form)) == set(re.findall(r"%\(\w+\)s", source)), source


def test_every_appliance_with_pages_has_a_catalogue() -> None:
    with_pages = {templates.relative_to(APPLIANCES).parts[0] for templates in APPLIANCES.rglob("templates")}
    assert {owner(file).name for file in CATALOGUES} == with_pages
