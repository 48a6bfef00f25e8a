"""What `%pre` writes for one machine: the kickstart's include files, and the answers without secrets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from appliances.base.installer.disks import Block

if TYPE_CHECKING:
    from appliances.base.installer.seed import Seed

DISK = "/tmp/asrbox/disk.ks"  # noqa: S108  the path is part of the kickstart
MACHINE = "/tmp/asrbox/machine.ks"  # noqa: S108
ANSWERS = "/tmp/asrbox/seed.toml"  # noqa: S108
LOCALES = {"ru": "ru_RU.UTF-8", "en": "en_US.UTF-8"}

templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701  configuration files, not HTML
)


def fragments(
    seed: Seed, disk: Block, *, group: str, timezone: str, locale: str, appliances: Sequence[str]
) -> dict[str, str]:
    """Path → text of every file that `%pre` leaves behind.

    `timezone`, `locale` and `appliances` are those of the distribution, used where the answers say nothing; `group`
    is the group whose members may use sudo.
    """
    values = {
        "seed": seed,
        "disk": disk,
        "name": disk.path.removeprefix("/dev/"),
        "group": group,
        "timezone": seed.timezone or timezone,
        "locale": LOCALES[seed.language] if seed.language else locale,
        "appliances": seed.appliances if seed.appliances is not None else tuple(appliances),
    }
    return {path: templates.get_template(f"{Path(path).name}.j2").render(values) for path in (DISK, MACHINE, ANSWERS)}
