"""python -m tests.synthetic --pool DIR --lock FILE OUT"""

from __future__ import annotations

from pathlib import Path

import click

from builder.errors import AsrboxError
from builder.workshop import require_root
from tests.synthetic.base import NAME, write_manifest
from tests.synthetic.generate import generate

ROOT = Path(__file__).resolve().parents[2]
PATH = click.Path(path_type=Path)


@click.command()
@click.argument("out", type=PATH)
@click.option("--pool", type=PATH, default=ROOT / "build/store/pool", help="Folder of .deb files.  [build/store/pool]")
@click.option(
    "--lock", "lock_file", type=PATH, default=ROOT / "distro/locks/debian-13.json", help="Lock of a Debian base."
)
def main(out: Path, pool: Path, lock_file: Path) -> None:
    """Make the synthetic RPM distribution of the tests below OUT; print its mirror folder and how to build from it.

    It is Debian in RPM clothes with EL's names: good for tests of the RPM path, and for nothing else.
    """
    try:
        require_root()
        mirror = generate(pool, lock_file, out, manifests=ROOT)
        manifest = write_manifest(ROOT, out / "base" / f"{NAME}.yaml")
        click.echo(
            f"{mirror.folder}\nto build from it: make iso BASE={manifest} MIRROR={mirror.folder} KEYRING={mirror.key}"
        )
    except AsrboxError as error:
        click.echo(f"synthetic: {error}", err=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main(prog_name="python -m tests.synthetic")
