"""A kickstart with its includes put in, which still knows from which file and line each line came."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from pykickstart.errors import KickstartError, KickstartParseError, KickstartParseWarning
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion

from appliances.base.installer.errors import Problem

_INCLUDE = re.compile(r"^%include\s+(\S+)")
MISTAKES_AT_MOST = 20


@dataclass(frozen=True)
class Line:
    """One line: its text, the included file it is from (None: the kickstart itself) and its number there."""

    text: str
    file: str | None
    number: int


@dataclass(frozen=True)
class Source:
    """All lines of a kickstart in the order in which they are read."""

    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        return "".join(line.text + "\n" for line in self.lines)

    def problem(self, number: int | None, message: str, hint: str, key: str | None = None) -> Problem:
        """A mistake on line `number` of the whole, told with the file and line that a person can open."""
        if number is None or not 1 <= number <= len(self.lines):
            return Problem(message, hint, None, key)
        line = self.lines[number - 1]
        return Problem(message, hint, line.number, key, line.file)


def includes(text: str) -> list[tuple[int, str]]:
    """Line and path of every %include."""
    return [
        (number, found.group(1).strip("\"'"))
        for number, line in enumerate(text.splitlines(), start=1)
        if (found := _INCLUDE.match(line))
    ]


def flatten(text: str, files: Mapping[str, str]) -> Source:
    """Put the text of each included file in its place; a file that is not in `files` is an empty line."""
    lines: list[Line] = []
    for number, line in enumerate(text.splitlines(), start=1):
        found = _INCLUDE.match(line)
        if not found:
            lines.append(Line(line, None, number))
            continue
        path = found.group(1).strip("\"'")
        if path in files:
            lines += [Line(inner, path, at) for at, inner in enumerate(files[path].splitlines(), start=1)]
        else:
            lines.append(Line("", None, number))
    return Source(tuple(lines))


def parse(source: Source, version: str) -> tuple[Any, list[Problem]]:
    """Parse with pykickstart's handler of `version` ("RHEL9", "RHEL10"): the handler and every mistake found.

    A wrong line is reported, left out, and the rest is read again, so that one run tells all of them. Deprecated
    commands and options are mistakes too.
    """
    texts = [line.text for line in source.lines]
    problems: list[Problem] = []
    while True:
        handler = makeVersion(version)
        parser = KickstartParser(handler, followIncludes=False, errorsAreFatal=True)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", KickstartParseWarning)
            try:
                parser.readKickstartFromString("".join(text + "\n" for text in texts))
            except (KickstartError, ValueError) as error:
                number = error.lineno if isinstance(error, KickstartParseError) else None
                problems.append(_mistake(source, number, str(getattr(error, "message", error)), version))
                if len(problems) < MISTAKES_AT_MOST and _can_be_left_out(number, texts):
                    texts[number - 1] = ""
                    continue
                return handler, problems
        problems += [_mistake(source, _line_in(str(item.message)), str(item.message), version) for item in warned]
        return handler, problems


def command_lines(source: Source) -> list[tuple[int, str, list[str]]]:
    """Line, command and arguments of every command outside sections."""
    found = []
    in_section = False
    for number, line in enumerate(source.lines, start=1):
        text = line.text.strip()
        if text.startswith("%") and not text.startswith(("%include", "%ksappend")):
            in_section = text.split()[0] != "%end"
        elif text and not text.startswith("#") and not in_section:
            try:
                words = shlex.split(text, comments=True)
            except ValueError:
                continue
            if words:
                found.append((number, words[0], words[1:]))
    return found


def _can_be_left_out(number: int | None, texts: list[str]) -> TypeGuard[int]:
    """A command can; the first or last line of a section cannot, and the same line is left out only once."""
    return number is not None and 1 <= number <= len(texts) and texts[number - 1].strip()[:1] not in ("", "%")


def _mistake(source: Source, number: int | None, message: str, version: str) -> Problem:
    sentence = " ".join(message.split())
    hint = f"see the kickstart reference for {version}"
    return source.problem(number, f"{version} does not accept this: {sentence}", hint, _command(source, number))


def _command(source: Source, number: int | None) -> str | None:
    if number is None or not 1 <= number <= len(source.lines):
        return None
    return next(iter(source.lines[number - 1].text.split()), None)


def _line_in(message: str) -> int | None:
    found = re.search(r"line (\d+)", message)
    return int(found.group(1)) if found else None
