"""The commands of asrctl."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import click
from click.shell_completion import CompletionItem

from appliances.base.agent import outside
from appliances.base.agent.asrctl import bundle, host, journal, show
from appliances.base.agent.asrctl.client import Client
from appliances.base.agent.errors import AgentError
from appliances.base.agent.paths import Paths

POLL = 0.3  # seconds between looks at an operation
CERTIFICATE = "/api/v1/certificate"
CLIENTS = "/api/v1/client-certificates"
DELIVERY = 60.0  # seconds that a message may take
FOLLOW = 1.0  # seconds between looks at a log


class Target(click.ParamType[str]):
    """An appliance, or with `daemons` also one of its daemons; the shell completes those that the agent knows."""

    name = "target"

    def __init__(self, *, daemons: bool = True) -> None:
        self._daemons = daemons

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names that begin so; none when the agent does not answer."""
        try:
            found = Client(Paths.of_environment().socket).get("/api/v1/status")["appliances"]
        except click.ClickException:
            return []
        names = [one["name"] for one in found]
        if self._daemons:
            names += [f"{one['name']}.{daemon['name']}" for one in found for daemon in one["daemons"]]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(context: click.Context) -> None:
    """Look after the appliances of this host.

    TARGET is an appliance (asr_billing) or one of its daemons (asr_billing.web).
    """
    paths = Paths.of_environment()
    context.obj = (paths, Client(paths.socket))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="The agent's answer as JSON.")
@click.pass_obj
def status(obj: tuple[Paths, Client], as_json: bool) -> None:
    """Appliances, daemons, their addresses and how they are."""
    found = obj[1].get("/api/v1/status")
    _tell(found, as_json, show.status)


@main.command()
@click.pass_obj
def check(obj: tuple[Paths, Client]) -> None:
    """Run all health checks. Exit code 1 when one fails."""
    found = obj[1].get("/api/v1/check")
    click.echo(show.checks(found))
    if not all(one["ok"] for one in found):
        raise SystemExit(1)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="The agent's answer as JSON, with the last two hours.")
@click.pass_obj
def usage(obj: tuple[Paths, Client], as_json: bool) -> None:
    """Memory, processors and processes that each appliance uses, and may use."""
    found = obj[1].get("/api/v1/usage")
    _tell(found, as_json, show.usage)


@main.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="The agent's answer as JSON.")
@click.pass_context
def alarms(context: click.Context, as_json: bool) -> None:
    """What has been broken for so long that people were told. Exit code 1 when something is."""
    if context.invoked_subcommand is None:
        found = context.obj[1].get("/api/v1/alarms")
        _tell(found, as_json, show.alarms)
        if found["standing"]:
            raise SystemExit(1)


@alarms.command("test")
@click.pass_obj
def alarms_test(obj: tuple[Paths, Client]) -> None:
    """Send a message by every channel, and say whether it was taken."""
    channels = obj[1].post("/api/v1/alarms/test")["channels"]
    click.echo(f"sending by {' and '.join(channels)} …")
    until = time.monotonic() + DELIVERY
    found = obj[1].get("/api/v1/alarms")
    while found["waiting"] and not found["trouble"] and time.monotonic() < until:
        time.sleep(POLL)
        found = obj[1].get("/api/v1/alarms")
    if found["trouble"]:
        why = "; ".join(f"{name}: {why}" for name, why in found["trouble"].items())
        raise click.ClickException(f"{why}. It is tried again; the addresses: asrctl config base")
    if found["waiting"]:
        raise click.ClickException("nothing was taken yet. It is tried again; see: asrctl alarms")
    click.echo("taken")


@alarms.command("zabbix-template")
def alarms_zabbix_template() -> None:
    """Print the template for Zabbix 6.0 and newer: import it, and link it to the host that stands for this one."""
    from appliances.base.agent import zabbix  # here: only this command needs it

    click.echo(zabbix.TEMPLATE.read_text(encoding="utf-8"), nl=False)


