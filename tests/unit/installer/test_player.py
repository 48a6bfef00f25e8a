"""The player: a whole installation with a runner that only writes down what it was told, and all ways to fail."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from appliances.base.installer import __main__ as command
from appliances.base.installer import answers, media, player, progress
from appliances.base.installer.actions import RunScript, WriteFile
from appliances.base.installer.console import Console, Consoles
from appliances.base.installer.errors import InstallError
from appliances.base.installer.guard import Medium
from appliances.base.installer.kickstart import Script
from appliances.base.installer.player import Player
from appliances.base.installer.progress import PHASES, Log, Progress
from appliances.base.installer.runner import Runner
from appliances.base.installer.texts import texts
from tests.unit.installer.machine import DISTRIBUTION, SEED, blocks, disk

LSBLK = json.dumps({"blockdevices": [disk()]})
PVS = json.dumps({"report": [{"pv": []}]})
LISTING = "squashfs-root/boot/vmlinuz-6.12.9-amd64\nsquashfs-root/boot/initrd.img-6.12.9-amd64\n"


class Recorder(Runner):
    """Runs nothing; answers the questions that the installer asks programs."""

    def __init__(self, fail: str = "") -> None:
        super().__init__()
        self.told: list[str] = []
        self.fail = fail

    def run(self, argv: Sequence[str], *, stdin: str | None = None, timeout: float = 120) -> str:
        line = " ".join(argv)
        self.told.append(line)
        if self.fail and self.fail in line:
            raise InstallError(f"{argv[0]} failed with exit code 1", "read the lines above", ["device is busy"])
        answers = {"lsblk": LSBLK, "pvs": PVS, "unsquashfs -l": LISTING, "unsquashfs -s": "Number of inodes 10"}
        return next((answer for start, answer in answers.items() if line.startswith(start)), "")

    def run_with_progress(
        self, argv: Sequence[str], measure: Callable[[], float], tell: Callable[[int], None], *, timeout: float
    ) -> None:
        self.told.append(" ".join(argv))
        for percent in range(101):
            tell(percent)


@pytest.fixture
def serial() -> tuple[Consoles, Callable[[], str]]:
    """A serial console, and what was written to it."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    return Consoles([Console(reading, writing)]), lambda: os.read(reading, 100_000).decode()


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, files: dict[str, str]) -> Path:
    """A medium whose %pre and %post sections are small, and whose target and log are in a folder of the test."""
    target = tmp_path / "sysroot"
    (tmp_path / "medium/LiveOS").mkdir(parents=True)
    (tmp_path / "medium/LiveOS/squashfs.img").touch()
    head = text[: text.index("\n%pre ") + 1].replace("/tmp/asrbox/", f"{tmp_path}/")
    pre = "".join(f"cat > {tmp_path}/{Path(name).name} <<'X'\n{body}\nX\n" for name, body in files.items())
    post = f"%post --nochroot --erroronfail --log={target}/post.log\necho copied > {target}/copied\n%end\n"
    sections = f"%pre --erroronfail --log={tmp_path}/pre.log\n{pre}%end\n{post}"
    (tmp_path / "medium/ks.cfg").write_text(head + sections, encoding="utf-8")
    monkeypatch.setattr(player, "TARGET", str(target))
    monkeypatch.setattr("appliances.base.installer.plan.TARGET", str(target))
    monkeypatch.setattr(player, "LOG", tmp_path / "run/install.log")
    return target


def make(target: Path, runner: Runner, consoles: Consoles) -> Player:
    log = Log(target.parent / "run/install.log")
    runner.log = log
    return Player(runner, Progress(consoles, log, texts("en")), log)


