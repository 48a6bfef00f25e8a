"""Root trees out of verified .rpm files: rpm installs exactly the locked set, and what it says is read for failures.

Everything runs in mount, process and network namespaces of its own: no mount, no process is left, no socket opened.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from builder import log as console
from builder.bases import LockedPackage, rpm_database
from builder.bases.debian_tree import NAMESPACES, UMASK
from builder.bases.neutral import make_neutral
from builder.errors import AsrboxError
from builder.run import run

FILES = Path(__file__).parent / "rpm_files"
CONTEXTS = "etc/selinux/targeted/contexts/files/file_contexts"
RELABEL = ".autorelabel"
ANY_CODE = tuple(range(256))  # rpm exits with the number of packages that failed
_FAILED = (
    re.compile(r"%?(?P<scriptlet>\w+)\((?P<package>[^()\s]+)\) scriptlet failed(?:, (?P<why>.*))?"),
    re.compile(r'lua script failed: \[string "%?(?P<scriptlet>\w+)\((?P<package>[^()\s]+)\)"\](?P<why>.*)'),
    re.compile(r"Error in (?P<scriptlet>\w+) scriptlet in rpm package (?P<package>\S+)(?P<why>)"),
)

# What the installation leaves that belongs to the build machine, to the moment, or to one machine only.
LITTER = (
    "etc/*-",
    "etc/hostname",
    "etc/ssh/ssh_host_*",
    "run/*",
    "tmp/*",
    "var/cache/dnf/*",
    "var/cache/ldconfig/aux-cache",
    "var/lib/dbus/machine-id",
    "var/lib/dnf/*",
    "var/lib/systemd/random-seed",
    "var/log/dnf*",
    "var/log/hawkey.log",
    "var/tmp/*",
)


def bootstrap(tree: Path, files: Mapping[LockedPackage, Path], database: str, *, epoch: int, log: Path) -> None:
    """Make `tree` (absent or empty) of exactly these packages; times later than `epoch` (seconds) become `epoch`.

    `database` is the path of the package database in the tree. Raises AsrboxError when rpm fails, when a scriptlet
    fails (which rpm itself forgives), or when what is installed afterwards is not what was asked for.
    """
    if tree.exists() and any(tree.iterdir()):
        raise AsrboxError(f"the folder {tree} is not empty", hint="a new root tree is made in a new folder")
    tree.mkdir(parents=True, exist_ok=True)
    tree.chmod(0o755)
    _install(tree, files, database, set(), epoch, log)


def add(tree: Path, files: Mapping[LockedPackage, Path], database: str, *, epoch: int, log: Path) -> None:
    """Install more packages into a tree that `bootstrap` made. Raises AsrboxError like `bootstrap`."""
    if files:
        rpm_database.assert_in_place(tree, database)
        _install(tree, files, database, rpm_database.installed(tree, database), epoch, log)


def licence_tags(files: Sequence[Path]) -> list[tuple[str, str]]:
    """(name, tag License) of .rpm files that were verified before."""
    form = r"%{NAME}\t%{LICENSE}\n"
    said = run(["rpm", "--nosignature", "--nodigest", "--query", "--package", "--queryformat", form, *files]).stdout
    return [(name, tag) for name, _, tag in (line.partition("\t") for line in said.splitlines())]


def label(tree: Path, *, log: Path) -> None:
    """Give every file the SELinux label that the tree's own policy names; a tree without a policy stays as it is.

    Where this file system keeps no such labels, the installed host relabels itself on its first boot instead.
    """
    contexts = tree / CONTEXTS
    if not contexts.is_file():
        return
    (tree / RELABEL).unlink(missing_ok=True)
    try:
        os.setxattr(tree, "security.selinux", b"system_u:object_r:root_t:s0\0")
    except OSError:
        console.warn(f"{tree} cannot keep SELinux labels: the host will relabel itself on its first boot")
        (tree / RELABEL).touch()
        return
    run(["setfiles", "-F", "-r", tree.absolute(), contexts.absolute(), tree.absolute()], log=log)


def failed_scriptlets(text: str) -> list[str]:
    """What rpm or dnf said of failed scriptlets, one sentence each, such as "%post of kernel-core-1-1.x86_64: …"."""
    found = []
    for line in text.splitlines():
        for pattern in _FAILED:
            if match := pattern.search(line):
                why = (match["why"] or "").strip(" :")
                found.append(f"%{match['scriptlet']} of {match['package']}" + (f" ({why})" if why else ""))
    return found


def _install(
    tree: Path,
    files: Mapping[LockedPackage, Path],
    database: str,
    before: set[tuple[str, str, str]],
    epoch: int,
    log: Path,
) -> None:
    started = time.time()
    read_from = log.stat().st_size if log.exists() else 0
    paths = [files[package].absolute() for package in sorted(files)]
    script = ["sh", "-eu", str(FILES / "install-rpms.sh"), str(tree.absolute()), database]
    with _no_kernel_install(tree), rpm_database.closing(tree, database):
        done = run([*NAMESPACES, *UMASK, *script, *paths], env=_environment(epoch), log=log, ok_codes=ANY_CODE)
    said = log.read_bytes()[read_from:].decode(errors="replace")
    if failed := failed_scriptlets(said):
        raise AsrboxError(
            f"these scriptlets failed in {tree}: {'; '.join(failed)}", hint=f"what they printed is in {log}"
        )
    if done.code != 0:
        raise AsrboxError(f"rpm could not install the packages in {tree}: {_errors(said)}", hint=f"all of it: {log}")
    rpm_database.assert_in_place(tree, database)
    wanted = before | {(package.name, package.version, package.architecture) for package in files}
    _assert_installed(wanted, rpm_database.installed(tree, database), tree)
    _kernels_to_boot(tree)
    make_neutral(tree, LITTER, ("etc/machine-id",), epoch=epoch, started=started)
    label(tree, log=log)


def _environment(epoch: int) -> dict[str, str]:
    # HOME without a .rpmmacros; systemctl and others ask whether anything runs
    return {"SOURCE_DATE_EPOCH": str(epoch), "HOME": "/", "SYSTEMD_OFFLINE": "1"}


def _errors(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.startswith(("error:", "\t", "mount:", "unshare:"))]
    return "; ".join(lines[:8]) or " ".join(said.splitlines()[-1:])


@contextlib.contextmanager
def _no_kernel_install(tree: Path) -> Iterator[None]:
    """A kernel package makes neither an initrd nor a boot entry while it is installed."""
    folder = tree / "etc/kernel/install.d"
    folder.mkdir(parents=True, exist_ok=True)
    plugin = folder / "00-asrbox.install"
    shutil.copyfile(FILES / "skip-kernel-install", plugin)
    plugin.chmod(0o755)
    try:
        yield
    finally:
        plugin.unlink()


def _kernels_to_boot(tree: Path) -> None:
    """What kernel-install would have done for the loader: /boot/vmlinuz-<version>, the time kept."""
    for kernel in tree.glob("usr/lib/modules/*/vmlinuz"):
        target = tree / "boot" / f"vmlinuz-{kernel.parent.name}"
        target.parent.mkdir(exist_ok=True)
        if not target.exists():
            shutil.copy2(kernel, target)
            target.chmod(0o755)


def _assert_installed(wanted: set[tuple[str, str, str]], there: set[tuple[str, str, str]], tree: Path) -> None:
    different = [f"the lock has {name} {version} [{arch}]" for name, version, arch in sorted(wanted - there)]
    different += [f"the tree has {name} {version} [{arch}]" for name, version, arch in sorted(there - wanted)]
    if different:
        raise AsrboxError(f"the tree {tree} is not what the lock says:\n    " + "\n    ".join(different))
