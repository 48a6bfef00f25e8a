"""What the player takes from a kickstart, and what it refuses instead of ignoring it."""

from __future__ import annotations

import pytest

from appliances.base.installer import kickstart
from appliances.base.installer.errors import InstallError
from appliances.base.installer.kickstart import Kickstart


def test_the_rendered_kickstart_is_understood(wanted: Kickstart) -> None:
    assert [(part.mountpoint, part.size, part.grow) for part in wanted.partitions] == [
        ("biosboot", 1, False),
        ("/boot/efi", 256, False),
        ("/boot", 1024, False),
        ("pv.1", 1, True),
    ]
    assert [(volume.name, volume.size, volume.thin_pool) for volume in wanted.volumes] == [
        ("root", 6144, False),
        ("containers", 1024, True),
    ]
    assert str(wanted.networks[0].address) == "192.0.2.10/24"
    assert wanted.users[0].groups == ("sudo",)
    assert wanted.image == "/run/install/repo/LiveOS/squashfs.img"
    assert [str(script) for script in wanted.scripts][0].startswith("%pre")
    assert [script.in_target for script in wanted.scripts] == [False, False, True]
    assert wanted.finish == "reboot"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("firewall --enabled", "this installer does not implement firewall"),
        ("autopart --type=lvm", "autopart"),
        ("logvol /srv --vgname=asrbox --name=srv --size=10 --fstype=ext4 --encrypted", "option 'encrypted' of logvol"),
        ("reboot --eject", "option 'eject' of reboot"),
        ("user --name=x --password=secret", "a password in clear text"),
        ("part /srv --size=10 --ondisk=vdb --fstype=ext4", "the partitions are not on exactly one disk"),
        ("logvol /srv --vgname=asrbox --name=srv --size=10 --grow --fstype=ext4", "only a thin pool can --grow here"),
        ("%onerror\ntrue\n%end", "only %pre and %post sections are played"),
        ("frobnicate", "does not accept this"),
    ],
)
def test_what_it_cannot_play_is_refused_with_its_line(
    line: str, message: str, text: str, files: dict[str, str]
) -> None:
    number = len(text.splitlines()) + 1
    with pytest.raises(InstallError) as caught:
        kickstart.read(text + line + "\n", files)
    said = "\n".join([str(caught.value), *caught.value.details])
    assert message in said
    assert "one disk" in message or "clear text" in message or f"line {number}" in said


def test_pre_sections_are_read_before_their_files_exist(text: str) -> None:
    (script,) = kickstart.pre_scripts(text)
    assert script.fatal
    assert script.line == text.splitlines().index(next(x for x in text.splitlines() if x.startswith("%pre"))) + 1
