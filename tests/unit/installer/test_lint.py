"""What is wrong with a kickstart beyond its syntax: each mistake with its line and a remedy."""

from __future__ import annotations

import pytest

from appliances.base.installer.lint import lint

GOOD = """\
lang ru_RU.UTF-8
timezone Europe/Moscow --utc
rootpw --lock
zerombr
clearpart --all --drives=vda
part biosboot --fstype=biosboot --size=1 --ondisk=vda
part pv.1 --size=1 --grow --ondisk=vda
volgroup vg pv.1
logvol / --vgname=vg --name=root --size=2048 --fstype=ext4
liveimg --url=file:///run/install/repo/LiveOS/squashfs.img
reboot
%post --interpreter=/bin/bash
cp /run/install/repo/asrbox/images.json /tmp
%end
"""
MEDIUM = {"LiveOS/squashfs.img", "asrbox/images.json"}


def found(text: str) -> list[str]:
    return [str(problem) for problem in lint(text, medium=MEDIUM, disk_size=8 * 2**30)]


def test_a_good_one_has_no_mistake() -> None:
    assert found(GOOD) == []


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("Europe/Moscow", "Europe/Moskau", "line 2, timezone: there is no time zone 'Europe/Moskau'"),
        ("lang ru_RU.UTF-8", "lang russian", "line 1, lang: 'russian' is not the name of a locale"),
        ("zerombr", "rootpw --lock", "line 4, rootpw: rootpw is given twice: first on line 3"),
        ("zerombr", "poweroff", "line 11, reboot: reboot is given twice: first on line 4"),
        ("zerombr", "url --url=http://192.0.2.1/", "line 4, url: url contradicts liveimg"),
        ("zerombr", "autopart", "autopart"),
        ("zerombr", "zerobmr", "line 4, zerobmr: RHEL9 does not accept this"),
        ("--size=2048", "--size=-1", "line 9, logvol: / has the size -1 MiB"),
        ("--size=2048", "--size=9000", "line 9, logvol: all sizes together are 9001 MiB, but the smallest disk"),
        ("--fstype=ext4", "--fstype=ext5", "line 9, logvol: 'ext5' is no file system known here"),
        ("logvol /", "logvol /srv", "nothing is mounted at /"),
        ("--vgname=vg", "--vgname=gv", "line 9, logvol: no volgroup makes the group 'gv'"),
        ("volgroup vg pv.1", "volgroup vg pv.2", "line 8, volgroup: no part makes pv.2"),
        ("--drives=vda", '--drives="first disk"', "line 5, clearpart: 'first disk' is not the name of a disk"),
        ("squashfs.img", "rootfs.img", "line 10, liveimg: LiveOS/rootfs.img is not on the medium"),
        ("images.json", "image.json", "line 13, cp: asrbox/image.json is not on the medium"),
        ("cp /run", "if cp /run", "line 14, script: shell syntax: syntax error: unexpected end of file"),
        ("--interpreter=/bin/bash", "--interpreter=/usr/bin/python3\nif:", "line 13, script: Python syntax"),
        ("--interpreter=/bin/bash", "--interpreter=/usr/bin/perl", "nobody can check a script for /usr/bin/perl"),
        ("%post ", "%packages\nvim\n%end\n%post ", "line 12, %packages: %packages has no effect with liveimg"),
        ("reboot\n", "reboot\nsshkey --username=me abc\n", "line 12, sshkey: sshkey is for 'me'"),
        ("reboot\n", "reboot\n%include /tmp/x.ks\n", "line 12, %include: /tmp/x.ks is included, but no %pre"),
    ],
)
def test_a_mistake_is_told_with_its_line(right: str, wrong: str, message: str) -> None:
    # given a good kickstart with one thing made wrong; then exactly that is told, and what to do
    assert right in GOOD
    said = found(GOOD.replace(right, wrong, 1))
    assert any(message in line and " — " in line for line in said), said


def test_all_mistakes_at_once() -> None:
    text = GOOD.replace("zerombr", "zerobmr").replace("lang ru", "langu ru")
    assert {line.split(",")[0] for line in found(text)} == {"line 1", "line 4"}


def test_a_mistake_in_an_included_file_names_that_file() -> None:
    # given an include that %pre writes, with a wrong line in it
    text = GOOD.replace("reboot\n", "%include /tmp/m.ks\n")
    problems = lint(text, files={"/tmp/m.ks": "reboot\n\ntimezone Mars/Base\n"})
    # then file and line are those of the included file
    assert [(item.file, item.line, item.key) for item in problems] == [("/tmp/m.ks", 3, "timezone")] * len(problems)
    assert len(problems) == 2  # twice, and unknown


def test_a_missing_line_end() -> None:
    assert any("the last line has no line end" in line for line in found(GOOD.rstrip("\n")))