@main.command()
@click.option("-n", "lines", default=20, show_default=True, help="How many of the newest.")
@click.option("--json", "as_json", is_flag=True, help="The agent's answer as JSON, with logs.")
@click.pass_obj
def operations(obj: tuple[Paths, Client], lines: int, as_json: bool) -> None:
    """What was done to this host, when and by whom."""
    found = obj[1].get("/api/v1/operations")[:lines]
    _tell(found, as_json, show.operations)


def _action(name: str, text: str) -> Callable[..., None]:
    @main.command(name, help=text)
    @click.argument("target", type=Target())
    @click.option("--no-wait", is_flag=True, help="Ask for it and return at once.")
    @click.pass_obj
    def command(obj: tuple[Paths, Client], target: str, no_wait: bool) -> None:
        operation = obj[1].post(f"{_path(target)}/{name}")["operation"]
        if no_wait:
            click.echo(f"operation {operation}")
            return
        _follow_operation(obj[1], operation)
        click.echo(f"{name} {target}: done")

    return command


_action("start", "Start TARGET.")
_action("stop", "Stop TARGET until it is started again or the machine reboots.")
_action("restart", "Stop and start TARGET.")
_action("enable", "Run TARGET from now on, after reboots too.")
_action("disable", "Stop TARGET and leave it off, after reboots too. Its data stays.")


@main.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="The agent's answer as JSON.")
@click.pass_context
def plan(context: click.Context, as_json: bool) -> None:
    """What the plan file would change. Nothing is done: `asrctl apply` does it."""
    if context.invoked_subcommand is None:
        found = context.obj[1].get("/api/v1/plan")
        _tell(found, as_json, show.plan)
        if found["error"]:
            raise SystemExit(1)


@plan.command("history")
@click.pass_obj
def plan_history(obj: tuple[Paths, Client]) -> None:
    """The plans that were in force, the newest first."""
    click.echo(show.plans(obj[1].get("/api/v1/plans")))


@plan.command("restore")
@click.argument("number", type=click.IntRange(1), required=False)
@click.pass_obj
def plan_restore(obj: tuple[Paths, Client], number: int | None) -> None:
    """Make the plan file what is in force, or what plan NUMBER of the history was."""
    found = obj[1].post("/api/v1/plan/restore" + (f"?number={number}" if number else ""))
    click.echo(f"{obj[0].plan} is plan {found['number']} again. See the difference: asrctl plan")


@main.command()
@click.argument("appliance", type=Target(daemons=False))
@click.argument("key", required=False)
@click.argument("value", required=False)
@click.option("--default", "reset", is_flag=True, help="Bring the default of KEY back.")
@click.pass_obj
def config(obj: tuple[Paths, Client], appliance: str, key: str | None, value: str | None, reset: bool) -> None:
    """Show the settings of APPLIANCE, or one; with VALUE change it. What does not work out is taken back.

    With - for VALUE it is asked for, or read from a pipe: so a secret does not stay in the history of the shell.
    """
    if reset and (key is None or value is not None):
        raise click.UsageError("--default brings the default of one KEY back, and takes no VALUE")
    path = f"/api/v1/appliances/{quote(appliance)}/settings"
    if key is not None and value == "-":
        value = click.prompt(key, hide_input=True) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if key is not None and (value is not None or reset):
        operation = obj[1].post(path, {key: None if reset else value})["operation"]
        _follow_operation(obj[1], operation)
        click.echo(f"{appliance} {key}: done")
        return
    found = obj[1].get(path)
    if key is None:
        click.echo(show.settings(appliance, found))
        return
    one = next((one for one in found if one["key"] == key), None)
    if one is None:
        known = ", ".join(one["key"] for one in found) or "none"
        raise click.ClickException(f"{appliance} has no setting {key!r} (it has: {known})")
    click.echo(show.setting(one))


