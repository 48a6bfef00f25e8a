"""The rendered kickstart: valid for Anaconda of EL 9 and 10, and for our own installer."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from appliances.base.installer.kstext import flatten
from builder import kickstart
from builder.errors import AsrboxError, ErrorList
from builder.resolve import Project
from tests.unit.installer.machine import DISTRIBUTION

MEDIUM = {"LiveOS/squashfs.img", "asrbox/images.squashfs", "asrbox/images.json", "asrbox/distribution.json"}


@pytest.mark.parametrize("family", ["debian", "el"])
@pytest.mark.parametrize("version", ["RHEL9", "RHEL10"])
def test_ksvalidator_accepts_it(family: str, version: str, tmp_path: Path) -> None:
    # given the rendered kickstart, as it is on the medium and with what %pre writes put in
    text = kickstart.render(DISTRIBUTION, family)
    whole = [flatten(text, files).text for files in kickstart.sample_includes(family, DISTRIBUTION)]
    # then pykickstart's own validator accepts each; the copies that it makes and forgets go into a folder of the test
    copies = tmp_path / "copies"
    copies.mkdir()
    for number, candidate in enumerate([text, *whole]):
        path = tmp_path / f"{number}.cfg"
        path.write_text(candidate)
        validator = Path(sys.executable).with_name("ksvalidator")
        done = subprocess.run(
            [validator, "-v", version, path],
            env={**os.environ, "TMPDIR": str(copies)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("family", ["debian", "el"])
def test_our_own_check_accepts_it_and_leaves_no_file(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kickstart.check(kickstart.render(DISTRIBUTION, family), MEDIUM, DISTRIBUTION, family=family)
    assert list(tmp_path.iterdir()) == []


def test_the_numbers_of_the_manifest_arrive() -> None:
    install = {**DISTRIBUTION["install"], "volume_group": "vg7", "root_size": 8 * 2**30, "pool": "tank"}
    text = kickstart.render({**DISTRIBUTION, "install": install}, "debian")
    assert "logvol / --vgname=vg7 --name=root --size=8192 --fstype=ext4" in text
    assert "logvol none --vgname=vg7 --name=tank --thinpool" in text


def test_a_file_that_is_not_on_the_medium_is_named_with_its_line() -> None:
    text = kickstart.render(DISTRIBUTION, "debian")
    line = 1 + next(at for at, item in enumerate(text.splitlines()) if "asrbox/images.squashfs" in item)
    with pytest.raises(ErrorList) as caught:
        kickstart.check(text, MEDIUM - {"asrbox/images.squashfs"}, DISTRIBUTION)
    (error,) = caught.value.errors
    assert str(error.where) == f"ks.cfg:{line}: /run/install/repo/asrbox/images.squashfs"
    assert error.message == "asrbox/images.squashfs is not on the medium"


def test_a_root_volume_larger_than_the_smallest_disk() -> None:
    big = {**DISTRIBUTION, "install": {**DISTRIBUTION["install"], "root_size": 20 * 2**30}}
    with pytest.raises(ErrorList, match="all sizes together are .* but the smallest disk allowed has 16384 MiB"):
        kickstart.check(kickstart.render(big, "debian"), MEDIUM, big)


def test_a_wrong_time_zone_of_the_distribution() -> None:
    wrong = {**DISTRIBUTION, "install": {**DISTRIBUTION["install"], "timezone": "Europe/Moskau"}}
    with pytest.raises(ErrorList, match="there is no time zone 'Europe/Moskau'"):
        kickstart.check(kickstart.render(wrong, "debian"), MEDIUM, wrong)


def test_anaconda_is_given_the_checksum_of_the_image_and_our_installer_is_not() -> None:
    line = "liveimg --url=file:///run/install/repo/LiveOS/squashfs.img"
    with_sum = kickstart.render(DISTRIBUTION, "el", image_sha256="0123456789abcdef" * 4)
    assert f"\n{line} --checksum={'0123456789abcdef' * 4}\n" in with_sum
    kickstart.check(with_sum, MEDIUM, DISTRIBUTION, family="el")
    assert f"\n{line}\n" in kickstart.render(DISTRIBUTION, "debian")


def test_a_checksum_that_is_none_is_named_with_its_line() -> None:
    text = kickstart.render(DISTRIBUTION, "el", image_sha256="abc")
    line = 1 + next(at for at, item in enumerate(text.splitlines()) if item.startswith("liveimg"))
    with pytest.raises(ErrorList, match=rf"ks\.cfg:{line}: liveimg: 'abc' is no SHA-256"):
        kickstart.check(text, MEDIUM, DISTRIBUTION, family="el")


@pytest.mark.parametrize(
    ("listed", "groups", "expected"),
    [
        (
            "/dev/vda disk\n/dev/vda1 part\n/dev/vda2 part\n/dev/mapper/old-root lvm\n",
            "  old\n  other\n",
            [
                "lsblk -lnpo NAME,TYPE /dev/vda",
                "pvs --noheadings -o vg_name /dev/vda1 /dev/vda2 /dev/vda",
                "vgchange --activate n old",
                "vgchange --activate n other",
                "wipefs --all --force /dev/vda1 /dev/vda2 /dev/vda",
            ],
        ),
        (
            "/dev/vda disk\n",
            "",
            [
                "lsblk -lnpo NAME,TYPE /dev/vda",
                "pvs --noheadings -o vg_name /dev/vda",
                "wipefs --all --force /dev/vda",
            ],
        ),
    ],
)
def test_what_an_earlier_system_left_is_wiped_from_the_chosen_disk_only(
    listed: str, groups: str, expected: list[str], tmp_path: Path
) -> None:
    # given programs that only note how they were called, and answer as on such a machine
    for name, answer in {"lsblk": listed, "pvs": groups, "vgchange": "", "wipefs": ""}.items():
        (tmp_path / f"{name}.answer").write_text(answer)
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/called\ncat {tmp_path}/{name}.answer\n')
        program.chmod(0o755)
    (tmp_path / "disk.ks").write_text("# Written by %pre\nignoredisk --only-use=vda\nclearpart --drives=vda\n")
    script = (kickstart.FOLDER / "snippets/forget-disk.sh").read_text()
    # when the part of %pre that is for Anaconda runs
    script = f"set -eu\n{script.replace('/tmp/asrbox/disk.ks', str(tmp_path / 'disk.ks'))}"  # noqa: S108
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(["bash", "-c", script], env=environment, check=True)
    # then
    assert (tmp_path / "called").read_text().splitlines() == expected


def test_an_unknown_family() -> None:
    with pytest.raises(AsrboxError, match="no kickstart for the family 'gentoo'"):
        kickstart.render(DISTRIBUTION, "gentoo")


def test_a_spoilt_template_is_named_with_its_line(project: Project) -> None:
    template = project.root / "kickstart/ks.cfg.j2"
    template.write_text("text\n{% if family %}\n{{ title }\n")
    with pytest.raises(AsrboxError, match=r"ks\.cfg\.j2:3: the template is not valid"):
        kickstart.render(DISTRIBUTION, "debian", template.parent)


def test_a_spoilt_section_is_named_with_its_line(project: Project) -> None:
    snippet = project.root / "kickstart/snippets/enable.sh"
    snippet.write_text("set -eu\nif true; then\n")
    with pytest.raises(ErrorList, match="shell syntax"):
        kickstart.check(kickstart.render(DISTRIBUTION, "debian", project.root / "kickstart"), MEDIUM, DISTRIBUTION)
