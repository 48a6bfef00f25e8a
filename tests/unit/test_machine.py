"""The machine of `asrbox boot`: the command line of QEMU, the probe of KVM, the disk and stick files, the verdicts.

A small program plays QEMU where a process is needed; the real one is used in tests/machine.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from builder import machine as machines
from builder import qemu_accel, qemu_boot
from builder.errors import AsrboxError
from builder.machine import Machine, MachineFailed, new_disk, seed_stick
from builder.qemu_hardware import Hardware, arguments

QMP = Path("/run/qmp")


def options(hardware: Hardware, name: str) -> list[str]:
    """The values of every option `name` on the command line of QEMU."""
    command = arguments(hardware, qmp=QMP, variables=Path("vars.fd") if hardware.firmware == "uefi" else None)
    return [value for key, value in zip(command, command[1:], strict=False) if key == name]


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# ── the command line ──


def test_a_plain_machine_is_exactly_this_command_line() -> None:
    assert arguments(Hardware(disks=(Path("d.qcow2"),)), qmp=QMP) == [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config",
        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
        "-qmp", "unix:/run/qmp,server=on,wait=off", "-device", "virtio-rng-pci",
        "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "qemu64", "-m", "3072", "-smp", "2",
        "-machine", "pc,graphics=off", "-display", "none", "-no-reboot",
        "-drive", "file=d.qcow2,if=none,id=disk0,format=qcow2,cache=unsafe,discard=unmap",
        "-device", "virtio-blk-pci,drive=disk0,serial=DISK0,bootindex=0",
        "-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net,romfile=",
    ]  # fmt: skip


def test_a_cd_is_an_ide_drive_and_boots_before_the_disk_when_it_is_first() -> None:
    hardware = Hardware(medium="cd", iso=Path("a.iso"), disks=(Path("d.qcow2"),), first="medium")
    assert "ide-cd,drive=medium,bootindex=0" in options(hardware, "-device")
    assert "virtio-blk-pci,drive=disk0,serial=DISK0,bootindex=1" in options(hardware, "-device")


def test_with_the_disk_first_the_cd_may_stay_in_the_drive() -> None:
    hardware = Hardware(medium="cd", iso=Path("a.iso"), disks=(Path("d.qcow2"), Path("e.qcow2")), first="disk")
    devices = options(hardware, "-device")
    assert "virtio-blk-pci,drive=disk0,serial=DISK0,bootindex=0" in devices
    assert "virtio-blk-pci,drive=disk1,serial=DISK1,bootindex=1" in devices
    assert "ide-cd,drive=medium,bootindex=2" in devices


def test_sticks_can_be_written_to_but_keep_nothing() -> None:
    hardware = Hardware(medium="usb", iso=Path("a.iso"), seed=Path("s.img"), first="medium")
    assert options(hardware, "-drive") == [
        "file=a.iso,if=none,id=medium,format=raw,snapshot=on",
        "file=s.img,if=none,id=seed,format=raw,snapshot=on",
    ]
    assert options(hardware, "-device")[1:4] == [
        "qemu-xhci",
        "usb-storage,drive=medium,serial=MEDIUM,bootindex=0",
        "usb-storage,drive=seed,serial=SEED",
    ]


def test_ports_are_forwarded_and_everything_else_is_shut() -> None:
    hardware = Hardware(ports={18443: 443, 18441: 8441})
    assert options(hardware, "-netdev") == [
        "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:18441-:8441,hostfwd=tcp:127.0.0.1:18443-:443"
    ]


def test_uefi_gets_firmware_and_variables_of_its_own() -> None:
    pflash = options(Hardware(firmware="uefi"), "-drive")
    assert pflash == [
        "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
        "if=pflash,format=raw,unit=1,file=vars.fd",
    ]


def test_a_window_brings_a_screen() -> None:
    assert options(Hardware(window="gtk"), "-display") == ["gtk"]
    assert options(Hardware(screen=True), "-vga") == ["std"]


def test_kvm_uses_the_cpu_of_the_host() -> None:
    assert options(Hardware(accel="kvm"), "-accel") == ["kvm"]
    assert options(Hardware(accel="kvm"), "-cpu") == ["host"]


def test_a_comma_in_a_file_name_is_no_option() -> None:
    assert options(Hardware(disks=(Path("a,b.qcow2"),)), "-drive")[0].startswith("file=a,,b.qcow2,if=none")


def test_a_medium_needs_an_iso() -> None:
    with pytest.raises(ValueError, match="a medium needs an ISO"):
        Hardware(medium="cd")


# ── KVM is believed only after a boot ──


def test_without_the_device_kvm_is_refused(tmp_path: Path) -> None:
    assert qemu_accel.refused(None, device=tmp_path / "kvm") == f"{tmp_path}/kvm does not exist"


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the probe with a program in the place of QEMU, and a kernel that needs no ISO."""

    def run_probe(script: str, limit: float = 5.0) -> str | None:
        monkeypatch.setattr(qemu_accel, "PROBE_LIMIT", limit)
        monkeypatch.setattr(qemu_accel, "run", lambda command, **_: Path(command[-1]).write_bytes(b"kernel"))
        device = tmp_path / "kvm"
        device.touch()
        qemu = program(tmp_path / "qemu", script)
        return qemu_accel.refused(tmp_path / "a.iso", device=device, qemu=str(qemu))

    return run_probe


