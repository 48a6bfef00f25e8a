"""Reads the console of a booting machine like an engineer would: which phase, how far, what went wrong and why.

Pure: lines with times go in, events come out. `machine.py` feeds it; two tables below hold all it knows.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from builder.console import Line

Target = Literal["installed", "ready", "login"]


@dataclass(frozen=True)
class Phase:
    """A part of the boot, and when it began (seconds since the start of the machine)."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Failure:
    """A recognised failure: its kind, one sentence that says what and why, what to do, and the line that told."""

    kind: str
    sentence: str
    remedy: str
    seconds: float
    line: str


@dataclass(frozen=True)
class Event:
    """Something worth showing: a new phase, progress inside it, a target reached, a clue or the failure itself."""

    kind: Literal["phase", "progress", "reached", "clue", "failure"]
    seconds: float
    text: str


@dataclass(frozen=True)
class Sign:
    """How a failure looks on the console. `sentence` is filled with the groups of `pattern`.

    Seen `deadly` times it ends the boot. Before that, or with 0, it is a clue: the machine may still get there, and if
    it does not, this is why.
    """

    kind: str
    pattern: re.Pattern[str]
    sentence: str
    remedy: str
    deadly: int = 0


# Where a boot is, in the order in which it happens; a later mark is never followed by an earlier one, except by the
# firmware of the next boot.
BOOT_MARKS = [
    ("firmware", re.compile(r"SeaBIOS \(version|^BdsDxe: |^UEFI firmware")),
    ("GRUB", re.compile(r"GNU GRUB|Welcome to GRUB|GRUB loading|Booting `")),
    ("kernel", re.compile(r"Linux version \d|^\[ +0\.\d+\]|EFI stub: ")),
    ("initrd", re.compile(r"\bdracut[-\w]*\[\d+\]|^dracut: |\(Initramfs\)!")),
    ("system", re.compile(r"^Welcome to (?!GRUB)(?!.*Initramfs)|Detected virtualization qemu")),
]
INSTALLER = re.compile(r"asrbox-install: phase (\d+)/(\d+) (\S+)(?: +(.*))?$")
AGENT = re.compile(r"asrbox-agent: phase (\S+) (\d+)/(\d+)(?: +(.*))?$")
LOGIN_PROMPT = r"^(?!Last )\S+ login:(?= |$)"
TARGETS: list[tuple[Target, re.Pattern[str]]] = [
    ("installed", re.compile(r"asrbox-install: done\b")),
    ("ready", re.compile(r"asrbox-agent: ready in [\d.]+ s")),
    ("login", re.compile(LOGIN_PROMPT)),
]

