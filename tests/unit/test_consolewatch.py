"""Lines of a console → phases, targets and verdicts. The lines are as real machines print them."""

from __future__ import annotations

import pytest

from builder.console import Line, LineAssembler
from builder.consolewatch import Watch

GOOD_INSTALL = """\
  0.21 SeaBIOS (version 1.16.2-debian-1.16.2-1)
  0.44 Booting from DVD/CD...
  0.93 GNU GRUB  version 2.12-9
  6.02   Booting `Install asrbox 0.1.0'
 31.40 asrbox-install: phase 1/9 answers
 33.10 asrbox-install: phase 5/9 unpack
 40.00 asrbox-install: phase 5/9 unpack 45%
 55.70 asrbox-install: phase 9/9 finish
 58.00 asrbox-install: done
 59.10 [   57.439715] reboot: Restarting system
"""

GOOD_BOOT = """\
  5.12 BdsDxe: loading Boot0001 "UEFI Misc Device" from PciRoot(0x0)/Pci(0x5,0x0)
  5.15 Welcome to GRUB!
  6.80 [    0.000000] Linux version 6.12.57+deb13-amd64 (debian-kernel@lists.debian.org)
  9.31 [    2.104418] dracut-cmdline[148]: Using kernel command line parameters
 14.50 Welcome to Debian GNU/Linux 13 (trixie)!
 30.00 asrbox-agent: phase first-boot 1/12 setting Incus up
 44.00 asrbox-agent: phase first-boot 2/12 import the image of auth
 80.00 asrbox-agent: ready in 52.3 s
"""


def watched(text: str, watch: Watch | None = None) -> Watch:
    """A watch that has heard `text`, lines of "<seconds> <what the console said>"."""
    watch = watch or Watch()
    for line in text.splitlines():
        seconds, _, said = line.strip().partition(" ")
        watch.feed(Line(float(seconds), said))
    return watch


def test_an_installation_has_phases_with_times() -> None:
    watch = watched(GOOD_INSTALL)
    assert [(phase.name, phase.seconds) for phase in watch.phases] == [
        ("firmware", 0.21),
        ("GRUB", 0.93),
        ("install 1/9 answers", 31.40),
        ("install 5/9 unpack", 33.10),
        ("install 9/9 finish", 55.70),
    ]
    assert watch.reached == {"installed": 58.0}
    assert watch.failure is None
    assert watch.clues == []


def test_a_first_boot_has_phases_with_times() -> None:
    watch = watched(GOOD_BOOT)
    names = [phase.name for phase in watch.phases]
    assert names == ["firmware", "GRUB", "kernel", "initrd", "system", "agent: first-boot"]
    assert watch.reached == {"ready": 80.0}


def test_progress_inside_a_phase_is_an_event_but_no_new_phase() -> None:
    watch = watched("33 asrbox-install: phase 5/9 unpack")
    events = watch.feed(Line(40.0, "asrbox-install: phase 5/9 unpack 45%"))
    assert [(event.kind, event.text) for event in events] == [("progress", "unpack 45%")]


def test_messages_of_the_kernel_that_come_late_do_not_bring_its_phase_back() -> None:
    watch = watched("1 Linux version 6.12.57\n9 Welcome to Debian GNU/Linux 13 (trixie)!\n12 [    0.900000] late\n")
    assert [phase.name for phase in watch.phases] == ["kernel", "system"]


def test_the_journal_puts_its_own_name_before_a_line() -> None:
    watch = watched("44 [   38.123456] asrbox-agent[412]: asrbox-agent: ready in 31.0 s")
    assert watch.reached == {"ready": 44.0}


def test_a_login_prompt_has_no_end_of_line() -> None:
    watch = Watch()
    watch.feed(Line(20.0, "asrbox login:", complete=False))
    assert watch.reached == {"login": 20.0}


def test_a_login_prompt_is_one_with_the_words_of_another_behind_it() -> None:
    assert watched("20 box login: asrbox-agent: phase converging 0/2 setting Incus up").reached == {"login": 20.0}


def test_last_login_is_not_the_prompt() -> None:
    assert watched("20 Last login: Sun Nov 22 23:00:00 UTC 2026 on ttyS0").reached == {}


