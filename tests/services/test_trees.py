"""Roles on trees: applied through our connection plugin, failures told, nothing left mounted or running."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import ansible, tree
from builder.errors import AsrboxError
from tests.conftest import Built

EPOCH = 1_700_000_000


@pytest.fixture
def rootfs(built: Built, tmp_path: Path) -> Iterator[Path]:
    """A copy of the container tree that a test may change."""
    copy = tmp_path / "tree"
    tree.copy_tree(built.out("packages:container") / "rootfs", copy)
    yield copy
    shutil.rmtree(copy)


def role(folder: Path, tasks: str) -> Path:
    (folder / "roles/trial/tasks").mkdir(parents=True)
    (folder / "roles/trial/tasks/main.yml").write_text(tasks)
    return folder / "roles"


def mounts_below(path: Path) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(path) in line]


def processes_in(path: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/root"):
        try:
            if str(path) in os.readlink(entry):  # noqa: PTH115  a link of the kernel, not of a file system
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


def test_a_role_changes_the_tree_and_leaves_no_trace(rootfs: Path, tmp_path: Path) -> None:
    roles = role(
        tmp_path,
        """
- name: Who we are
  ansible.builtin.copy: {content: "{{ greeting }} {{ ansible_facts.distribution }}\\n", dest: /etc/trial, mode: "0640"}
- name: A process that stays behind
  ansible.builtin.shell: "sleep 1000 > /dev/null 2>&1 &"
""",
    )
    ansible.apply_role(rootfs, roles, "trial", {"greeting": "hello"}, tmp_path / "log")
    assert (rootfs / "etc/trial").read_text() == "hello Debian\n"
    assert oct((rootfs / "etc/trial").stat().st_mode & 0o777) == "0o640"
    assert mounts_below(rootfs) == []
    assert processes_in(rootfs) == []
    tree.finish(rootfs, EPOCH)
    assert not list((rootfs / "var/tmp").iterdir())


def test_a_failing_role_names_task_and_file_and_keeps_its_log(rootfs: Path, tmp_path: Path) -> None:
    roles = role(
        tmp_path,
        """- name: All is well
  ansible.builtin.command: "true"
- name: Enable a unit that is not there
  ansible.builtin.systemd_service: {name: absent.service, enabled: true}
""",
    )
    with pytest.raises(AsrboxError) as failure:
        ansible.apply_role(rootfs, roles, "trial", {}, tmp_path / "log")
    assert str(failure.value).startswith(
        "the role 'trial' failed in the task 'Enable a unit that is not there' (roles/trial/tasks/main.yml:3): "
        "Could not find the requested service absent.service"
    )
    assert "absent.service" in (tmp_path / "log").read_text()
    assert mounts_below(rootfs) == []


def test_a_command_in_a_tree_with_an_out_folder_cannot_change_the_tree(rootfs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    log = tmp_path / "log"
    tree.in_tree(rootfs, ["sh", "-c", "echo made > /mnt/file"], log=log, epoch=EPOCH, out=out)
    assert (out / "file").read_text() == "made\n"
    with pytest.raises(AsrboxError, match="sh failed with exit code"):
        tree.in_tree(rootfs, ["sh", "-c", "echo made > /etc/file"], log=log, epoch=EPOCH, out=out)
    assert not (rootfs / "etc/file").exists()


def test_times_are_whole_seconds_and_no_later_than_the_release(rootfs: Path) -> None:
    (rootfs / "etc/new").write_text("x")
    os.utime(rootfs / "etc/new", ns=(10**9, 1_500_000_000_500_000_000))
    (rootfs / "etc/later").write_text("x")
    tree.finish(rootfs, EPOCH)
    assert (rootfs / "etc/new").stat().st_mtime_ns == 1_500_000_000_000_000_000
    assert (rootfs / "etc/later").stat().st_mtime_ns == EPOCH * 10**9