_ALL_MESSAGES = 'boot the entry "Install, with all messages" of the menu and read what comes before this'
_OUR_UNITS = r"(?:asrbox|incus|lxc|lvm|dm-event|systemd-(?:networkd|udevd|remount)|sysroot|local-fs|boot|var-|ssh\b)"
SIGNS = [
    Sign(
        # text_poke: the other processor meets the breakpoint that is already gone, or half of the new instruction;
        # multi-threaded TCG only
        "emulator", re.compile(r"Oops: (?:int3|double fault): "),
        "the emulator tripped over the guest's kernel patching itself",
        "this is a race in QEMU without KVM: start the machine again", deadly=1,
    ),
    Sign(
        # the processor of a busy host slept while the kernel counted ticks
        "emulator", re.compile(r"Kernel panic - not syncing: IO-APIC \+ timer doesn't work"),
        "the emulator did not let the timer tick while the kernel tried it",
        "this happens to QEMU without KVM on a busy host: start the machine again", deadly=1,
    ),
    Sign(
        "panic", re.compile(r"Kernel panic - not syncing: (.+?)(?: \]---)?$"), "the kernel panicked: {0}",
        "no root file system means that the initrd was not loaded or is damaged: run `asrbox verify` on the ISO; "
        f"otherwise {_ALL_MESSAGES}", deadly=1,
    ),
    Sign(
        "not-bootable", re.compile(r"No bootable device|No bootable option or device was found"),
        "the firmware found nothing that it can boot",
        "attach the ISO, or install the disk first; `asrbox verify` checks the boot records of the ISO", deadly=1,
    ),
    Sign(
        "efi-shell", re.compile(r"UEFI Interactive Shell|^Shell>"),
        "the firmware ended in its own shell: no medium and no disk has an EFI boot loader it can start",
        "attach the ISO, or install the disk first; on metal turn Secure Boot off", deadly=1,
    ),
    Sign(
        "grub", re.compile(r"^error: (?!no suitable video mode)(.+?)\.?$"), "GRUB said: {0}",
        "run `asrbox verify` on the ISO; a stick must be written as a whole, not file by file",
    ),
    Sign(
        "grub-prompt", re.compile(r"^(grub(?: rescue)?)>"), "GRUB stopped at its prompt `{0}>`: it has no menu to show",
        "run `asrbox verify` on the ISO; a stick must be written as a whole, not file by file", deadly=1,
    ),
    Sign(
        "live-root", re.compile(r"Warning: (\S+) does not exist"), "the initrd waited in vain for {0}",
        "the medium was taken away, or the kernel has no driver for what it is attached to",
    ),
    Sign(
        "initrd-shell",
        re.compile(r"Entering emergency mode|rdsosreport\.txt\"|^dracut:/#|Press Enter for maintenance.*initramfs"),
        "the initrd gave up before it had a root file system",
        f"the medium or the disk was not found: {_ALL_MESSAGES}", deadly=1,
    ),
    Sign(
        "emergency", re.compile(r"You are in emergency mode"),
        "systemd stopped in emergency mode: a file system of fstab or a unit the boot needs is missing",
        "log in as root and run `journalctl -xb -p err`", deadly=1,
    ),
    Sign(
        "installer", re.compile(r"asrbox-install: FAILED: (.+)$"), "the installer stopped: {0}",
        "the installer keeps a shell on the console; its log is /run/asrbox-install/install.log", deadly=1,
    ),
    Sign(
        "agent", re.compile(r"asrbox-agent: FAILED: (.+)$"), "the first boot stopped: {0}",
        "log in as the administrator and run `sudo asrctl check`", deadly=4,  # it tries again, at ever longer intervals
    ),
    Sign(
        "kickstart", re.compile(r"problem occurred on line (\d+) of the kickstart file"),
        "the kickstart has a mistake on line {0}", "run `asrbox check`: it reads the kickstart without a boot",
    ),
    Sign(
        "disk-full", re.compile(r"(?:(\S+): )?.*No space left on device"), "a file system is full ({0} said so)",
        "give the machine a larger disk, or more memory where the live system is full",
    ),
    Sign(
        "memory", re.compile(r"Out of memory: Killed process \d+ \(([^)]+)\)"),
        "the machine ran out of memory and the kernel ended {0}", "give the machine more memory: --memory",
    ),
    Sign(
        "medium", re.compile(r"SQUASHFS error: (.+)$"), "the squashfs cannot be read: {0}",
        "the medium is damaged: run `asrbox verify` on the ISO and write the stick again",
    ),
    Sign(
        "io", re.compile(r"I/O error, dev (?!fd\d)(\w+)"), "the device {0} does not read or write",
        "look at the disk and its cable; for the medium write the stick again",
    ),
    Sign(
        "file-system", re.compile(r"(?:EXT4-fs|XFS|BTRFS)[^:]*error[^:]*: (.+)$"), "a file system is damaged: {0}",
        "check the disk, then install again",
    ),
    Sign(
        "unit", re.compile(rf"Failed to (?:start|mount|listen on) ({_OUR_UNITS}\S*)"), "the unit {0} failed",
        "log in as the administrator and run `systemctl status` on that unit",
    ),
    Sign(
        "crash", re.compile(r"(\S+)\[\d+\]: segfault at"), "the program {0} crashed",
        "with KVM off this may be the CPU model: try --cpu max",
    ),
]  # fmt: skip

_PREFIX = re.compile(r"^(?:<\d>)?(?:\[ *\d+\.\d+\] )?(?:[\w@.:-]+\[\d+\]: )?")
_TRACEBACK = "Traceback (most recent call last):"
_RANK = {name: rank for rank, (name, _) in enumerate(BOOT_MARKS)}


