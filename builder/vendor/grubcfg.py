"""Edits grub.cfg, wherever its entries and commands stand. What is not changed stays as it was, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from builder.vendor.grubscript import Command, Word, parse, quoted
from builder.vendor.menu import Change, choose, role

KERNEL_COMMANDS = {"linux", "linuxefi", "linux16"}
IDS = {"install": "asrbox-install", "check": "asrbox-check"}


@dataclass(frozen=True)
class Entry:
    """A menuentry, and whether it is in the main menu."""

    command: Command
    top: bool

    @property
    def kernels(self) -> list[Command]:
        """The commands in it that load a kernel."""
        return [command for command in self.command.walk() if command.name in KERNEL_COMMANDS]


class _Edits:
    """Replacements of parts of a text, made all at once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts: list[tuple[int, int, str]] = []

    def replace(self, word: Word, value: str) -> None:
        if value != word.value:
            self._parts.append((word.start, word.end, quoted(value, self.text[word.start : word.end])))

    def has(self, word: Word) -> bool:
        """True when the word is changed already."""
        return any(start <= word.start < end for start, end, _ in self._parts)

    def insert(self, at: int, text: str) -> None:
        self._parts.append((at, at, text))

    def remove(self, word: Word) -> None:
        """Take a word away, and the blanks before it."""
        start = word.start
        while self.text[start - 1] in " \t":
            start -= 1
        self._parts.append((start, word.end, ""))

    def done(self) -> str:
        result, at = [], 0
        # Stable: what was inserted at one place stays in the order in which it was inserted.
        for start, end, new in sorted(self._parts, key=lambda part: part[0]):
            result += [self.text[at:start], new]
            at = end
        return "".join([*result, self.text[at:]])


def edit(text: str, change: Change, name: str) -> str:
    """The menu with our default, timeout, titles, label and kickstart. Raises AsrboxError when it cannot be edited."""
    commands = parse(text, name)
    entries = list(_entries(commands, top=True))
    roles = [role(_arguments(entry), top=entry.top) for entry in entries]
    chosen = choose(roles, change.options, name)
    edits = _Edits(text)
    ids = {chosen.install: IDS["install"]}
    titles = {chosen.install: change.options.title}
    if chosen.check is not None:
        ids[chosen.check], titles[chosen.check] = IDS["check"], change.options.check_title
    settings = {"default": ids[chosen.default], "timeout": str(change.options.timeout)}
    _set(edits, commands, settings)
    for place, entry in enumerate(entries):
        if place in ids:
            _name(edits, entry.command, titles[place], ids[place])
            _add(edits, entry, change)
    for command in _all(commands):
        for word in command.words[1:]:
            if not edits.has(word):
                edits.replace(word, change.relabelled(word.value))
    return edits.done()


def _all(commands: list[Command]) -> Iterator[Command]:
    for command in commands:
        yield from command.walk()


def _entries(commands: list[Command], *, top: bool) -> Iterator[Entry]:
    for command in commands:
        if command.name == "menuentry" and command.block is not None and len(command.words) > 1:
            yield Entry(command, top)
        elif command.name != "function":
            yield from _entries(command.block or [], top=top and command.name != "submenu")


def _arguments(entry: Entry) -> list[str]:
    return [word.value for kernel in entry.kernels for word in kernel.words[2:]]


def _set(edits: _Edits, commands: list[Command], settings: dict[str, str]) -> None:
    """Give variables of the menu their values, wherever they are set outside of entries; else at the top."""
    missing = dict(settings)
    for command in _outside(commands):
        words = command.words[1:] if command.name == "set" else command.words[:1]
        for word in words:
            variable, is_set, _ = word.value.partition("=")
            if is_set and variable in settings:
                edits.replace(word, f"{variable}={settings[variable]}")
                missing.pop(variable, None)
    edits.insert(0, "".join(f"set {variable}={value}\n" for variable, value in missing.items()))


def _outside(commands: list[Command]) -> Iterator[Command]:
    for command in commands:
        yield command
        if command.name not in ("menuentry", "submenu", "function"):
            yield from _outside(command.block or [])


def _name(edits: _Edits, command: Command, title: str, name: str) -> None:
    """The title of an entry, and an id by which `default` finds it however many entries stand before it."""
    edits.replace(command.words[1], title)
    for place, word in enumerate(command.words[2:], start=2):
        if word.value.startswith("--id="):
            edits.replace(word, f"--id={name}")
            return
        if word.value in ("--id", "$menuentry_id_option") and place + 1 < len(command.words):
            edits.replace(command.words[place + 1], name)
            return
    edits.insert(command.words[1].end, f" --id {name}")


def _add(edits: _Edits, entry: Entry, change: Change) -> None:
    for kernel in entry.kernels:
        for word in kernel.words[2:]:
            if change.supersedes(word.value):
                edits.remove(word)
        edits.insert(kernel.words[-1].end, "".join(f" {quoted(argument)}" for argument in change.added))
