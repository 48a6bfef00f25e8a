"""Reads GRUB's menu language: words with their places in the text, commands, blocks.

After "Writing full configuration files directly" and "Shell-like scripting" of GRUB's manual: words are separated by
blanks, quoted as in a shell; a command ends at a line end or `;`; `{` and `}` are words of their own wherever they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from builder.errors import AsrboxError, Where

_SKIPPED = re.compile(r"(?:[ \t\r]|\\\n)+|#[^\n]*")
_ENDS = ";\n&|"
_PART = re.compile(
    r"""'(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)" | \\(?P<escaped>[^\n]) | \\\n
      | (?P<variable>\$(?:\{[^}]*\}|[A-Za-z0-9_]+|[?*@\#])?) | (?P<plain>[^\s;&|{}'"\\$]+)""",
    re.S | re.X,
)
_LEADING = {"if", "then", "else", "elif", "while", "until", "do", "!", "time"}
_PLAIN = re.compile(r"[A-Za-z0-9_.,:/=@%+-]+")


@dataclass(frozen=True)
class Word:
    """One word: what it says without quotes, and where it is written: text[start:end]."""

    value: str
    start: int
    end: int


@dataclass
class Command:
    """One command: its words, and the commands of its block (None: it has no block)."""

    words: list[Word] = field(default_factory=list)
    block: list[Command] | None = None

    @property
    def name(self) -> str:
        return self.words[0].value if self.words else ""

    def walk(self) -> Iterator[Command]:
        """This command and all in its block, in the order of the text."""
        yield self
        for inner in self.block or []:
            yield from inner.walk()


def parse(text: str, name: str) -> list[Command]:
    """All commands of the outermost level. Raises AsrboxError naming file and line where GRUB could not read it."""
    top: list[Command] = []
    open_blocks: list[tuple[Command, list[Command], int]] = []
    here, command = top, Command()
    for kind, word in _tokens(text, name):
        if kind == "word":
            if command.words or word.value not in _LEADING:
                command.words.append(word)
            continue
        if kind == "{":
            command.block = []
            here.append(command)
            open_blocks.append((command, here, word.start))
            here, command = command.block, Command()
            continue
        if command.words:
            here.append(command)
        command = Command()
        if kind == "}":
            if not open_blocks:
                raise AsrboxError("a } that closes nothing", where=_where(text, name, word.start))
            _, here, _ = open_blocks.pop()
    if open_blocks:
        raise AsrboxError("this { is never closed", where=_where(text, name, open_blocks[-1][2]))
    return top


def quoted(value: str, like: str = "") -> str:
    """A word as it is written in a menu, with the quotes of the word `like` where it has some."""
    mark = like[:1] if like[:1] in ("'", '"') else ""
    if not mark and _PLAIN.fullmatch(value):
        return value
    if mark == '"' and not re.search(r'["\\$]', value):
        return f'"{value}"'
    return "'" + value.replace("'", "'\\''") + "'"


def _tokens(text: str, name: str) -> Iterator[tuple[str, Word]]:
    at = 0
    while at < len(text):
        if skipped := _SKIPPED.match(text, at):
            at = skipped.end()
        elif text[at] in _ENDS or text[at] in "{}":
            kind = "end" if text[at] in _ENDS else text[at]
            yield kind, Word(text[at], at, at + 1)
            at += 1
        else:
            word = _word(text, at, name)
            yield "word", word
            at = word.end
    yield "end", Word("", at, at)


def _word(text: str, start: int, name: str) -> Word:
    at, parts = start, []
    while found := _PART.match(text, at):
        if found["double"] is not None:
            parts.append(re.sub(r'\\(["\\$])', r"\1", found["double"]))
        else:
            parts += [part for part in found.group("single", "escaped", "variable", "plain") if part is not None]
        at = found.end()
    if at == start:
        raise AsrboxError("a quote that is never closed", where=_where(text, name, start))
    return Word("".join(parts), start, at)


def _where(text: str, name: str, at: int) -> Where:
    return Where(Path(name), text.count("\n", 0, at) + 1)