def test_a_kernel_that_looks_for_its_root_has_really_booted(probe) -> None:
    assert probe("echo 'Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)'") is None


def test_a_kvm_that_aborts_is_refused_with_its_words(probe) -> None:
    refusal = probe("echo 'error: failed to set MSR 0x10a to 0x0' >&2; kill -ABRT $$")
    assert refusal == (
        "/dev/kvm exists, but QEMU ended with signal 6 when a kernel was booted on it "
        "(it printed: error: failed to set MSR 0x10a to 0x0)"
    )


def test_a_kvm_on_which_the_kernel_is_silent_is_refused(probe) -> None:
    assert probe("exec sleep 30", limit=0.3) == (
        "/dev/kvm exists, but a kernel did not boot on it within 0 s (it printed: not a word)"
    )


def test_who_asks_for_kvm_is_told_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_accel, "refused", lambda iso: "/dev/kvm does not exist")
    assert qemu_accel.choose("auto", None) == "tcg"
    with pytest.raises(AsrboxError, match="KVM cannot be used: /dev/kvm does not exist"):
        qemu_accel.choose("kvm", None)


# ── a running process ──


@pytest.fixture
def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a shell script in the place of QEMU and gives a Machine that runs it."""

    def make(script: str) -> Machine:
        (tmp_path / "bin").mkdir()
        program(tmp_path / "bin" / "qemu-system-x86_64", script)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        return Machine(Hardware(), tmp_path / "logs")

    return make


def test_every_line_is_kept_with_its_time(qemu) -> None:
    with qemu("echo 'SeaBIOS (version 1)'; sleep 0.3; echo 'asrbox-install: done'") as machine:
        machine.wait_until("installed", 10)
        machine.wait_off(10)
    first, second = machine.console.read_text().splitlines()
    assert first.split(maxsplit=1)[1] == "SeaBIOS (version 1)"
    assert second.split(maxsplit=1)[1] == "asrbox-install: done"
    assert float(second.split()[0]) - float(first.split()[0]) >= 0.25


def test_a_prompt_without_an_end_of_line_is_heard_and_answered(qemu) -> None:
    with qemu("printf 'box login: '; read name; echo \"hello $name.\"; sleep 60") as machine:
        machine.wait_until("login", 10)
        machine.type("admin\n", enter=False)
        assert machine.wait_for(r"hello (\w+)\.", 10)[1] == "admin"


def test_a_log_in_succeeds_while_the_agent_writes_behind_each_prompt(qemu) -> None:
    others = "asrbox-agent: phase first-boot 0/2 making secrets"
    script = (
        f"echo 'box login: {others}'; read none; printf 'box login: '; read name; "
        f"printf '\\nPassword: {others}\\n'; read word; "
        f'echo "Last login: Mon"; echo "$name@box:~\\$ {others}"; export name word; exec sh'
    )
    with qemu(script) as machine:
        machine.type = lambda text, enter=True: Machine.type(machine, text + "\n", enter=False)
        machine.wait_until("login", 10)
        machine.log_in("admin", "word", 10)
        assert machine.command("echo $name $word", 10) == "admin word"


def test_a_command_gives_its_output_and_its_failure(qemu) -> None:
    with qemu("exec sh") as machine:
        machine.type("\n", enter=False)
        machine.type = lambda text, enter=True: Machine.type(machine, text + "\n", enter=False)
        assert machine.command("echo one; echo two", 10) == "one\ntwo"
        with pytest.raises(AsrboxError, match=r"`ls /no/such` failed in the machine with exit code 2"):
            machine.command("ls /no/such", 10)


def test_a_power_cut_is_sigkill_of_that_process(qemu) -> None:
    with qemu("trap '' TERM; echo on; while :; do sleep 0.1; done") as machine:
        machine.wait_for("^on$", 10)
        pid = machine.pid
        machine.power_cut()
        assert not machine.running
        assert machine._process.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_panic_ends_the_waiting_at_once_with_the_verdict(qemu) -> None:
    with (
        qemu("echo '[ 1.9] Kernel panic - not syncing: Attempted to kill init!'; sleep 60") as machine,
        pytest.raises(MachineFailed, match="the kernel panicked: Attempted to kill init!") as failed,
    ):
        machine.wait_until("ready", 30)
    assert failed.value.failure.kind == "panic"
    assert str(machine.console) in str(failed.value)


INT3 = "echo '[    5.1] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI'; echo '[    5.1] Kernel panic - not syncing: Fatal'"


TIMER = 'echo "[    0.0] Kernel panic - not syncing: IO-APIC + timer doesn\'t work!  Boot with apic=debug"'


@pytest.mark.parametrize(("fault", "said"), [(INT3, "Oops: int3"), (TIMER, "IO-APIC + timer")])
def test_a_fault_of_the_emulator_before_the_first_program_starts_the_machine_again(
    qemu, tmp_path: Path, fault: str, said: str
) -> None:
    once = tmp_path / "once"
    script = f"[ -e {once} ] && {{ echo 'box login:'; sleep 60; }}; touch {once}; {fault}; sleep 60"
    with qemu(script) as machine:
        machine.wait_until("login", 30)
        assert machine.watch.failure is None
    assert said in machine.console.read_text()


@pytest.mark.parametrize("oops", ["int3", "double fault"])
def test_a_race_of_the_emulator_in_a_running_system_is_the_verdict(qemu, oops: str) -> None:
    with (
        qemu(f"echo 'Welcome to asrbox!'; {INT3.replace('int3', oops)}; sleep 60") as machine,
        pytest.raises(MachineFailed, match="the emulator tripped over") as failed,
    ):
        machine.wait_until("login", 30)
    assert failed.value.failure.kind == "emulator"


def test_an_emulator_that_always_fails_is_given_up(qemu) -> None:
    with qemu(f"{INT3}; sleep 60") as machine, pytest.raises(MachineFailed, match="the emulator tripped over"):
        machine.wait_until("login", 30)


def test_what_qemu_itself_says_is_in_the_verdict(qemu) -> None:
    with (
        qemu("echo 'Could not set up host forwarding rule' >&2; exit 1") as machine,
        pytest.raises(MachineFailed, match="the last it said: `Could not set up host forwarding rule`"),
    ):
        machine.wait_until("ready", 30)


def test_a_silent_machine_is_given_up(qemu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "SILENCE_LIMIT", 1.0)
    with qemu("echo last words; sleep 60") as machine, pytest.raises(MachineFailed, match="said nothing after `last w"):
        machine.wait_until("ready", 30)


def test_cpu_seconds_are_those_of_the_process(qemu) -> None:
    with qemu("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo busy; sleep 60") as machine:
        machine.wait_for("busy", 30)
        assert 0 < machine.cpu_seconds() <= machine.seconds + 0.1


# ── files ──


def test_a_seed_stick_is_a_vfat_labelled_asrbox(tmp_path: Path) -> None:
    stick = seed_stick(tmp_path / "seed.img", 'hostname = "box"\n')
    label = subprocess.run(["mlabel", "-s", "-i", stick, "::"], capture_output=True, text=True, check=True).stdout
    assert "ASRBOX" in label
    read = subprocess.run(["mtype", "-i", stick, "::/seed.toml"], capture_output=True, text=True, check=True).stdout
    assert read == 'hostname = "box"\n'


def test_an_overlay_leaves_the_disk_below_untouched(tmp_path: Path) -> None:
    below = new_disk(tmp_path / "below.qcow2", 1 << 30)
    before = below.read_bytes()
    overlay = new_disk(tmp_path / "over.qcow2", 1 << 30, backing=below)
    subprocess.run(["qemu-io", "-c", "write 0 64k", overlay], check=True, capture_output=True)
    assert below.read_bytes() == before


# ── asrbox boot ──


def test_an_iso_that_is_not_there_is_told_before_any_machine(tmp_path: Path) -> None:
    with pytest.raises(AsrboxError, match=r"the file .*/none\.iso does not exist"):
        qemu_boot.boot(iso=tmp_path / "none.iso", install=True)


def test_nothing_to_boot_is_said() -> None:
    with pytest.raises(AsrboxError, match="nothing to boot"):
        qemu_boot.boot()


def test_a_window_needs_a_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    (tmp_path / "a.iso").touch()
    with pytest.raises(AsrboxError, match="there is no screen to open a window on"):
        qemu_boot.boot(iso=tmp_path / "a.iso", window=True)
