"""What differs between pykickstart's RHEL9 and RHEL10 handlers, as a table out of pykickstart itself.

`python -m builder.kickstart_handlers docs/centos.md` writes it between the two marks in that page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pykickstart.base import DeprecatedCommand, RemovedCommand
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion

from appliances.base.installer.kstext import command_lines, flatten
from builder import kickstart
from builder.errors import AsrboxError

OLD, NEW = "RHEL9", "RHEL10"
TAKEN = ["taken", "taken"]
BEGIN = "<!-- written by python -m builder.kickstart_handlers docs/centos.md -->"
END = "<!-- end of the written part -->"


@dataclass(frozen=True)
class Difference:
    """One command: how both handlers take it, options that only one has, options that are deprecated only in NEW."""

    command: str
    old: str
    new: str
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    deprecated: tuple[str, ...] = ()


def differences() -> Iterator[Difference]:
    """Every command (and %packages) that the handlers take differently, by name."""
    old, new = makeVersion(OLD), makeVersion(NEW)
    for command in sorted(old.commands.keys() | new.commands.keys()):
        states = [_state(handler.commands.get(command)) for handler in (old, new)]
        options = [_options(handler.commands.get(command)) for handler in (old, new)]
        yield from _difference(command, states, options)
    sections = [KickstartParser(handler).getSection("%packages") for handler in (old, new)]
    yield from _difference("%packages", TAKEN, [_options(section) for section in sections])


def used(distribution: dict[str, Any]) -> set[str]:
    """The commands of our own kickstart for Anaconda, those that %pre writes included."""
    text = kickstart.render(distribution, "el", image_sha256="0" * 64)
    sources = [flatten(text, files) for files in kickstart.sample_includes("el", distribution)]
    return {command for source in sources for _, command, _ in command_lines(source)}


def table(ours: set[str]) -> str:
    """The differences as a table in Markdown; commands of `ours` are marked."""
    lines = [f"| command | in ours | {OLD} | {NEW} | options only in {OLD} | only in {NEW} | deprecated in {NEW} |"]
    lines.append("|---" * 7 + "|")
    for row in differences():
        options = (", ".join(f"`{name}`" for name in names) for names in (row.removed, row.added, row.deprecated))
        mark = "yes" if row.command in ours else ""
        lines.append(f"| `{row.command}` | {mark} | {row.old} | {row.new} | {' | '.join(options)} |")
    return "\n".join(lines) + "\n"


def written(page: str, ours: set[str]) -> str:
    """The text of the page with a fresh table between the marks. Raises AsrboxError when it has no marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise AsrboxError("the page has no place for the table", hint=f"put these two lines into it: {BEGIN} {END}")
    return f"{before}{BEGIN}\n\n{table(ours)}\n{END}{after}"


def _difference(command: str, states: list[str], options: list[dict[str, bool]]) -> Iterator[Difference]:
    old, new = options
    found = Difference(
        command,
        states[0],
        states[1],
        removed=tuple(sorted(old.keys() - new.keys())) if states == TAKEN else (),
        added=tuple(sorted(new.keys() - old.keys())) if states == TAKEN else (),
        deprecated=tuple(sorted(name for name, is_deprecated in new.items() if is_deprecated and not old.get(name))),
    )
    if found.old != found.new or found.removed or found.added or found.deprecated:
        yield found


def _state(command: Any) -> str:
    if command is None:
        return "unknown"
    if isinstance(command, RemovedCommand):
        return "refused"
    return "ignored" if isinstance(command, DeprecatedCommand) else "taken"


def _options(command: Any) -> dict[str, bool]:
    """Option → is it deprecated."""
    if command is None or isinstance(command, DeprecatedCommand) or not hasattr(command, "_getParser"):
        return {}
    actions = [action for action in command._getParser()._actions if not getattr(action, "removed", None)]
    return {name: bool(action.deprecated) for action in actions for name in action.option_strings}


if __name__ == "__main__":
    from builder.resolve import Project, load

    target = Path(sys.argv[1])
    distribution = load(Project(Path(__file__).resolve().parents[1])).as_json()
    target.write_text(written(target.read_text(encoding="utf-8"), used(distribution)), encoding="utf-8")
