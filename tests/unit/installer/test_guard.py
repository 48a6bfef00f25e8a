"""The disk guard: pairs of what lsblk says and what may be done with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliances.base.installer.disks import parse
from appliances.base.installer.errors import InstallError
from appliances.base.installer.guard import Medium, permit, select
from appliances.base.installer.seed import DiskSelector

DATA = Path(__file__).parent / "data" / "guard"


@pytest.mark.parametrize("case", sorted(DATA.glob("*.json")), ids=lambda path: path.stem)
def test_chosen_disk_or_exact_refusal(case: Path) -> None:
    # given the output of lsblk, the medium and the answers in NAME.json
    given = json.loads(case.read_text(encoding="utf-8"))
    disks = parse(json.dumps({"blockdevices": given["disks"]}))
    medium = Medium(given["medium"], "ASRBOX_0_1_0")
    selector = DiskSelector.model_validate(given["selector"])

    # when the guard chooses
    try:
        chosen = select(disks, medium, 16 * 2**30, selector)
        permit(chosen, selector.erase)
        said = f"installs on {chosen.path}\n"
    except InstallError as error:
        said = "".join(f"{line}\n" for line in [*error.details, str(error)])

    # then it says exactly what NAME.txt says
    assert said == case.with_suffix(".txt").read_text(encoding="utf-8")


def test_the_word_follows_the_disk_not_its_name() -> None:
    # given the same disk, found first as sda and after another start as sdb; and another disk of the same size
    first, again, other = (
        parse(json.dumps({"blockdevices": [{"name": name, "type": "disk", "size": 2**40, "serial": serial}]}))[0]
        for name, serial in (("sda", "S1"), ("sdb", "S1"), ("sda", "S2"))
    )
    # then the confirmation word is the same for the same disk, and for that one only
    assert first.word == again.word
    assert first.word != other.word
    assert len(first.word) == 6


def test_the_word_may_be_typed_in_small_letters() -> None:
    disk = parse(json.dumps({"blockdevices": [{"name": "sda", "type": "disk", "size": 2**40, "pttype": "gpt"}]}))[0]
    permit(disk, disk.word.lower())
    with pytest.raises(InstallError):
        permit(disk, "yes")
