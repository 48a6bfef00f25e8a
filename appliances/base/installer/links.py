"""The network interfaces of this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from appliances.base.installer.runner import Runner


@dataclass(frozen=True)
class Link:
    """A physical Ethernet interface; `carrier` says whether a cable is in."""

    name: str
    mac: str
    carrier: bool


def links(root: Path = Path("/sys/class/net")) -> tuple[Link, ...]:
    """The physical Ethernet interfaces, those with a cable first."""
    found = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if not (folder / "device").exists():
            continue
        try:
            carrier = (folder / "carrier").read_text().strip() == "1"
        except OSError:  # an interface that is down has no carrier to read
            carrier = False
        found.append(Link(folder.name, (folder / "address").read_text().strip(), carrier))
    return tuple(sorted(found, key=lambda link: not link.carrier))


def bring_up(runner: Runner, wait: float = 5.0) -> None:
    """Switch the interfaces on, so that they can tell whether a cable is in; `wait` seconds at most, for the first.

    With one interface there is nothing to choose, and nobody waits.
    """
    names = [link.name for link in links()]
    for name in names:
        runner.run(["ip", "link", "set", "dev", name, "up"])
    end = time.monotonic() + (wait if len(names) > 1 else 0)
    while time.monotonic() < end and not any(link.carrier for link in links()):
        time.sleep(0.2)
