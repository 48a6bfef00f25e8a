"""`asrbox boot`: install an ISO in QEMU, boot what was installed, and tell what happens with times."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from builder import log
from builder.consolewatch import Event, Phase, Target
from builder.errors import AsrboxError
from builder.machine import Machine, new_disk, seed_stick
from builder.qemu_accel import choose
from builder.qemu_hardware import Firmware, Hardware, Medium
from builder.run import run

# Seconds; generous for emulation on a loaded host, as a hung machine is noticed by its silence long before.
LIMITS: dict[Target, float] = {"installed": 1500.0, "ready": 1500.0, "login": 600.0}
DISK_SIZE = 24 * 1024**3  # bytes; the file grows only as it is written


@dataclass
class Run:
    """One power-on: phases, seconds from power-on to the target, CPU seconds of QEMU, and the log of the console."""

    name: str
    console: Path
    phases: list[Phase] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass
class Booted:
    """What `boot` did: one Run per power-on; the disk, if it was kept."""

    runs: list[Run]
    disk: Path | None


def boot(
    *,
    iso: Path | None = None,
    disk: Path | None = None,
    firmware: Firmware = "bios",
    medium: Literal["cd", "usb"] = "cd",
    install: bool = False,
    window: bool = False,
    memory: int = 3072,
    cpus: int = 2,
    cpu: str | None = None,
    seed: Path | None = None,
    ports: Mapping[int, int] | None = None,
    accel: Literal["auto", "kvm", "tcg"] = "tcg",
    keep: bool = False,
    until: Target | None = "ready",
    logs: Path | None = None,
) -> Booted:
    """Boot `iso`, or `disk`, or both after one another.

    With `install` the ISO installs itself on `disk` (made when absent) first; then the disk is booted, unless `until`
    is "installed". Without `install` and with an ISO, the ISO is booted as it is. `memory` in MiB; `ports` maps ports
    of 127.0.0.1 to ports of the guest; `seed` is a seed.toml that is given on a stick. `until` None listens until the
    machine goes off; `keep` leaves it running after the target, until Ctrl-C or its power-off. `logs` is the folder of
    the console logs. Raises AsrboxError with the verdict when the machine fails.
    """
    if install and iso is None:
        raise AsrboxError("nothing to install from", hint="name an ISO")
    if iso is None and disk is None:
        raise AsrboxError("nothing to boot", hint="name an ISO, or a disk with --disk")
    for path in (iso, seed) if install else (iso, disk, seed):
        if path is not None and not path.is_file():
            raise AsrboxError(f"the file {path} does not exist")
    folder = logs or Path(tempfile.mkdtemp(prefix="asrbox-boot-"))
    shown = _display() if window else None
    used_accel = choose(accel, iso)
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="asrbox-boot-")))
        target_disk = disk
        if install:
            target_disk = disk or scratch / "disk.qcow2"
            if not target_disk.exists():
                new_disk(target_disk, DISK_SIZE)
        stick = seed_stick(scratch / "seed.img", seed.read_text(encoding="utf-8")) if seed else None

        def hardware(of: Medium, with_seed: bool) -> Hardware:
            return Hardware(
                firmware=firmware, medium=of, iso=None if of == "none" else iso, cpu=cpu, window=shown,
                disks=(target_disk,) if target_disk else (), seed=stick if with_seed else None,
                first="disk" if of == "none" else "medium", memory=memory, cpus=cpus, accel=used_accel,
                ports=dict(ports or {}), reboots=of == "none",
            )  # fmt: skip

        runs = []
        if install:
            runs.append(_power_on("install", hardware(medium, True), folder, "installed", keep=False))
        if not (install and until == "installed"):
            source: Medium = "none" if install or iso is None else medium
            name = "disk" if source == "none" else medium
            runs.append(_power_on(name, hardware(source, source != "none"), folder, until, keep=keep))
        return Booted(runs, disk)


def _power_on(name: str, hardware: Hardware, folder: Path, until: Target | None, *, keep: bool) -> Run:
    what = "power-on with the medium" if hardware.iso else "power-on from the disk"
    with (
        log.step(f"{what} ({hardware.firmware}, {hardware.medium}, {hardware.accel})"),
        Machine(hardware, folder, name=name, on_event=_tell) as machine,
    ):
        done = Run(name, machine.console)
        try:
            if until:
                machine.wait_until(until, LIMITS[until])
                if until == "installed":
                    machine.wait_off(120)
            done.seconds = machine.seconds
            if until is None or (keep and machine.running):
                _stay(machine)
        finally:
            done.phases = machine.watch.phases
            done.cpu_seconds = machine.cpu_seconds()
    return done


def _display() -> Literal["gtk", "sdl"]:
    """Which window this QEMU can open here. Raises AsrboxError when it can open none."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise AsrboxError("there is no screen to open a window on", hint="leave --window out, or set DISPLAY")
    known = run(["qemu-system-x86_64", "-display", "help"]).stdout.split()
    if "gtk" in known:
        return "gtk"
    if "sdl" in known:
        return "sdl"
    raise AsrboxError("this QEMU cannot open a window", hint="run: apt-get install qemu-system-gui")


def _stay(machine: Machine) -> None:
    for host, guest in sorted(machine.hardware.ports.items()):
        log.info(f"port {guest} of the machine is https://127.0.0.1:{host}/")
    log.info(f"the machine runs (process {machine.pid}); Ctrl-C ends it")
    with contextlib.suppress(KeyboardInterrupt):
        while machine.running:
            machine.listen(60)


def _tell(event: Event) -> None:
    text = f"{event.seconds:7.1f} s  {event.text}"
    if event.kind in ("clue", "failure"):
        log.warn(text)
    else:
        log.info(text)
