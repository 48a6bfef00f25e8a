"""`make centos-acceptance BASE=… MIRROR=… [BOOT_ISO=…]`: what only a real mirror can prove, in one command."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click

from builder import workshop
from builder.errors import AsrboxError
from builder.manifest import parse_size
from builder.qemu_hardware import Firmware
from builder.resolve import Project, load
from builder.store import Store
from tests.acceptance.look import Report, look

ROOT = Path(__file__).resolve().parents[2]
PATH = click.Path(path_type=Path)


@click.command()
@click.option("--base", required=True, help="Name or manifest of the base, such as centos-stream-9.")
@click.option("--mirror", help="URL or folder of a mirror; without it the addresses of the base's manifest.")
@click.option("--keyring", type=PATH, multiple=True, help="Key that may sign the mirror's packages, too.")
@click.option("--boot-iso", type=PATH, help="The vendor's boot.iso: then Anaconda is tried as well.")
@click.option("--firmware", type=click.Choice(["bios", "uefi"]), default="uefi", show_default=True)
def main(base: str, mirror: str | None, keyring: tuple[Path, ...], boot_iso: Path | None, firmware: Firmware) -> None:
    """Build the ISO (and the remade boot.iso), install both in QEMU, and write build/acceptance/report.md."""
    folder = ROOT / "build" / "acceptance"
    report = Report(folder / "report.md", f"Acceptance of {base}")
    try:
        media = [("own installer", None)] + ([("Anaconda", boot_iso)] if boot_iso else [])
        for title, medium in media:
            report.chapter(title)
            iso = report.step("build the ISO", partial(_build, base, mirror, keyring, medium))
            if iso is not None:
                look(report, iso, folder / title.replace(" ", "-"), firmware)
    except AsrboxError as error:
        raise SystemExit(f"asrbox: {error}") from error
    finally:
        report.write()
        click.echo(f"\n{report.path}: send it back, whatever it says")
    sys.exit(0 if report.ok else 1)


def _build(base: str, mirror: str | None, keyrings: tuple[Path, ...], boot_iso: Path | None) -> Path:
    settings = workshop.Settings(
        ROOT / "build" / "store",
        ROOT / "build",
        parse_size("40GiB"),
        mirror=mirror,
        keyrings=tuple(path.absolute() for path in keyrings),
        boot_iso=boot_iso.absolute() if boot_iso else None,
    )
    shop = workshop.Workshop(load(Project(ROOT), base_name=base), settings, Store(settings.store))
    with workshop.opened(shop.pool) as store:
        steps, _ = workshop.build(shop, store)
        return workshop.publish(shop, store, steps, ROOT / "dist")


if __name__ == "__main__":
    main(prog_name="make centos-acceptance")
