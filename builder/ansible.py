"""Applies one Ansible role to one root tree, through our connection plugin `tree`."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from builder.errors import AsrboxError
from builder.run import run

HERE = Path(__file__).parent
ENTER = HERE / "enter_tree.sh"


def apply_role(tree: Path, roles: Path, role: str, variables: Mapping[str, Any], log: Path) -> None:
    """Run `roles/<role>` over the tree.

    `variables` are extra variables of the play. Raises AsrboxError naming the task and the file when a task fails;
    what Ansible printed is in `log`.
    """
    with tempfile.TemporaryDirectory(prefix="asrbox-ansible-") as scratch_name:
        scratch = Path(scratch_name)
        play = {
            "hosts": "all",
            "gather_facts": True,
            "gather_subset": ["!all", "!min", "distribution"],
            "roles": [role],
        }
        (scratch / "play.yml").write_text(yaml.safe_dump([play]))
        hosts = {
            "all": {
                "hosts": {
                    role: {
                        "ansible_connection": "tree",
                        "ansible_python_interpreter": "/usr/bin/python3",
                        "ansible_remote_tmp": "/var/tmp/.asrbox-ansible",
                        "asrbox_tree": str(tree),
                        "asrbox_enter": str(ENTER),
                    }
                }
            }
        }
        (scratch / "hosts.yml").write_text(yaml.safe_dump(hosts))
        (scratch / "ansible.cfg").touch()  # so that no other one is found
        (scratch / "variables.json").write_text(json.dumps(dict(variables)))
        environment = {
            "HOME": str(scratch),
            "ANSIBLE_HOME": str(scratch / "home"),
            "ANSIBLE_LOCAL_TEMP": str(scratch / "tmp"),
            "ANSIBLE_CONFIG": str(scratch / "ansible.cfg"),
            "ANSIBLE_ROLES_PATH": str(roles),
            "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "ansible_plugins" / "connection"),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_FORKS": "1",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_RETRY_FILES_ENABLED": "false",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command: list[str | Path] = [
            Path(sys.executable).with_name("ansible-playbook"),
            "--inventory", scratch / "hosts.yml",
            "--extra-vars", f"@{scratch / 'variables.json'}",
            scratch / "play.yml",
        ]  # fmt: skip
        try:
            run(command, env=environment, log=log)
        except AsrboxError as failure:
            raise _failed_task(role, roles, log) or failure from failure


def _failed_task(role: str, roles: Path, log: Path) -> AsrboxError | None:
    """The task that failed and why, read from Ansible's output."""
    text = log.read_text(errors="replace")
    task = None
    for line in text.splitlines():
        if found := re.match(r"TASK \[(.+)\] \*", line):
            task = found[1].removeprefix(f"{role} : ")
        if found := re.match(r"(?:fatal|failed): .*?(?:=>|:) (.*)", line):
            said = found[1]
            if message := re.search(r'"msg": "((?:[^"\\]|\\.)*)"', said):
                said = json.loads(f'"{message[1]}"')
            place = _file_of(roles / role, task)
            return AsrboxError(f"the role {role!r} failed in the task {task!r} ({place}): {said.strip()}")
    return None


def _file_of(role: Path, task: str | None) -> str:
    for path in sorted(role.rglob("*.yml")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if task and re.match(rf"\s*-?\s*name:\s*[\"']?{re.escape(task)}[\"']?\s*$", line):
                return f"roles/{role.name}/{path.relative_to(role)}:{number}"
    return f"roles/{role.name}"
