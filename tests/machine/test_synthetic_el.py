"""The whole chain on RPMs: our own medium of an EL tree installs itself, and its machine comes to the same end.

The packages are synthetic (tests/synthetic/README.md): what this proves is our code, not CentOS.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.machine import Machine
from tests.conftest import Built
from tests.machine import box
from tests.machine.conftest import INSTALLER_PHASES, installed

# Two tests, not more: pytest-xdist gives the next file to the worker that has no more than two left, and that has to be
# this one, not the one whose last test restarts a machine.
pytestmark = pytest.mark.timeout(box.WHOLE)


@pytest.fixture(scope="module")
def machine(built_el: Built, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine that was installed from the ISO and has come to the end of its first start."""
    folder = tmp_path_factory.mktemp("el")
    by_el = installed(built_el.iso, logs, folder, "el-install", "cd", "bios")
    assert by_el.installer_phases == INSTALLER_PHASES
    with box.machine(logs, "el-first-start", by_el.disk, reached=True) as started:
        started.wait_until("ready", box.READY)
        started.log_in(box.ADMIN, box.ADMIN_PASSWORD)
        yield started


def test_every_published_page_answers(machine: Machine) -> None:
    authority = box.as_root(machine, "cat /var/lib/asrbox/ca/ca.crt")
    for path in box.PUBLISHED:
        answer = box.get(f"{path}healthz", authority)
        assert (path, answer.status, answer.json()["status"]) == (path, 200, "ok")


def test_it_runs_the_three_appliances_says_what_it_is_and_has_rpms_package_database(machine: Machine) -> None:
    status = box.as_root(machine, "asrctl status")
    for appliance in ("base", "auth", "asr_billing"):
        assert appliance in status
    assert "synthetic" in machine.command("cat /etc/os-release", box.ANSWER)
    listed = box.as_root(machine, "ls /var/lib/rpm").split()
    assert "rpmdb.sqlite" in listed
    assert machine.command("ls /var/lib/dpkg/status 2> /dev/null; true", box.ANSWER).strip() == ""
