"""Reads and edits isolinux.cfg. What is not changed stays as it was, byte for byte.

The language (doc/syslinux.txt and doc/menu.txt of Syslinux): one directive on a line, the first word in any case;
`label` begins an entry; `menu begin` and `menu end` enclose a submenu; `text help` begins free text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from builder.errors import AsrboxError, Where
from builder.vendor.menu import Change, choose, role

_DIRECTIVE = re.compile(r"(?P<indent>\s*)(?P<word>\S+)(?P<space>[ \t]*)(?P<value>.*?)(?P<end>\s*)\Z", re.S)
_MENU_WORDS = {"begin", "end", "label", "default"}


@dataclass
class Entry:
    """One `label`: its name, depth (0: main menu) and the numbers of its lines, counted from 0."""

    name: str
    depth: int
    line: int
    title: int | None = None
    append: int | None = None
    default: int | None = None


@dataclass
class Menu:
    """A menu as its lines (with their ends), its entries, and the line numbers of what is changed besides them."""

    lines: list[str]
    entries: list[Entry] = field(default_factory=list)
    timeouts: list[int] = field(default_factory=list)
    defaults: list[int] = field(default_factory=list)
    appends: list[int] = field(default_factory=list)


def parse(text: str, name: str) -> Menu:
    """Read a menu; `name` is how errors call it. Raises AsrboxError for a submenu or text that does not end."""
    menu = Menu(text.splitlines(keepends=True))
    entry: Entry | None = None
    opened: list[int] = []
    free_text: int | None = None
    for number, line in enumerate(menu.lines):
        word, value = _directive(line)
        if free_text is not None:
            free_text = None if word == "endtext" else free_text
        elif word == "text":
            free_text = number
        elif word == "label":
            entry = Entry(value, len(opened), number)
            menu.entries.append(entry)
        elif word == "menu begin":
            opened.append(number)
            entry = None
        elif word == "menu end":
            if not opened:
                raise AsrboxError("menu end without a menu begin", where=Where(Path(name), number + 1))
            opened.pop()
            entry = None
        elif word in ("default", "ontimeout"):
            menu.defaults.append(number)
        elif word == "timeout":
            menu.timeouts.append(number)
        elif word == "append":
            menu.appends.append(number)
            if entry is not None:
                entry.append = number
        elif word == "menu label" and entry is not None:
            entry.title = number
        elif word == "menu default" and entry is not None:
            entry.default = number
    unclosed = free_text if free_text is not None else opened[-1] if opened else None
    if unclosed is not None:
        raise AsrboxError("this does not end", where=Where(Path(name), unclosed + 1, menu.lines[unclosed].strip()))
    return menu


def edit(text: str, change: Change, name: str) -> str:
    """The menu with our default, timeout, titles, label and kickstart. Raises AsrboxError when it cannot be edited."""
    menu = parse(text, name)
    roles = [role(_arguments(menu, entry), top=entry.depth == 0) for entry in menu.entries]
    chosen = choose(roles, change.options, name)
    titles = {chosen.install: change.options.title}
    if chosen.check is not None:
        titles[chosen.check] = change.options.check_title
    edited = {menu.entries[place].append for place in titles}
    for number in menu.appends:
        menu.lines[number] = _append(menu.lines[number], change, change.added if number in edited else [])
    for entry in menu.entries:
        if entry.default is not None and entry.depth == 0:
            menu.lines[entry.default] = ""
    default = menu.entries[chosen.default]
    for number in menu.defaults:
        if not _directive(menu.lines[number])[1].lower().endswith(".c32"):  # a module that shows a menu, not an entry
            menu.lines[number] = _with_value(menu.lines[number], default.name)
    tenths = str(change.options.timeout * 10)
    for number in menu.timeouts:
        menu.lines[number] = _with_value(menu.lines[number], tenths)
    for place, title in titles.items():
        _set_title(menu, menu.entries[place], title, is_default=place == chosen.default)
    if not menu.timeouts:
        menu.lines.insert(0, f"timeout {tenths}{_line_end(text)}")
    return "".join(menu.lines)


def _directive(line: str) -> tuple[str, str]:
    found = _DIRECTIVE.match(line)
    if not found or found["word"].startswith("#"):
        return "", ""
    word, value = found["word"].lower(), found["value"]
    if word == "menu" and value:
        second, *rest = value.split(maxsplit=1)
        if second.lower() in _MENU_WORDS:
            return f"menu {second.lower()}", "".join(rest)
    return word, value


def _arguments(menu: Menu, entry: Entry) -> list[str]:
    return [] if entry.append is None else _directive(menu.lines[entry.append])[1].split()


def _append(line: str, change: Change, added: list[str]) -> str:
    words = re.split(r"([ \t]+)", _directive(line)[1])
    kept: list[str] = []
    for number in range(0, len(words), 2):
        if added and change.supersedes(words[number]):
            continue
        kept += [words[number - 1]] if kept else []
        kept.append(change.relabelled(words[number]))
    return _with_value(line, " ".join(["".join(kept), *added]))


def _with_value(line: str, value: str) -> str:
    found = _DIRECTIVE.match(line)
    assert found
    return f"{found['indent']}{found['word']}{found['space'] or ' '}{value}{found['end']}"


def _set_title(menu: Menu, entry: Entry, title: str, *, is_default: bool) -> None:
    place = entry.line if entry.title is None else entry.title
    found = _DIRECTIVE.match(menu.lines[place])
    assert found
    indent = "  " if entry.title is None else found["indent"]
    end = found["end"] or "\n"
    lines = [f"{indent}menu label {title}{end}"]
    if entry.title is None:
        lines.insert(0, menu.lines[place])
    if is_default:
        lines.append(f"{indent}menu default{end}")
    menu.lines[place] = "".join(lines)


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
