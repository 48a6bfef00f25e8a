"""The machine as QEMU is told of it: firmware, disks, medium, seed stick, network. Pure: a description → arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Firmware = Literal["bios", "uefi"]
Medium = Literal["cd", "usb", "none"]
Accel = Literal["tcg", "kvm"]

OVMF_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_VARS = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")


@dataclass(frozen=True)
class Hardware:
    """A machine. `memory` in MiB; `ports` maps a port on `address` of this host to a port of the guest.

    `disks` are qcow2 files in the order in which the guest sees them. `first` says what the firmware tries first;
    the other comes next, except that SeaBIOS never tries a stick after a disk. Sticks can be written to, as real
    ones (what the guest writes is thrown away). `screen` adds a VGA adapter for screenshots, a `window` has it
    anyway; without it the firmware writes to the serial line. The guest reaches nothing outside.
    """

    firmware: Firmware = "bios"
    medium: Medium = "none"
    iso: Path | None = None
    disks: tuple[Path, ...] = ()
    seed: Path | None = None
    first: Literal["medium", "disk"] = "disk"
    memory: int = 3072
    cpus: int = 2
    cpu: str | None = None
    accel: Accel = "tcg"
    ports: Mapping[int, int] = field(default_factory=dict)
    address: str = "127.0.0.1"
    screen: bool = False
    window: Literal["gtk", "sdl"] | None = None
    reboots: bool = False

    def __post_init__(self) -> None:
        if (self.medium == "none") != (self.iso is None):
            raise ValueError("a medium needs an ISO, and an ISO needs a medium")


def arguments(hardware: Hardware, *, qmp: Path, variables: Path | None = None) -> list[str]:
    """The command line of QEMU. `qmp` is the socket it makes; `variables` the writable UEFI variables (uefi only)."""
    command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config"]
    command += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    command += ["-qmp", f"unix:{_escaped(qmp)},server=on,wait=off", "-device", "virtio-rng-pci"]
    command += _processor(hardware) + _display(hardware)
    if not hardware.reboots:
        command.append("-no-reboot")  # the end of an installation is the end of the process
    if hardware.firmware == "uefi":
        if variables is None:
            raise ValueError("UEFI needs a file for its variables")
        command += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}"]
        command += ["-drive", f"if=pflash,format=raw,unit=1,file={_escaped(variables)}"]
    return command + _storage(hardware) + _network(hardware)


def _processor(hardware: Hardware) -> list[str]:
    # qemu64 is x86-64-v1, all that Debian needs, and a third cheaper to emulate than `max`.
    cpu = hardware.cpu or ("host" if hardware.accel == "kvm" else "qemu64")
    accel = "kvm" if hardware.accel == "kvm" else "tcg,thread=multi,tb-size=512"
    return ["-accel", accel, "-cpu", cpu, "-m", str(hardware.memory), "-smp", str(hardware.cpus)]


def _display(hardware: Hardware) -> list[str]:
    if hardware.window or hardware.screen:
        return ["-machine", "pc", "-vga", "std", "-display", hardware.window or "none"]
    return ["-machine", "pc,graphics=off", "-display", "none"]


def _storage(hardware: Hardware) -> list[str]:
    medium_index, disk_index = (0, 1) if hardware.first == "medium" else (len(hardware.disks), 0)
    command = []
    for number, disk in enumerate(hardware.disks):
        # A serial number by which a seed can select the disk; `unsafe` because the image outlives no power cut of ours:
        # SIGKILL of QEMU leaves what it has written in the page cache of this host.
        drive = f"file={_escaped(disk)},if=none,id=disk{number},format=qcow2,cache=unsafe,discard=unmap"
        device = f"virtio-blk-pci,drive=disk{number},serial=DISK{number},bootindex={disk_index + number}"
        command += ["-drive", drive, "-device", device]
    if hardware.medium == "usb" or hardware.seed:
        command += ["-device", "qemu-xhci"]
    if hardware.iso and hardware.medium == "cd":
        command += ["-drive", f"file={_escaped(hardware.iso)},if=none,id=medium,media=cdrom,readonly=on"]
        command += ["-device", f"ide-cd,drive=medium,bootindex={medium_index}"]
    elif hardware.iso:
        command += ["-drive", f"file={_escaped(hardware.iso)},if=none,id=medium,format=raw,snapshot=on"]
        command += ["-device", f"usb-storage,drive=medium,serial=MEDIUM,bootindex={medium_index}"]
    if hardware.seed:
        command += ["-drive", f"file={_escaped(hardware.seed)},if=none,id=seed,format=raw,snapshot=on"]
        command += ["-device", "usb-storage,drive=seed,serial=SEED"]
    return command


def _network(hardware: Hardware) -> list[str]:
    forwards = "".join(
        f",hostfwd=tcp:{hardware.address}:{host}-:{guest}" for host, guest in sorted(hardware.ports.items())
    )
    return ["-netdev", f"user,id=net,restrict=on{forwards}", "-device", "virtio-net-pci,netdev=net,romfile="]


def _escaped(path: Path) -> str:
    """QEMU's option syntax writes a comma in a file name twice."""
    return str(path).replace(",", ",,")
