"""What the machine tests need to say what they mean: a machine that was installed, and how one talks to it."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.consolewatch import Event
from builder.machine import Machine
from builder.qemu_hardware import Firmware, Hardware, Medium

# A loopback address of its own (one for each worker of pytest-xdist): the guest's ports keep their numbers, so that
# links between its pages work. All pages are behind one port.
ADDRESS = f"127.80.{os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw')}.1"
PORTS = {443: 443}
PUBLISHED = ("/", "/auth/", "/billing/")

ADMIN = "admin"
ADMIN_PASSWORD = "correct-horse"
ADMIN_HASH = "$6$asrboxtests$KwYScNd/0GieUX8Q3yMP.StuAmFgkQvDOa6btZTRcIqUDnd7Yduato5JR9f9ITFcAMO2zLBfEiZR6FaNe8REi."
# What an emulated processor needs no defence against costs a fifth of its time. QEMU shows the guest the TSC of this
# host, which leaps when the host itself is a virtual machine that was held for a while; its HPET follows the monotonic
# clock and costs nothing that can be measured.
EMULATED = '["mitigations=off", "tsc=unstable", "clocksource=hpet"]'

# Seconds of waiting. Twice and more of what an idle host with two cores needs; a hung machine is noticed earlier.
INSTALLED = 1200.0
READY = 1800.0
LOGIN = 600.0
OFF = 240.0
ANSWER = 60.0
WHOLE = 4200  # one test with all machines it had to make first


def seed(**disk: str) -> str:
    """An answer file; the keywords are conditions for the disk."""
    text = f'hostname = "box"\nlanguage = "en"\nkernel_arguments = {EMULATED}\n'
    text += f"[admin]\nname = \"{ADMIN}\"\npassword_hash = '{ADMIN_HASH}'\n"
    if disk:
        text += "[disk]\n" + "".join(f'{key} = "{value}"\n' for key, value in disk.items())
    return text


def telling(name: str) -> Callable[[Event], None]:
    """Tells what a machine does: shown by pytest when a test fails, and with -s."""
    return lambda event: print(f"{name:<20} {event.seconds:8.1f} s  {event.kind:<8}  {event.text}", flush=True)


def machine(
    folder: Path,
    name: str,
    *disks: Path,
    iso: Path | None = None,
    medium: Medium = "none",
    firmware: Firmware = "bios",
    seed_stick: Path | None = None,
    reached: bool = False,
) -> Machine:
    """A machine with these disks; with `reached` its ports are forwarded, which only one can have at a time.

    It has one processor. Two such machines beside one another use two cores, where four emulated processors would wait
    for one another half of the time; and one alone does not trip over a kernel that patches itself.
    """
    hardware = Hardware(
        firmware=firmware,
        medium=medium,
        iso=iso,
        disks=disks,
        cpus=1,
        seed=seed_stick,
        first="medium" if iso else "disk",
        ports=PORTS if reached else {},
        address=ADDRESS,
    )
    return Machine(hardware, folder, name=name, on_event=telling(name))


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def get(path: str, authority: str) -> Answer:
    """GET over TLS; the certificate must come from the machine's own CA (PEM), whatever name it is for."""
    context = ssl.create_default_context(cadata=authority)
    context.check_hostname = False  # the machine is reached through a forwarded port, not by its name
    request = urllib.request.Request(f"https://{ADDRESS}{path}", headers={"Accept": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=ANSWER, context=context) as answer:  # noqa: S310
            return Answer(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode())


def as_root(box: Machine, command: str, limit: float = ANSWER) -> str:
    """Run a command as root in the shell of the administrator on the serial console."""
    return box.command(f"echo '{ADMIN_PASSWORD}' | sudo -S -p '' {command}", limit)
