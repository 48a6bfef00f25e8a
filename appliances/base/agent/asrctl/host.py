"""`asrctl host`: the host's own network, and who may log in on it."""

from __future__ import annotations

import time
from typing import IO, Any
from urllib.parse import quote

import click
from click.shell_completion import CompletionItem

from appliances.base.agent.asrctl import show
from appliances.base.agent.asrctl.client import Client
from appliances.base.agent.paths import Paths

NETWORK, PEOPLE = "/api/v1/host/network", "/api/v1/host/people"
POLL = 0.3  # seconds
BEGINS = 15.0  # seconds until a change is tried, or is refused by the system


class Login(click.ParamType[str]):
    """Somebody who may log in; the shell completes them."""

    name = "login"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names that begin so; none when the agent does not answer."""
        try:
            found = Client(Paths.of_environment().socket).get(PEOPLE)
        except click.ClickException:
            return []
        return [CompletionItem(one["name"]) for one in found if one["name"].startswith(incomplete)]


@click.group()
def host() -> None:
    """The host's own network, and who may log in on it."""


@host.group(invoke_without_command=True)
@click.option("--dhcp", "method", flag_value="dhcp", help="Take the address from the network.")
@click.option("--static", "address", metavar="ADDRESS/PREFIX", help="Have this fixed address.")
@click.option("--gateway", help="The way out, with --static.")
@click.option("--interface", help="The network card that it is for.")
@click.option("--dns", help="Name servers, with commas between; '' for those of DHCP.")
@click.option("--hostname", help="The name of the host.")
@click.option("--time-servers", help="Time servers, with commas between; '' for those of the distribution.")
@click.pass_context
def network(context: click.Context, /, method: str | None, address: str | None, **given: str | None) -> None:
    """Show the host's network, or change it.

    A change is on trial for 90 seconds: log in through the new address and confirm it, else what was before comes back.
    """
    if context.invoked_subcommand is not None:
        return
    if method and address:
        raise click.UsageError("--dhcp and --static exclude one another")
    client: Client = context.obj[1]
    wanted = {key: value for key, value in given.items() if value is not None}
    if address is not None:
        wanted |= {"method": "static", "address": address}
    elif method:
        wanted["method"] = method
    if not wanted:
        click.echo(show.host_network(client.get(NETWORK)))
        return
    seconds = client.post(NETWORK, wanted)["seconds"]
    until = time.monotonic() + BEGINS
    while time.monotonic() < until:
        found = client.get(NETWORK)
        if found["trouble"]:
            raise click.ClickException(f"it could not be tried, and nothing has changed: {found['trouble']}")
        if found["trial"] is None or found["trial"]["applied"]:
            break
        time.sleep(POLL)
    click.echo(f"On trial. Within {seconds} seconds, through the new address: asrctl host network confirm")
    click.echo("Else what was before comes back by itself.")


@network.command("confirm")
@click.pass_obj
def network_confirm(obj: tuple[Paths, Client]) -> None:
    """Keep the network that is on trial."""
    obj[1].post(f"{NETWORK}/confirm")
    click.echo("confirmed: the host stays like this")


@network.command("revert")
@click.pass_obj
def network_revert(obj: tuple[Paths, Client]) -> None:
    """Bring back at once what was before the trial."""
    obj[1].post(f"{NETWORK}/revert")
    click.echo("the network is as it was before")


@host.group(invoke_without_command=True)
@click.pass_context
def people(context: click.Context) -> None:
    """Who may log in on the host itself."""
    if context.invoked_subcommand is None:
        click.echo(show.host_people(context.obj[1].get(PEOPLE)))


@people.command("add")
@click.argument("login")
@click.option("--keys", type=click.File(), help="A file of public SSH keys; - reads them from a pipe.")
@click.option("--password-hash", help="What `openssl passwd -6` prints.")
@click.option("--administrator", is_flag=True, help="May do everything, by sudo.")
@click.pass_obj
def people_add(
    obj: tuple[Paths, Client], login: str, keys: IO[str] | None, password_hash: str | None, administrator: bool
) -> None:
    """Let LOGIN in, by key, by password or by both."""
    body = {"name": login, "keys": _lines(keys), "password_hash": password_hash, "administrator": administrator}
    click.echo(show.host_people(obj[1].post(PEOPLE, body)))


@people.command("keys")
@click.argument("login", type=Login())
@click.argument("keys", type=click.File())
@click.pass_obj
def people_keys(obj: tuple[Paths, Client], login: str, keys: IO[str]) -> None:
    """Let LOGIN in by the public SSH keys of the file KEYS and no others; - reads them from a pipe."""
    click.echo(show.host_people(obj[1].post(f"{PEOPLE}/{quote(login)}/keys", {"keys": _lines(keys)})))


def _action(name: str, text: str, question: str = "") -> None:
    @people.command(name, help=text)
    @click.argument("login", type=Login())
    @click.option("--yes", is_flag=True, help="Do not ask.", hidden=not question)
    @click.pass_obj
    def command(obj: tuple[Paths, Client], login: str, yes: bool) -> None:
        if question and not yes:
            click.confirm(question % login, abort=True)
        click.echo(show.host_people(obj[1].post(f"{PEOPLE}/{quote(login)}/{name}")))


_action("lock", "Let LOGIN in no more, and end its sessions.")
_action("unlock", "Let LOGIN in again.")
_action("remove", "Remove LOGIN with its home folder.", "Remove %s, and all files in its home folder?")


def _lines(file: IO[str] | None) -> list[str]:
    lines: list[Any] = [line.strip() for line in file] if file else []
    return [line for line in lines if line and not line.startswith("#")]