main.add_command(journal.audit)
main.add_command(host.host)


@main.group(invoke_without_command=True)
@click.pass_context
def certificate(context: click.Context) -> None:
    """Which certificate browsers see."""
    if context.invoked_subcommand is None:
        click.echo(show.certificate(context.obj[1].get(CERTIFICATE)))


@certificate.command("install")
@click.argument("chain", type=click.File())
@click.argument("key", type=click.File())
@click.pass_obj
def certificate_install(obj: tuple[Paths, Client], chain: IO[str], key: IO[str]) -> None:
    """Show browsers the certificate in CHAIN (with those that signed it) from now on. KEY is its key. Both are PEM."""
    click.echo(show.certificate(obj[1].put(CERTIFICATE, {"chain": chain.read(), "key": key.read()})))


@certificate.command("remove")
@click.pass_obj
def certificate_remove(obj: tuple[Paths, Client]) -> None:
    """Go back to certificates that the CA of this host signs."""
    click.echo(show.certificate(obj[1].delete(CERTIFICATE)))


@main.group("client-certificate", invoke_without_command=True)
@click.pass_context
def client_certificate(context: click.Context) -> None:
    """Certificates that callers of published ports show."""
    if context.invoked_subcommand is None:
        click.echo(show.client_certificates(context.obj[1].get(CLIENTS)))


@client_certificate.command("list")
@click.pass_obj
def client_certificate_list(obj: tuple[Paths, Client]) -> None:
    """All that were issued, the newest first."""
    click.echo(show.client_certificates(obj[1].get(CLIENTS)))


@client_certificate.command("issue")
@click.argument("name")
@click.option("--days", type=click.IntRange(1, 1825), default=365, show_default=True, help="How long it is valid.")
@click.option("--pem", is_flag=True, help="Write PEM, not PKCS#12.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file; by default NAME.p12 or .pem."
)
@click.pass_obj
def client_certificate_issue(obj: tuple[Paths, Client], name: str, days: int, pem: bool, output: Path | None) -> None:
    """Issue a certificate with which NAME is let in, and write it with its key to a file: the host keeps no copy.

    A PKCS#12 file has a password, which is shown once. A PEM file has none: certificate, key, authority.
    """
    target = output or Path(f"{name.replace('/', '_')}.{'pem' if pem else 'p12'}")
    bundle.free(target)
    issued = obj[1].post(CLIENTS, {"name": name, "days": days})
    password = bundle.write(target, issued, pem=pem)
    click.echo(
        f"{target}: client certificate of {name}, serial {issued['serial']}, valid until {issued['ends_at'][:10]}"
    )
    if password:
        click.echo(f"Password:  {password}")


@client_certificate.command("revoke")
@click.argument("name")
@click.pass_obj
def client_certificate_revoke(obj: tuple[Paths, Client], name: str) -> None:
    """Refuse all certificates of NAME from now on, or the one with that serial."""
    for one in obj[1].delete(f"{CLIENTS}/{quote(name, safe='')}"):
        click.echo(f"{one['name']}, serial {one['serial']}: revoked")


@certificate.command("renew")
@click.option("--no-wait", is_flag=True, help="Ask for it and return at once.")
@click.pass_obj
def certificate_renew(obj: tuple[Paths, Client], no_wait: bool) -> None:
    """Ask the authority for a certificate now, by ACME, without waiting for the next attempt."""
    operation = obj[1].post(f"{CERTIFICATE}/renew")["operation"]
    if no_wait:
        click.echo(f"operation {operation}")
        return
    _follow_operation(obj[1], operation)
    click.echo(show.certificate(obj[1].get(CERTIFICATE)))


@main.command()
@click.option("--no-wait", is_flag=True, help="Ask for it and return at once.")
@click.pass_obj
def apply(obj: tuple[Paths, Client], no_wait: bool) -> None:
    """Bring the plan file into force and wait until the host is like it."""
    operation = obj[1].post("/api/v1/plan/apply")["operation"]
    if no_wait:
        click.echo(f"operation {operation}")
        return
    _follow_operation(obj[1], operation)
    click.echo("apply: done")


