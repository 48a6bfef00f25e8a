"""`asrctl audit`: the journal of what was done. It reads the files themselves, so the agent may be away."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from appliances.base.agent.asrctl import show
from appliances.base.agent.paths import Paths

if TYPE_CHECKING:
    from appliances.base.agent.audit import Entry, Wanted

AT_ONCE = 500  # entries


class Day(click.ParamType[str]):
    """A day such as 2026-11-23."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return datetime.date.fromisoformat(value).isoformat()
        except ValueError:
            self.fail(f"{value!r} is not a day such as 2026-11-23", param, ctx)


class Kind(click.ParamType[str]):
    """A kind of entries; the shell completes them."""

    name = "kind"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        known = _kinds()
        if value not in known:
            self.fail(f"there is no {value!r}; it is one of: {', '.join(known)}", param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(one) for one in _kinds() if one.startswith(incomplete)]


def _filters(command: Any) -> Any:
    for option in (
        click.option("--until", type=Day(), help="Last day, in UTC."),
        click.option("--since", type=Day(), help="First day, in UTC."),
        click.option("--kind", type=Kind(), help="Only this kind, such as settings or power."),
        click.option("--part", help="Only this appliance, or this daemon of one."),
        click.option("--who", help="Only this person."),
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@_filters
@click.option("-n", "lines", default=20, show_default=True, help="How many of the newest.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with all details.")
@click.pass_context
def audit(context: click.Context, /, lines: int, as_json: bool, **chosen: str | None) -> None:
    """Who did what on this host, and when. The newest first."""
    from appliances.base.agent.audit import Wanted, page

    if context.invoked_subcommand is not None:
        return
    entries, _ = _of_root(lambda: page(context.obj[0].audit, Wanted(**chosen), None, lines))
    if as_json:
        click.echo(json.dumps([asdict(one) for one in entries], indent=1, ensure_ascii=False))
    else:
        click.echo(show.audit([asdict(one) for one in entries]))


@audit.command()
@click.pass_obj
def verify(obj: tuple[Paths, Any]) -> None:
    """Look whether the journal is as it was written. Exit code 1, and file and line, where it is not."""
    from appliances.base.agent import auditcheck

    found = _of_root(lambda: auditcheck.verify(obj[0].audit))
    for problem in found.problems:
        click.echo(str(problem))
    if found.problems:
        raise click.ClickException(
            "the journal is not as it was written. What was exported before is the evidence: asrctl audit export"
        )
    if not found.lines:
        click.echo("nothing has been written yet")
        return
    click.echo(f"all {found.lines} entries are as they were written; the newest is {found.number}, hash {found.hash}")


@audit.command()
@_filters
@click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@click.argument("out", type=click.File("w", encoding="utf-8"), default="-")
@click.pass_obj
def export(obj: tuple[Paths, Any], /, form: str, out: IO[str], **chosen: str | None) -> None:
    """Write entries into the file OUT, or print them, the newest first: a table, or a JSON object in each line."""
    from appliances.base.agent import auditcheck
    from appliances.base.agent.audit import Wanted

    _of_root(lambda: obj[0].audit.exists() and list(obj[0].audit.iterdir()))
    entries = _all(obj[0], Wanted(**chosen))
    if form == "csv":
        auditcheck.as_csv(entries, out)
        return
    for one in entries:
        out.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")


def _all(paths: Paths, wanted: Wanted) -> Iterator[Entry]:
    from appliances.base.agent.audit import page

    before: int | None = None
    while True:
        entries, before = page(paths.audit, wanted, before, AT_ONCE)
        yield from entries
        if before is None:
            return


def _of_root(work: Any) -> Any:
    try:
        return work()
    except PermissionError as error:
        raise click.ClickException("only root may read the journal: run it with sudo") from error


def _kinds() -> tuple[str, ...]:
    from appliances.base.agent.audit import KINDS

    return KINDS