@dataclass
class Watch:
    """What is known of one run of a machine: phases, targets reached, clues, and the failure if there is one."""

    phases: list[Phase] = field(default_factory=list)
    reached: dict[Target, float] = field(default_factory=dict)
    clues: list[Failure] = field(default_factory=list)
    failure: Failure | None = None
    last: Line = field(default=Line(0.0, ""))
    _in_traceback: bool = False
    _seen: Counter[str] = field(default_factory=Counter)

    @property
    def runs_programs(self) -> bool:
        """Whether the kernel has handed over to the first program: from then on the guest may write to its disks."""
        return any(phase.name not in ("firmware", "GRUB", "kernel") for phase in self.phases)

    def feed(self, line: Line) -> list[Event]:
        """Take in one line; what it means, in order. A line may mean nothing."""
        self.last = line
        text = _PREFIX.sub("", line.text)
        events = [*self._progress(line, text), *self._traceback(line, text), *self._signs(line, text)]
        for target, pattern in TARGETS:
            if target not in self.reached and pattern.search(text):
                self.reached[target] = line.seconds
                events.append(Event("reached", line.seconds, target))
        return events

    def silence(self, seconds: float) -> Failure:
        """The verdict when nothing was heard for that many seconds."""
        last = f"after `{self.last.text}`" if self.last.text else "at all"
        return self._verdict("silence", f"the console said nothing {last} for {seconds:.0f} s")

    def too_late(self, target: str, limit: float) -> Failure:
        """The verdict when `target` was not reached within `limit` seconds."""
        return self._verdict("limit", f"`{target}` was not reached within {limit:.0f} s")

    def ended(self, target: str) -> Failure:
        """The verdict when the machine went off before `target` was reached."""
        last = f"; the last it said: `{self.last.text}`" if self.last.text else " without a word"
        return self._verdict("ended", f"the machine went off before `{target}` was reached{last}")

    def _verdict(self, kind: str, sentence: str) -> Failure:
        phase = self.phases[-1].name if self.phases else "before the firmware"
        if self.failure:
            return self.failure
        if self.clues:
            clue = self.clues[0]
            why = f"{clue.sentence}; {sentence} (phase: {phase})"
            return Failure(clue.kind, why, clue.remedy, clue.seconds, clue.line)
        return Failure(kind, f"{sentence} (phase: {phase})", _ALL_MESSAGES, self.last.seconds, self.last.text)

    def _enter(self, name: str, seconds: float) -> list[Event]:
        if self.phases and self.phases[-1].name == name:
            return []
        self.phases.append(Phase(name, seconds))
        return [Event("phase", seconds, name)]

    def _progress(self, line: Line, text: str) -> list[Event]:
        if found := INSTALLER.search(text):
            number, total, name, more = found.groups()
            entered = self._enter(f"install {number}/{total} {name}", line.seconds)
            return entered or [Event("progress", line.seconds, f"{name} {more or ''}".rstrip())]
        if found := AGENT.search(text):
            name, done, total, more = found.groups()
            progress = Event("progress", line.seconds, f"{done}/{total} {more or name}")
            return [*self._enter(f"agent: {name}", line.seconds), progress]
        for name, pattern in BOOT_MARKS:
            # the time stamp of the kernel is part of its marks
            if pattern.search(line.text) and (name == "firmware" or _RANK[name] > self._rank()):
                return self._enter(name, line.seconds)
        return []

    def _rank(self) -> int:
        return _RANK.get(self.phases[-1].name, len(BOOT_MARKS)) if self.phases else -1

    def _traceback(self, line: Line, text: str) -> list[Event]:
        if _TRACEBACK in text:
            self._in_traceback = True
        elif self._in_traceback and text and not text.startswith((" ", "\t")):
            self._in_traceback = False
            remedy = "this is a mistake of asrbox: please report it with the lines around it"
            clue = Failure("traceback", f"a Python program failed: {text}", remedy, line.seconds, text)
            return self._clue(clue)
        return []

    def _signs(self, line: Line, text: str) -> list[Event]:
        for sign in SIGNS:
            # what looks like a prefix of the journal may be the message of the kernel itself
            found = sign.pattern.search(text) or sign.pattern.search(line.text)
            if not found:
                continue
            groups = [group or "a program" for group in found.groups()]
            told = Failure(sign.kind, sign.sentence.format(*groups), sign.remedy, line.seconds, text)
            self._seen[sign.kind] += 1
            if not sign.deadly or self._seen[sign.kind] < sign.deadly:
                return self._clue(told)
            if self.failure is None:
                self.failure = self._with_cause(told)
                return [Event("failure", line.seconds, self.failure.sentence)]
            return []
        return []

    def _clue(self, clue: Failure) -> list[Event]:
        if any(known.sentence == clue.sentence for known in self.clues):
            return []
        self.clues.append(clue)
        return [Event("clue", clue.seconds, clue.sentence)]

    def _with_cause(self, told: Failure) -> Failure:
        """A failure that tells its own reason stays as it is; the silent kinds are explained by the clues before."""
        if told.kind in ("emulator", "panic", "installer", "agent") or not self.clues:
            return told
        reason = self.clues[-1]
        return Failure(told.kind, f"{told.sentence} ({reason.sentence})", reason.remedy, told.seconds, told.line)
