"""`asrbox check`: everything that can be wrong in a checkout, found without building."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from builder import kickstart, lock, wheels
from builder.errors import AsrboxError, ErrorList, Where
from builder.resolve import Resolved
from builder.run import clean_environment

ROLE_VARIABLES = ("debian.yml", "redhat.yml")  # ansible_facts.os_family, in small letters
MEDIUM = {
    "ks.cfg",
    "LiveOS/squashfs.img",
    "asrbox/images.squashfs",
    "asrbox/images.json",
    "asrbox/distribution.json",
    "asrbox/build.json",
}


def check_all(resolved: Resolved) -> Iterator[str]:
    """Yields one line per part that is sound. Raises AsrboxError or ErrorList for what is not."""
    daemons = sum(len(appliance.daemons) for appliance in resolved.appliances.values())
    yield f"manifests: {len(resolved.appliances)} appliances, {daemons} daemons, no clash"
    distribution, family = resolved.as_json(), resolved.base.family
    kickstart.check(kickstart.render(distribution, family), MEDIUM, distribution, family=family)
    for_anaconda = kickstart.render(distribution, family, image_sha256="0" * 64)
    kickstart.check(for_anaconda, MEDIUM, distribution, family=family)
    yield "kickstart: valid for RHEL9, RHEL10 and our installer"
    roles = [resolved.host.role, resolved.container.role, *resolved.appliances]
    check_families(resolved)
    check_roles(resolved.project.root / "roles", roles)
    yield f"roles: {', '.join(roles)}, for both families"
    yield from _check_locks(resolved)


def check_families(resolved: Resolved) -> None:
    """Debian and EL alike have lists of packages and the same variables in roles. Raises ErrorList."""
    errors: list[AsrboxError] = []
    lists = {
        resolved.project.image_file("host"): resolved.host.packages,
        resolved.project.image_file("container"): resolved.container.packages,
        **{resolved.project.appliance_file(name): one.packages for name, one in resolved.appliances.items()},
    }
    for path, packages in lists.items():
        for family in sorted({"debian", "el"} - set(packages)):
            hint = f"add `{family}: [...]`, empty when it needs none"
            errors.append(
                AsrboxError(f"there is no list for the family {family}", hint=hint, where=Where(path, key="packages"))
            )
    for role in [resolved.host.role, resolved.container.role, *resolved.appliances]:
        errors += _variables_differ(resolved.project.role(role) / "vars")
    if errors:
        raise ErrorList(errors)


def _variables_differ(folder: Path) -> Iterator[AsrboxError]:
    if not folder.is_dir():
        return
    known: dict[str, set[str]] = {}
    for name in ROLE_VARIABLES:
        path = folder / name
        known[name] = set(yaml.safe_load(path.read_text()) or {}) if path.is_file() else set()
    for name, other in (ROLE_VARIABLES, ROLE_VARIABLES[::-1]):
        for key in sorted(known[other] - known[name]):
            hint = f"{folder / other} sets it: give its value on the other family"
            yield AsrboxError(f"the variable {key} is not set", hint=hint, where=Where(folder / name))


def check_roles(folder: Path, roles: list[str]) -> None:
    """Ansible's own syntax check of every role. Raises ErrorList."""
    errors: list[AsrboxError] = []
    with tempfile.TemporaryDirectory(prefix="asrbox-check-") as scratch_name:
        scratch = Path(scratch_name)
        (scratch / "ansible.cfg").touch()
        for role in roles:
            play = scratch / f"{role}.yml"
            play.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "roles": [role]}]))
            command = [str(Path(sys.executable).with_name("ansible-playbook")), "--syntax-check", str(play)]
            environment = clean_environment(
                {
                    "HOME": scratch_name,
                    "ANSIBLE_CONFIG": str(scratch / "ansible.cfg"),
                    "ANSIBLE_ROLES_PATH": str(folder),
                    "ANSIBLE_LOCALHOST_WARNING": "false",
                    "ANSIBLE_NOCOLOR": "1",
                }
            )
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode:
                errors.append(AsrboxError(f"the role {role!r} is not valid: {done.stderr.strip()}"))
    if errors:
        raise ErrorList(errors)


def _check_locks(resolved: Resolved) -> Iterator[str]:
    name, project = resolved.distribution.base, resolved.project
    if not project.lock(name).exists():
        yield f"locks: {name} has none yet: a build resolves the packages of today, `asrbox lock` keeps them"
        return
    found = lock.read(project.lock(name))
    for tree, packages in resolved.packages().items():
        if sorted(set(packages)) != sorted(found.wanted.get(tree, [])):
            raise AsrboxError(f"the lock of {name} is older than the packages of {tree}", hint="run: asrbox lock")
    count = 0
    for tree in resolved.python():
        count += len(wheels.read(resolved.wheel_lock(tree)))
    yield f"locks: {len(found.packages())} packages of {found.made}, {count} wheels"
