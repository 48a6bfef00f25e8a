"""The first day of a machine that is installed from a CD under SeaBIOS: what the installer refuses, the installation, a
power cut in the middle of the first boot, recovery, work in the browser, a reboot.

One machine for the whole module. The tests stand in the order in which such a day goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.machine import Machine, new_disk
from tests.browser import Pages, chromium
from tests.machine import box
from tests.machine.conftest import DISK_SIZE, INSTALLER_PHASES, Installed

pytestmark = pytest.mark.timeout(box.WHOLE)

BASE = f"https://{box.ADDRESS}/"
BILLING = f"https://{box.ADDRESS}/billing/"
SUBSCRIBER = {"contract": "2026-0042", "name": "Иванова Анна Сергеевна", "phone": "+79161234567"}
PASSWORD = r"as administrator with the password (\S+) and change it"


@dataclass
class Day:
    """The machine as it is now; `disk` outlives each power-on."""

    disk: Path
    logs: Path
    machine: Machine
    authority: str = ""
    password: str = ""
    cut_after: str = ""

    def power_on(self, name: str) -> Machine:
        """Switch on (again) and wait until all endpoints answer."""
        self.machine.__exit__(None, None, None)
        self.machine = box.machine(self.logs, name, self.disk, reached=True)
        self.machine.__enter__()
        self.machine.wait_until("ready", box.READY)
        return self.machine


@pytest.fixture(scope="module")
def day(by_cd: Installed, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A machine whose power was cut while its first image was imported, and that was switched on again.

    The other moments of the first start are cut in tests/containers, where a start costs seconds.
    """
    disk = new_disk(tmp_path_factory.mktemp("life") / "disk.qcow2", DISK_SIZE, backing=by_cd.disk)
    with box.machine(logs, "life-1-power-cut", disk) as first:
        importing = r"asrbox-agent: phase first-boot \d+/\d+ (importing the image of \S+)$"
        cut_after = first.wait_for(importing, box.READY)[1]
        first.listen(15.0)
        first.power_cut()
    day = Day(disk, logs, first, cut_after=cut_after)
    try:
        second = day.power_on("life-2-recovery")
        day.password = (second.said(PASSWORD) or second.wait_for(PASSWORD, box.ANSWER))[1]
        second.log_in(box.ADMIN, box.ADMIN_PASSWORD)
        day.authority = box.as_root(second, "cat /var/lib/asrbox/ca/ca.crt")
        yield day
    finally:
        day.machine.__exit__(None, None, None)


@pytest.fixture
def browser(tmp_path: Path, logs: Path, request: pytest.FixtureRequest) -> Iterator[Pages]:
    with chromium(tmp_path / "profile", logs / request.node.name) as pages:
        yield pages


def log_in(pages: Pages, password: str) -> None:
    pages.fill("login", "administrator")
    pages.fill("password", password)
    pages.press("form.login button")


def test_the_installer_refuses_when_there_is_no_disk(by_cd: Installed) -> None:
    assert "no disk is suitable (/dev/sda: it carries the answer file (label ASRBOX))" in by_cd.refused["no disk"]


def test_the_installer_refuses_a_disk_that_is_too_small(by_cd: Installed) -> None:
    assert "no disk is suitable" in by_cd.refused["too small"]
    assert "it is too small: " in by_cd.refused["too small"]


def test_the_installer_refuses_a_disk_with_data_without_its_word(by_cd: Installed) -> None:
    assert "holds data" in by_cd.refused["holds data"]
    assert 'put this line under [disk] in seed.toml: erase = "' in by_cd.refused["holds data"]


def test_the_installer_refuses_a_disk_with_data_and_a_wrong_word(by_cd: Installed) -> None:
    assert "and erase = 'WRONG1' is not its word" in by_cd.refused["wrong word"]


def test_the_installer_refuses_a_selector_of_a_disk_that_cannot_be_used(by_cd: Installed) -> None:
    assert "cannot be used: it is too small" in by_cd.refused["selector of the small disk"]


def test_the_installer_refuses_a_selector_that_fits_no_disk(by_cd: Installed) -> None:
    assert "no disk fits the selector in seed.toml (serial = 'NOSUCHDISK')" in by_cd.refused["wrong selector"]


def test_the_installer_refuses_to_choose_between_disks(by_cd: Installed) -> None:
    refused = by_cd.refused["several disks"]
    assert "3 disks are suitable (/dev/vdb, /dev/vdc, /dev/vdd) and none was chosen" in refused
    assert 'for example: serial = "OTHER"' in refused, "an empty one, not the one with data"


def test_the_installation_went_through_all_phases(by_cd: Installed) -> None:
    assert by_cd.installer_phases == INSTALLER_PHASES


def test_after_a_power_cut_the_next_boot_finishes_the_job(day: Day) -> None:
    assert day.cut_after.startswith("importing the image of ")
    assert day.machine.watch.reached["ready"] > 0
    status = box.as_root(day.machine, "asrctl status")
    for appliance in ("base", "auth", "asr_billing"):
        assert appliance in status


def test_what_the_appliances_use_is_measured(day: Day) -> None:
    used = box.as_root(day.machine, "asrctl usage")
    for appliance in ("base", "auth", "asr_billing"):
        row = re.search(rf"^{appliance} +(\d+) MiB of \d+ MiB +\d\.\d\d of \d +(\d+) of \d+$", used, re.MULTILINE)
        assert row, used
        assert int(row[1]) > 5
        assert int(row[2]) > 5


def test_every_published_page_answers_with_a_certificate_of_the_machine(day: Day) -> None:
    for path in box.PUBLISHED:
        answer = box.get(f"{path}healthz", day.authority)
        assert (path, answer.status, answer.json()["status"]) == (path, 200, "ok")


def test_web_and_firebird_have_addresses_of_their_own(day: Day) -> None:
    status = box.as_root(day.machine, "asrctl status")
    rows = [line for line in status.splitlines() if re.search(r"\b(firebird|web)\b", line)]
    assert any("198.18.83.2" in row and "firebird" in row for row in rows), status
    assert any("198.18.83.3" in row and "web" in row for row in rows), status


def test_the_administrator_sees_all_parts_in_base(day: Day, browser: Pages) -> None:
    browser.open(BASE)
    log_in(browser, day.password)
    for appliance in ("base", "auth", "asr_billing"):
        assert browser.shown(f"#to-{appliance}")
    browser.keep_picture(day.logs / "base.png")


def test_a_subscriber_is_created_in_billing(day: Day, browser: Pages) -> None:
    browser.open(f"{BILLING}subscribers/new")
    log_in(browser, day.password)
    for field, value in SUBSCRIBER.items():
        browser.fill(field, value)
    browser.press("form.form .btn-primary")
    assert browser.shown("h1") == SUBSCRIBER["name"]
    assert browser.has(SUBSCRIBER["contract"])


def test_after_a_clean_reboot_the_subscriber_is_still_there(day: Day, browser: Pages) -> None:
    day.machine.type(f"echo '{box.ADMIN_PASSWORD}' | sudo -S -p '' systemctl reboot")
    day.machine.wait_off(box.OFF)
    day.power_on("life-3-reboot")
    browser.open(f"{BILLING}?q={SUBSCRIBER['contract']}")
    log_in(browser, day.password)
    assert browser.has(SUBSCRIBER["name"])