# Deadly signs: the console so far → kind and sentence of the verdict.
DEADLY = {
    "a kernel without its initrd": (
        "7 [    1.9] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"
        "7 [    1.9] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0) ]---",
        ("panic", "the kernel panicked: VFS: Unable to mount root fs on unknown-block(0,0)"),
    ),
    "an empty disk under SeaBIOS": (
        "0.2 SeaBIOS (version 1.16.2)\n0.6 Booting from Hard Disk...\n"
        "0.6 Boot failed: not a bootable disk\n3.0 No bootable device.",
        ("not-bootable", "the firmware found nothing that it can boot"),
    ),
    "an empty disk under OVMF": (
        "9 BdsDxe: No bootable option or device was found.",
        ("not-bootable", "the firmware found nothing that it can boot"),
    ),
    "the shell of the firmware": (
        "9 UEFI Interactive Shell v2.2",
        (
            "efi-shell",
            "the firmware ended in its own shell: no medium and no disk has an EFI boot loader it can start",
        ),
    ),
    "GRUB without its medium": (
        "1 error: no such device: ASRBOX_0_1_0.\n1 Entering rescue mode...\n1.4 grub rescue>",
        (
            "grub-prompt",
            "GRUB stopped at its prompt `grub rescue>`: it has no menu to show "
            "(GRUB said: no such device: ASRBOX_0_1_0)",
        ),
    ),
    "the live root that never came": (
        "190 [  184.1] dracut-initqueue[301]: Warning: /dev/disk/by-label/ASRBOX_0_1_0 does not exist\n"
        '190 Generating "/run/initramfs/rdsosreport.txt"',
        (
            "initrd-shell",
            "the initrd gave up before it had a root file system "
            "(the initrd waited in vain for /dev/disk/by-label/ASRBOX_0_1_0)",
        ),
    ),
    "emergency mode": (
        "60 You are in emergency mode. After logging in, type \"journalctl -xb\" to view system logs.",
        (
            "emergency",
            "systemd stopped in emergency mode: a file system of fstab or a unit the boot needs is missing",
        ),
    ),
    "the installer refuses": (
        "33 asrbox-install: FAILED: no disk was found connect a disk",
        ("installer", "the installer stopped: no disk was found connect a disk"),
    ),
    "the installer meets a full disk and says so itself": (
        "40 asrbox-install: FAILED: unsquashfs: write failed because No space left on device",
        ("installer", "the installer stopped: unsquashfs: write failed because No space left on device"),
    ),
    "the agent tries and tries": (
        "70 asrbox-agent: FAILED: the container service did not start\n" * 4,
        ("agent", "the first boot stopped: the container service did not start"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("console", DEADLY)
def test_a_deadly_sign_is_the_verdict(console: str) -> None:
    said, expected = DEADLY[console]
    watch = watched(said)
    assert watch.failure is not None
    assert (watch.failure.kind, watch.failure.sentence) == expected
    assert watch.failure.remedy


# Clues: no verdict by themselves, but the reason when the target is not reached.
CLUES = {
    "70 asrbox-agent: FAILED: the container service did not start": "the first boot stopped: the container service "
    "did not start",
    "40 unsquashfs: failed to write: No space left on device": "a file system is full (unsquashfs said so)",
    "50 [   44.0] Out of memory: Killed process 812 (firebird) total-vm:1G": "the machine ran out of memory and the "
    "kernel ended firebird",
    "20 [   14.0] SQUASHFS error: Unable to read page, block 2c1, size 1f40": "the squashfs cannot be read: Unable "
    "to read page, block 2c1, size 1f40",
    "20 [   14.0] I/O error, dev sr0, sector 1200 op 0x0": "the device sr0 does not read or write",
    "20 [   14.0] EXT4-fs error (device dm-0): ext4_find_entry:1455: inode #2": "a file system is damaged: "
    "ext4_find_entry:1455: inode #2",
    "31 [FAILED] Failed to start asrbox-agent.service - Agent of asrbox.": "the unit asrbox-agent.service failed",
    "31 The following problem occurred on line 12 of the kickstart file:": "the kickstart has a mistake on line 12",
    "31 [   14.0] gunicorn[431]: segfault at 0 ip 00007f": "the program gunicorn crashed",
}


@pytest.mark.parametrize("said", CLUES)
def test_a_clue_explains_why_a_target_was_not_reached(said: str) -> None:
    watch = watched(said)
    assert watch.failure is None
    assert watch.too_late("ready", 300).sentence == (
        f"{CLUES[said]}; `ready` was not reached within 300 s (phase: before the firmware)"
    )


@pytest.mark.parametrize(
    "harmless",
    [
        "5 error: no suitable video mode found.",
        "9 [FAILED] Failed to start apt-daily.service - Daily apt download activities.",
        "9 [    4.0] blk_update_request: I/O error, dev fd0, sector 0",
        "9 Booting from Hard Disk...",
        "9 Boot failed: not a bootable disk",
    ],
)
def test_noise_is_not_a_clue(harmless: str) -> None:
    watch = watched(harmless)
    assert (watch.failure, watch.clues) == (None, [])


def test_a_traceback_is_told_by_its_last_line() -> None:
    watch = watched(
        "31 [   25.0] asrbox-agent[400]: Traceback (most recent call last):\n"
        '31 [   25.0] asrbox-agent[400]:   File "/opt/asrbox/lib/python3.13/x.py", line 3, in <module>\n'
        "31 [   25.0] asrbox-agent[400]:     import pylxd\n"
        "31 [   25.0] asrbox-agent[400]: ModuleNotFoundError: No module named 'pylxd'\n"
    )
    assert [clue.sentence for clue in watch.clues] == [
        "a Python program failed: ModuleNotFoundError: No module named 'pylxd'"
    ]


def test_silence_names_the_last_words_and_the_phase() -> None:
    watch = watched("0.2 SeaBIOS (version 1.16.2)\n0.9 GNU GRUB  version 2.12-9")
    assert watch.silence(120).sentence == (
        "the console said nothing after `GNU GRUB  version 2.12-9` for 120 s (phase: GRUB)"
    )


def test_going_off_early_is_a_failure_with_the_last_words() -> None:
    watch = watched("0.2 SeaBIOS (version 1.16.2)\n9 reboot: Power down")
    assert watch.ended("ready").sentence == (
        "the machine went off before `ready` was reached; the last it said: `reboot: Power down` (phase: firmware)"
    )


def test_the_same_clue_is_told_once() -> None:
    line = "20 [   14.0] I/O error, dev sr0, sector 1200 op 0x0"
    assert len(watched(f"{line}\n{line}").clues) == 1


def texts(*chunks: bytes) -> list[str]:
    assembler = LineAssembler()
    return [line.text for chunk in chunks for line in assembler.feed(1.0, chunk)]


def test_paint_and_line_ends_are_taken_off() -> None:
    assert texts(b"\x1b[0;1;31m[FAILED]\x1b[0m Failed\r\nnext\n") == ["[FAILED] Failed", "next"]


def test_a_sequence_and_a_line_end_may_be_cut_in_the_middle() -> None:
    assert texts(b"one\r", b"\n\x1b[", b"0mtwo\n") == ["one", "two"]


def test_progress_printed_over_itself_is_several_lines() -> None:
    assert texts(b"phase 10%\rphase 20%\rphase 30%\n") == ["phase 10%", "phase 20%", "phase 30%"]


def test_a_cursor_that_jumps_begins_another_line() -> None:
    assert texts(b"GNU GRUB\x1b[4;2HInstall\n") == ["GNU GRUB", "Install"]


def test_the_frame_of_a_menu_is_no_line() -> None:
    assert texts(b"\x1b[3;1H+-----+\x1b[4;1H|\x1b[4;9H|\x1b[5;1HGNU GRUB\n") == ["GNU GRUB"]


def test_a_letter_of_two_bytes_may_be_cut() -> None:
    word = "готово\n".encode()
    assert texts(word[:3], word[3:]) == ["готово"]


def test_a_prompt_is_told_once_until_more_comes() -> None:
    assembler = LineAssembler()
    assembler.feed(1.0, b"\nasrbox login: ")
    assert assembler.prompt(2.0) == Line(2.0, "asrbox login:", complete=False)
    assert assembler.prompt(3.0) is None
    assert [line.text for line in assembler.feed(4.0, b"admin\r\n")] == ["asrbox login: admin"]