def test_a_whole_installation(target: Path, serial: tuple[Consoles, Callable[[], str]]) -> None:
    # given a medium and an empty disk; when its kickstart is played
    consoles, seen = serial
    runner = Recorder()
    played = make(target, runner, consoles).play(target.parent / "medium/ks.cfg", title="asrbox 0.1.0")

    # then every phase was announced in order, with percent, in lines that a machine can read
    lines = seen().splitlines()
    assert all(line.startswith("asrbox-install: phase ") for line in lines)
    assert list(dict.fromkeys(line.split()[3] for line in lines)) == list(PHASES)
    assert f"asrbox-install: phase 5/{len(PHASES)} unpack 45%" in lines
    # and the commands came in the only order that works
    order = [
        "wipefs", "sfdisk", "pvcreate", "vgcreate", "lvcreate", "mkfs.ext4", "mount --types ext4",
        "unsquashfs -force", "mount --rbind", "useradd", "grub-install", "sync", "umount --recursive", "vgchange",
    ]  # fmt: skip
    first = [next(at for at, line in enumerate(runner.told) if name in line) for name in order]
    assert first == sorted(first)
    # and the target has its files, what %post did, and the log without any secret
    assert (target / "etc/hostname").read_text() == "billing1.example.net\n"
    assert (target / "copied").read_text() == "copied\n"
    log = (target / "var/log/asrbox-install.log").read_text()
    assert "sysroot/etc/fstab" in log
    assert log.endswith("asrbox-install: done, but for unmounting\n")
    assert "$6$saltsalt" not in log
    assert played.finish == "reboot"


def test_a_failing_command_is_one_sentence(target: Path, serial: tuple[Consoles, Callable[[], str]]) -> None:
    consoles, seen = serial
    installer = make(target, Recorder(fail="vgcreate"), consoles)
    with pytest.raises(InstallError) as caught:
        installer.play(target.parent / "medium/ks.cfg", title="asrbox")
    installer.progress.failed(caught.value)
    said = seen().splitlines()
    assert said[-2:] == [
        "device is busy",
        "asrbox-install: FAILED: vgcreate failed with exit code 1 — read the lines above",
    ]
    assert sum("FAILED" in line for line in said) == 1


