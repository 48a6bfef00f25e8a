"""Ansible connection to a root tree on this machine: no daemon, no ssh, no mount that outlives a command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: tree
short_description: run modules in a root tree
description: Enters a folder that holds a root file system, in private mount and process namespaces.
options:
  tree:
    description: the folder
    type: path
    required: true
    vars: [{name: asrbox_tree}]
  enter:
    description: the program that enters it
    type: path
    required: true
    vars: [{name: asrbox_enter}]
"""


class Connection(ConnectionBase):  # type: ignore[misc]
    """Commands run by enter_tree.sh; files are copied straight into the folder."""

    transport = "tree"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", self.get_option("enter")]
        done = subprocess.run(  # noqa: S603
            [*enter, self.get_option("tree"), "/bin/sh", "-c", cmd],
            input=in_data or b"",
            capture_output=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def put_file(self, in_path: str, out_path: str) -> None:
        super().put_file(in_path, out_path)
        self._copy(Path(in_path), self._inside(out_path))

    def fetch_file(self, in_path: str, out_path: str) -> None:
        super().fetch_file(in_path, out_path)
        self._copy(self._inside(in_path), Path(out_path))

    def close(self) -> None:
        self._connected = False

    def _inside(self, path: str) -> Path:
        return Path(str(self.get_option("tree"))) / path.lstrip("/")

    def _copy(self, source: Path, target: Path, **_: Any) -> None:
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise AnsibleConnectionFailure(f"cannot copy {source} to {target}: {error}") from error
