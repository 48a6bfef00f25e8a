"""The command asrbox. Each command is a few lines that call a room below."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from builder import engine, log
from builder.errors import AsrboxError
from builder.manifest import json_schema, parse_size
from builder.reference import manual
from builder.resolve import Project, Resolved, load
from builder.store import Store
from builder.workshop import Settings, Workshop, build, opened, publish

HERE = Path(__file__).resolve().parent
PATH = click.Path(path_type=Path)
DEFAULT_LIMIT = "20GiB"


class Commands(click.Group):
    """A group in which a mistake is one sentence and a hint, and Ctrl-C is no traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AsrboxError as error:
            click.echo(f"asrbox: {error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("asrbox: stopped; nothing half-made was kept", err=True)
            ctx.exit(130)


def _size(_: click.Context, __: click.Parameter, value: str) -> int:
    try:
        return parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def store_options(command: Any) -> Any:
    """--store, --store-limit: shared by all that builds."""
    limit = click.option(
        "--store-limit", default=DEFAULT_LIMIT, callback=_size, show_default=True, help="Evict old outputs above this."
    )
    place = click.option(
        "--store", type=PATH, envvar="ASRBOX_STORE", help="Folder of step outputs.  [default: build/store]"
    )
    return place(limit(command))


def source_options(command: Any) -> Any:
    """--mirror, --keyring, --offline, --lock: where packages come from."""
    for option in reversed(
        [
            click.option("--mirror", help="URL or folder used instead of the configured package mirrors."),
            click.option("--keyring", type=PATH, multiple=True, help="Keyring that may sign the mirror, too."),
            click.option("--offline", is_flag=True, help="Open no socket: packages from the store or a mirror folder."),
            click.option(
                "--lock",
                "lock_mode",
                type=click.Choice(["auto", "strict"]),
                default="auto",
                show_default=True,
                help="auto: resolve anew what has left the mirror, and say so; strict: refuse.",
            ),
        ]
    ):
        command = option(command)
    return command


def build_options(command: Any) -> Any:
    """All options that decide what is built."""
    for option in reversed(
        [
            click.option("--fast/--release", "fast", default=True, help="Quick packing, or the strongest."),
            click.option("--seed", type=PATH, help="Answer file that goes into the ISO."),
            click.option("--boot-iso", type=PATH, help="CentOS' boot.iso or DVD: remake it, and Anaconda installs."),
            click.option("--jobs", type=click.IntRange(1), help="Steps that run side by side."),
        ]
    ):
        command = option(command)
    return store_options(source_options(command))


def _workshop(
    resolved: Resolved,
    *,
    store: Path | None,
    store_limit: int,
    mirror: str | None = None,
    keyring: tuple[Path, ...] = (),
    offline: bool = False,
    lock_mode: Any = "auto",
    fast: bool = True,
    seed: Path | None = None,
    boot_iso: Path | None = None,
    jobs: int | None = None,
) -> Workshop:
    if boot_iso is not None and not boot_iso.is_file():
        raise AsrboxError(f"there is no file {boot_iso}", hint="give the vendor's boot.iso with --boot-iso")
    settings = Settings(
        store=(store or HERE / "build" / "store").absolute(),
        build=HERE / "build",
        store_limit=store_limit,
        mirror=mirror,
        offline=offline,
        lock_mode=lock_mode,
        keyrings=tuple(path.absolute() for path in keyring),
        mode="fast" if fast else "release",
        seed=_checked_seed(seed, resolved) if seed else None,
        boot_iso=boot_iso.absolute() if boot_iso else None,
        jobs=jobs,
    )
    return Workshop(resolved, settings, Store(settings.store))


def _checked_seed(path: Path, resolved: Resolved) -> str:
    from builder.seedfile import read_checked

    return read_checked(path, list(resolved.appliances), resolved.network6 is not None)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--distribution", default="asrbox", show_default=True, help="Which distro/NAME.yaml.")
@click.option(
    "--base", help="Package base instead of the distribution's: a name in distro/bases/, or the path of a manifest."
)
@click.version_option("0.1.0", prog_name="asrbox")
@click.pass_context
def main(context: click.Context, distribution: str, base: str | None) -> None:
    """Build, check and try the asrbox distribution."""
    context.obj = (distribution, base)


def _load(context: click.Context) -> Resolved:
    distribution, base = context.find_root().obj
    return load(Project(HERE), distribution, base)


@main.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Validate manifests, kickstart, roles and locks without building."""
    from builder.check import check_all

    resolved = _load(context)
    for line in check_all(resolved):
        click.echo(line)


@main.command()
@click.option("--markdown", is_flag=True, help="As a page for people: docs/manifest.md.")
def schema(markdown: bool) -> None:
    """Print the JSON Schema of every manifest."""
    click.echo(manual() if markdown else json.dumps(json_schema(), indent=2))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="As distribution.json, which the agent reads.")
@click.pass_context
def show(context: click.Context, as_json: bool) -> None:
    """Print the resolved distribution: appliances, daemons, endpoints, addresses, sizes."""
    from builder.show import table

    resolved = _load(context)
    click.echo(json.dumps(resolved.as_json(), indent=2, ensure_ascii=False) if as_json else table(resolved))


@main.command(name="lock")
@click.option("--tools", is_flag=True, help="Only the wheels of the build host itself.")
@click.option("--wheels", is_flag=True, help="Only the Python parts: no package mirror is needed.")
@source_options
@store_options
@click.pass_context
def lock_command(context: click.Context, /, tools: bool, wheels: bool, **options: Any) -> None:
    """Resolve the packages of today and write distro/locks/."""
    from builder.relock import relock, relock_tools, relock_wheels

    resolved = _load(context)
    if tools:
        relock_tools(resolved.project)
        return
    if wheels:
        for line in relock_wheels(resolved):
            click.echo(line)
        return
    workshop = _workshop(resolved, **options)
    with opened(workshop.pool):
        for line in relock(workshop):
            click.echo(line)


@main.command()
@click.argument("folder", type=PATH)
@source_options
@store_options
@click.pass_context
def mirror(context: click.Context, /, folder: Path, **options: Any) -> None:
    """Make FOLDER a mirror of exactly the locked RPM packages, to be carried to a place without internet.

    There: asrbox --base NAME iso --offline --mirror FOLDER
    """
    from builder.mirror import collect

    workshop = _workshop(_load(context), **options)
    tools = workshop.tools()
    with opened(workshop.pool):
        collect(tools.base, workshop.lock(tools), folder)


def _build(context: click.Context, /, twice: bool, sign_key: str | None, **options: Any) -> None:
    workshop = _workshop(_load(context), **options)
    if twice:
        from builder.twice import build_twice

        with opened(workshop.pool):
            click.echo(build_twice(workshop, HERE / "dist", sign_key))
        return
    with opened(workshop.pool) as store:
        steps, outcomes = build(workshop, store)
        target = publish(workshop, store, steps, HERE / "dist", sign_key)
    if all(outcome.reused for outcome in outcomes):
        log.info(f"nothing to do: all {len(outcomes)} steps are in the store, and nothing they depend on has changed")
    else:
        log.info("\n" + engine.explain(outcomes, done=True))
    click.echo(f"{os.path.relpath(target)} ({format_size_short(target.stat().st_size)})")


def format_size_short(size: int) -> str:
    """Bytes for people, such as 634 MiB."""
    return f"{size / 2**20:.0f} MiB"


for name in ("build", "iso"):
    decorated = click.pass_context(_build)
    for decorator in (
        click.option("--sign-key", help="GnuPG key that signs the checksums."),
        click.option("--twice", is_flag=True, help="Build from empty stores twice and compare the ISOs."),
        build_options,
    ):
        decorated = decorator(decorated)
    main.command(name=name, help="Build the ISO into dist/.")(decorated)


@main.command()
@build_options
@click.pass_context
def explain(context: click.Context, /, **options: Any) -> None:
    """Say for each step: reused, or to build and because of which change."""
    workshop = _workshop(_load(context), **options)
    click.echo(engine.explain(engine.plan([workshop.pipeline().goal], workshop.pool), done=False))


@main.command()
@click.option("--iso", type=PATH, help="ISO to boot.  [default: the one in dist/]")
@click.option("--disk", type=PATH, help="Disk image; made when absent, kept afterwards.")
@click.option("--firmware", type=click.Choice(["bios", "uefi"]), default="bios", show_default=True)
@click.option("--medium", type=click.Choice(["cd", "usb"]), default="cd", show_default=True)
@click.option("--install", is_flag=True, help="Install on the disk first, then boot the disk.")
@click.option("--window", is_flag=True, help="Show the screen of the machine in a window.")
@click.option("--seed", type=PATH, help="Answer file, given to the machine on a stick.")
@click.option("--memory", default=3072, show_default=True, help="Memory in MiB.")
@click.option("--cpus", default=2, show_default=True)
@click.option("--accel", type=click.Choice(["auto", "kvm", "tcg"]), default="auto", show_default=True)
@click.option(
    "--port", "ports", multiple=True, metavar="HOST:GUEST", help="Port of 127.0.0.1 that leads to the machine."
)
@click.option("--until", type=click.Choice(["installed", "login", "ready"]), default="ready", show_default=True)
@click.option("--keep", is_flag=True, help="Leave the machine running until Ctrl-C.")
@click.pass_context
def boot(
    context: click.Context, /, iso: Path | None, disk: Path | None, ports: tuple[str, ...], **options: Any
) -> None:
    """Boot the ISO or an installed disk in QEMU, and say what happens or why it failed."""
    from builder import qemu_boot
    from builder.pipeline import iso_name

    if iso is None and (options["install"] or disk is None):
        iso = HERE / "dist" / iso_name(_load(context))
    forwards = {int(host): int(guest) for host, _, guest in (port.partition(":") for port in ports)}
    logs = HERE / "build" / "boot"
    qemu_boot.boot(iso=iso, disk=disk, ports=forwards, logs=logs, **options)


@main.command()
@click.argument("iso", type=PATH)
@click.option("--keyring", type=PATH, help="Public keys that may have signed the checksums.")
def verify(iso: Path, keyring: Path | None) -> None:
    """Check an ISO: checksums, signature, medium, boot records, contents."""
    from builder.verify import verify as verify_iso

    report = verify_iso(iso, keyring=keyring)
    click.echo(str(report))
    if not report.ok:
        raise SystemExit(1)


@main.group(name="seed")
def seed_group() -> None:
    """Answer files of the installer."""


@seed_group.command(name="check")
@click.argument("file", type=PATH)
@click.pass_context
def seed_check(context: click.Context, file: Path) -> None:
    """Validate an answer file."""
    _checked_seed(file, _load(context))
    click.echo(f"{file}: a valid answer file")


if __name__ == "__main__":
    sys.exit(main())