def test_a_second_attempt_starts_by_unmounting(
    target: Path, serial: tuple[Consoles, Callable[[], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    consoles, _ = serial
    runner = Recorder()
    mounted = iter([True, True, False])
    monkeypatch.setattr(Path, "is_mount", lambda path: str(path) == str(target) and next(mounted))
    make(target, runner, consoles).play(target.parent / "medium/ks.cfg", title="asrbox")
    assert runner.told[:2] == [f"umount --recursive {target}"] * 2


def test_the_refusal_of_pre_is_told_in_its_own_words(target: Path, serial: tuple[Consoles, Callable[[], str]]) -> None:
    consoles, _ = serial
    path = target.parent / "medium/ks.cfg"
    refusal = "echo 'Disks seen:'; echo 'asrbox: no disk was found — connect a disk'; exit 1\n"
    path.write_text(
        path.read_text()
        .replace("%pre --erroronfail", "%pre --erroronfail ")
        .replace("pre.log\n", f"pre.log\n{refusal}", 1)
    )
    with pytest.raises(InstallError) as caught:
        make(target, Recorder(), consoles).play(path, title="asrbox")
    assert (caught.value.what, caught.value.remedy) == ("no disk was found", "connect a disk")
    assert caught.value.details == ("Disks seen:",)


def test_a_section_not_marked_fatal_may_fail(target: Path, serial: tuple[Consoles, Callable[[], str]]) -> None:
    consoles, _ = serial
    script = Script("post", "/bin/sh", "exit 3\n", "", in_target=False, fatal=False, line=7)
    installer = make(target, Recorder(), consoles)
    installer.do(RunScript(script, str(target)))
    assert "%post --nochroot (line 7 of ks.cfg) ended with code 3" in (target.parent / "run/install.log").read_text()


def test_a_link_in_the_target_is_replaced_not_followed(
    target: Path, serial: tuple[Consoles, Callable[[], str]]
) -> None:
    # given a link in the target that points out of it
    outside = target.parent / "outside"
    outside.write_text("mine\n")
    (target / "etc").mkdir(parents=True)
    (target / "etc/hostname").symlink_to(outside)
    # when the file is written
    make(target, Recorder(), serial[0]).do(WriteFile(f"{target}/etc/hostname", "srv\n", 0o600))
    # then what is outside is untouched
    assert outside.read_text() == "mine\n"
    assert (target / "etc/hostname").read_text() == "srv\n"
    assert (target / "etc/hostname").stat().st_mode & 0o777 == 0o600


def test_a_real_program_that_fails_is_quoted() -> None:
    with pytest.raises(InstallError) as caught:
        Runner().run(["ls", "/no/such/folder"])
    assert "ls failed with exit code 2: ls: cannot access '/no/such/folder'" in caught.value.what
    with pytest.raises(InstallError, match="the program no-such-program is not on the medium"):
        Runner().run(["no-such-program"])
    with pytest.raises(InstallError, match="sleep did not end within 0 seconds"):
        Runner().run(["sleep", "5"], timeout=0.1)


def test_unpacking_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliances.base.installer.runner.OUTPUT", tmp_path / "command.log")
    told: list[int] = []
    steps = iter([0.1, 0.5, 0.5, *[0.9] * 100])
    Runner().run_with_progress(["sleep", "1.8"], lambda: next(steps), told.append, timeout=30)
    assert told == [10, 50, 90, 100]
    with pytest.raises(InstallError, match="sh failed with exit code 4: broken"):
        Runner().run_with_progress(["sh", "-c", "echo broken; exit 4"], lambda: 0.0, told.append, timeout=30)


def test_the_earlier_allowed_disk_is_allowed_again() -> None:
    # given a disk that now holds what the first attempt left; then only the word accepted before lets it pass
    half_done = blocks(disk(pttype="gpt"))
    distribution = media.Distribution({"en": "asrbox"}, "0.1.0", "ASRBOX_0_1_0", 1, "Etc/UTC", "en_US.UTF-8", ("base",))
    arguments = ("seed.toml", SEED, distribution, half_done, Medium(None, "ASRBOX_0_1_0"))
    with pytest.raises(InstallError, match="holds data"):
        answers.from_seed(*arguments, accepted="")
    assert answers.from_seed(*arguments, accepted=half_done[0].word)[1] == half_done[0]


def test_images_are_compared_with_their_description(tmp_path: Path) -> None:
    (tmp_path / "images.squashfs").write_bytes(b"images")
    sha256 = "6d9f73fb5cb7ed2a5c1fa9ef6c0d4a4d5f9f3f4a4f1a3a6f8d4c7b6f3f1d0d0f"
    described = {"squashfs": "images.squashfs", "size": 6, "sha256": sha256, "images": []}
    (tmp_path / "images.json").write_text(json.dumps(described))
    with pytest.raises(InstallError, match=r"has the checksum .* instead of 6d9f73fb5cb7"):
        media.check_images(tmp_path)
    (tmp_path / "images.squashfs").write_bytes(b"ima")
    with pytest.raises(InstallError, match="has 3 bytes instead of 6 — the medium is damaged"):
        media.check_images(tmp_path)


def test_dry_run_shows_everything_and_changes_nothing(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a medium, an answer file, and a machine with one empty disk
    (tmp_path / "asrbox").mkdir()
    (tmp_path / "asrbox/distribution.json").write_text(json.dumps(DISTRIBUTION))
    (tmp_path / "ks.cfg").write_text(text)
    (tmp_path / "answers.toml").write_text(SEED)
    runner = Recorder()
    monkeypatch.setattr(command, "Runner", lambda: runner)
    monkeypatch.setenv("ASRBOX_ANSWERS", "")
    # when
    code = command.main(["--medium", str(tmp_path), "--answers", str(tmp_path / "answers.toml"), "--dry-run"])
    # then the plan is printed, the hash is not, and only questions were asked of programs
    said = capsys.readouterr().out
    assert code == 0
    assert "sfdisk --wipe always --wipe-partitions always /dev/vda" in said
    assert "$6$" not in said
    assert {line.split()[0] for line in runner.told} <= {"lsblk", "pvs", "unsquashfs", "findmnt"}


def test_all_phases_have_a_name_in_both_languages() -> None:
    for language in ("ru", "en"):
        assert {f"phase_{name}" for name in progress.PHASES} <= texts(language).keys()
