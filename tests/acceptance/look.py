"""Installs an ISO in QEMU and looks at the machine that comes of it; keeps what was said, not only a verdict."""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from builder import qemu_accel
from builder.errors import AsrboxError
from builder.machine import Machine, new_disk, seed_stick
from builder.qemu_hardware import Firmware, Hardware
from tests.machine import box

DISK_SIZE = 20 * 1024**3  # bytes
MEMORY = 4096  # MiB: Anaconda wants more than our own installer
ANSWER = 600.0  # seconds: rpm and restorecon read the whole disk
# What is asked on the installed machine: title, command as root, words that must not be in the answer.
QUESTIONS: list[tuple[str, str, tuple[str, ...]]] = [
    ("release", "cat /etc/os-release", ()),
    ("kernel", "uname -r", ()),
    ("appliances, daemons, addresses", "asrctl status", ("failing", "error", "absent")),
    ("checks", "asrctl check", ("FAILING",)),
    ("failed units", "systemctl --failed --no-legend --plain", (".service", ".mount", ".socket")),
    # rpm fails, too, when all that differs is a configuration file
    ("packages that differ from what was installed", "sh -c 'rpm -Va --nomtime 2>&1; true'", ("missing", "not found")),
    ("SELinux", "sh -c 'getenforce 2>&1'", ("Permissive", "Disabled", "not found")),
    ("labels that differ from the policy", "sh -c 'restorecon -nRv / 2>&1 | head -50'", ("Would relabel", "not found")),
    ("volumes", "lvs", ()),
    ("addresses of the host", "ip -brief address", ()),
]

Result = TypeVar("Result")


class Report:
    """A page for people: what was done, how long it took, what was said. `ok` is False once something failed."""

    def __init__(self, path: Path, title: str) -> None:
        self.path = path
        self.ok = True
        day = datetime.datetime.now(datetime.UTC).date()
        self._parts = [f"# {title}\n\n{day}, {platform.platform()}\n"]

    def chapter(self, title: str) -> None:
        self._parts.append(f"\n## {title}\n")

    def step(self, title: str, work: Callable[[], Result]) -> Result | None:
        """Do one part; a failure is written down, and gives None."""
        print(f"▸ {title}", flush=True)
        began = time.monotonic()
        try:
            result = work()
        except AsrboxError as error:
            self.ok = False
            self._parts.append(f"- **{title}: FAILED** after {time.monotonic() - began:.0f} s\n\n{_quoted(str(error))}")
            print(f"✗ {title}: {error}", flush=True)
            return None
        self._parts.append(f"- {title}: {time.monotonic() - began:.0f} s\n")
        return result

    def answer(self, title: str, said: str, bad: list[str]) -> None:
        """What the machine said to a question; `bad` are the words in it that should not be there."""
        self.ok = self.ok and not bad
        if bad:
            print(f"✗ {title}: not as it should be: {', '.join(bad)}", flush=True)
        verdict = f" **NOT AS IT SHOULD BE: {', '.join(bad)}**" if bad else ""
        self._parts.append(f"- {title}:{verdict}\n\n{_quoted(said)}")

    def write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("".join(self._parts) + f"\nResult: {'all well' if self.ok else 'FAILED'}\n")


def ask(report: Report, machine: Machine) -> None:
    """Ask all questions; one that the machine has no answer to does not keep the others back."""
    for title, command, unwanted in QUESTIONS:
        try:
            said = box.as_root(machine, command, ANSWER)
        except AsrboxError as error:
            report.answer(title, str(error), ["the command failed"])
        else:
            report.answer(title, said, [word for word in unwanted if word in said])


def look(report: Report, iso: Path, logs: Path, firmware: Firmware) -> None:
    """Install `iso` on an empty disk, start it, ask the questions."""
    logs.mkdir(parents=True, exist_ok=True)
    disk = logs / "disk.qcow2"
    disk.unlink(missing_ok=True)
    new_disk(disk, DISK_SIZE)
    stick = seed_stick(logs / "seed.img", box.seed())
    accel = qemu_accel.choose("auto", iso)

    def machine(name: str, **options: object) -> Machine:
        hardware = Hardware(
            firmware=firmware,
            disks=(disk,),
            memory=MEMORY,
            accel=accel,
            cpu=None if accel == "kvm" else "max",  # EL is built for x86-64-v2 and v3
            **options,  # type: ignore[arg-type]
        )
        return Machine(hardware, logs, name=name, on_event=box.telling(name))

    def install() -> None:
        with machine("install", medium="cd", iso=iso, seed=stick, first="medium") as installer:
            installer.wait_off(2 * box.INSTALLED)

    def start() -> None:
        with machine("start", first="disk") as started:
            started.wait_until("ready", box.READY)
            started.log_in(box.ADMIN, box.ADMIN_PASSWORD)
            ask(report, started)

    report.step("install", install)
    report.step("start and look", start)


def _quoted(text: str) -> str:
    return "".join(f"      {line}\n" for line in text.splitlines() or ["(nothing)"])