@main.command()
@click.argument("target", type=Target())
@click.option("-f", "--follow", is_flag=True, help="Go on showing new lines until Ctrl-C.")
@click.option("-n", "lines", default=200, show_default=True, help="How many of the newest lines.")
@click.pass_obj
def logs(obj: tuple[Paths, Client], target: str, follow: bool, lines: int) -> None:
    """The journal of TARGET."""
    name, _, daemon = target.partition(".")
    base = f"/api/v1/appliances/{quote(name)}/logs?lines={lines}" + (f"&daemon={quote(daemon)}" if daemon else "")
    cursor = ""
    while True:
        found = obj[1].get(base + (f"&cursor={quote(cursor)}" if cursor else ""))
        for line in found["lines"]:
            click.echo(line)
        if not follow:
            return
        cursor = found["cursor"] or cursor
        time.sleep(FOLLOW)


@main.command()
@click.argument("appliance", type=Target(daemons=False))
@click.pass_obj
def shell(obj: tuple[Paths, Client], appliance: str) -> None:
    """A root shell in APPLIANCE."""
    found = obj[1].get("/api/v1/status")["appliances"]
    instance = next((one["instance"] for one in found if one["name"] == appliance), None)
    if instance is None:
        raise click.ClickException(f"there is no appliance {appliance!r}. See: asrctl status")
    program = shutil.which("incus") or shutil.which("lxc")
    if program is None:
        raise click.ClickException("neither incus nor lxc is installed: run it on the host of the appliances")
    os.execv(program, [program, "exec", instance, "--", "bash", "-l"])  # noqa: S606


@main.command()
@click.pass_obj
def password(obj: tuple[Paths, Client]) -> None:
    """How to log in as administrator for the first time."""
    # Here, since every other command does without them and would start four times slower.
    from appliances.base.agent import secretstore
    from appliances.base.agent.distribution import load_distribution

    paths = obj[0]
    try:
        shipped = load_distribution(paths.distribution)
        owner = next(one for one in shipped.appliances if secretstore.ADMINISTRATOR in one.secrets)
        secret = secretstore.read(paths.secrets / owner.name / secretstore.ADMINISTRATOR)
    except PermissionError as error:
        raise click.ClickException("only root may see the password: run it with sudo") from error
    except (AgentError, FileNotFoundError, StopIteration) as error:
        raise click.ClickException(
            "there is no password yet: the first start has not come so far. See: asrctl status"
        ) from error
    addresses = outside.look(shipped.network.bridge).addresses
    if addresses:
        click.echo(f"Open:      {outside.url(addresses[0], '/')}")
    click.echo("User:      administrator")
    if paths.password_changed.exists():
        click.echo("The first password has been changed and is no longer valid.")
    else:
        click.echo(f"Password:  {secret}")


def _tell(found: Any, as_json: bool, show_it: Callable[[Any], str]) -> None:
    """The agent's answer as JSON, or as people read it."""
    click.echo(json.dumps(found, indent=1, ensure_ascii=False) if as_json else show_it(found))


def _path(target: str) -> str:
    name, _, daemon = target.partition(".")
    return f"/api/v1/appliances/{quote(name)}" + (f"/daemons/{quote(daemon)}" if daemon else "")


def _follow_operation(client: Client, identity: str) -> None:
    """Print the log of an operation while it grows; a failed one ends the command with its error."""
    shown = 0
    while True:
        operation: dict[str, Any] = client.get(f"/api/v1/operations/{identity}")
        for line in operation["log"][shown:]:
            click.echo(f"  {line}")
        shown = len(operation["log"])
        if operation["status"] == "failed":
            raise click.ClickException(operation["error"])
        if operation["status"] == "done":
            return
        time.sleep(POLL)
