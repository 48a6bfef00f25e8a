"""Root trees out of verified .deb files: a local repository of exactly the locked set, mmdebstrap, apt in the tree.

Everything runs in mount, process and network namespaces of its own: no mount, no process is left, no socket opened.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from builder.bases import LockedPackage
from builder.bases.neutral import make_neutral
from builder.errors import AsrboxError
from builder.run import run

FILES = Path(__file__).parent / "files"
UMASK = ["sh", "-c", 'umask 022 && exec "$@"', "sh"]  # the caller's may be anything
NAMESPACES = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc", "--net"]
PATHS = "etc/dpkg/dpkg.cfg.d/asrbox"

# What the installation leaves that belongs to the build machine, to the moment, or to one machine only.
LITTER = (
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "etc/apt/sources.list.d/*",
    "etc/hostname",
    "etc/ssh/ssh_host_*",
    "etc/*-",
    "run/*",
    "tmp/*",
    "var/cache/apt/*",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/apt/lists/*",
    "var/lib/apt/extended_states",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock*",
    "var/lib/dpkg/triggers/Lock",
    "var/lib/systemd/random-seed",
    "var/log/alternatives.log",
    "var/log/apt/*",
    "var/log/bootstrap.log",
    "var/log/dpkg.log",
)


def bootstrap(tree: Path, files: Mapping[LockedPackage, Path], architecture: str, *, epoch: int, log: Path) -> None:
    """Make `tree` (absent or empty) of exactly these packages; times later than `epoch` (seconds) become `epoch`.

    Raises AsrboxError when mmdebstrap fails (its last lines are quoted; all of them are in `log`) or when what is
    installed afterwards is not what was asked for.
    """
    if tree.exists() and any(tree.iterdir()):
        raise AsrboxError(f"the folder {tree} is not empty", hint="a new root tree is made in a new folder")
    started = time.time()
    with _repository(files) as repository:
        run(
            [
                *NAMESPACES,
                *UMASK,
                "mmdebstrap",
                "--mode=root",
                "--format=directory",
                "--variant=essential",
                f"--architectures={architecture}",
                f"--include={','.join(sorted(package.name for package in files))}",
                f"--dpkgopt={FILES / 'dpkg-paths.cfg'}",
                "--dpkgopt=force-unsafe-io",
                "--aptopt=APT::Install-Recommends false",
                "--aptopt=APT::Sandbox::User root",
                "",
                tree,
                f"deb [trusted=yes] copy:{repository} ./",
            ],
            env=_environment(epoch),
            log=log,
        )
    shutil.copyfile(FILES / "dpkg-paths.cfg", tree / PATHS)
    (tree / PATHS).chmod(0o644)
    _assert_installed(tree, {}, files)
    make_neutral(tree, LITTER, ("etc/apt/sources.list", "etc/machine-id"), epoch=epoch, started=started)


def add(tree: Path, files: Mapping[LockedPackage, Path], *, epoch: int, log: Path) -> None:
    """Install more packages into a tree that `bootstrap` made. Raises AsrboxError like `bootstrap`."""
    if not files:
        return
    before = installed(tree)
    started = time.time()
    with _repository(files) as repository, _nothing_starts(tree):
        run(
            [
                *NAMESPACES,
                *UMASK,
                "sh",
                "-eu",
                FILES / "add-packages.sh",
                tree.absolute(),
                repository,
                *sorted(package.name for package in files),
            ],
            env=_environment(epoch),
            log=log,
        )
    _assert_installed(tree, before, files)
    make_neutral(tree, LITTER, ("etc/apt/sources.list", "etc/machine-id"), epoch=epoch, started=started)


def installed(tree: Path) -> dict[tuple[str, str], str]:
    """(name, architecture) → version of what dpkg has in a tree. Raises AsrboxError naming a half-installed package."""
    form = "${db:Status-Abbrev}\t${Package}\t${Architecture}\t${Version}\n"
    done = run(["dpkg-query", f"--admindir={tree.absolute() / 'var/lib/dpkg'}", "--show", f"--showformat={form}"])
    found = {}
    for line in done.stdout.splitlines():
        status, name, architecture, version = line.split("\t")
        if status.strip() != "ii":
            raise AsrboxError(f"{name} {version} is not fully installed in {tree}: dpkg says {status.strip()!r}")
        found[name, architecture] = version
    return found


def _assert_installed(tree: Path, before: Mapping[tuple[str, str], str], files: Mapping[LockedPackage, Path]) -> None:
    wanted = dict(before) | {(package.name, package.architecture): package.version for package in files}
    there = installed(tree)
    different = [
        f"{name}: the lock has {wanted.get((name, architecture), 'nothing')}, "
        f"the tree {there.get((name, architecture), 'nothing')}"
        for name, architecture in sorted(wanted.keys() | there.keys())
        if wanted.get((name, architecture)) != there.get((name, architecture))
    ]
    if different:
        raise AsrboxError(f"the tree {tree} is not what the lock says:\n    " + "\n    ".join(different))


def _environment(epoch: int) -> dict[str, str]:
    return {
        "SOURCE_DATE_EPOCH": str(epoch),
        "DEBCONF_NONINTERACTIVE_SEEN": "true",
        "INITRD": "No",  # hooks of a kernel package then make no initrd: the builder does, in a step of its own
    }


@contextlib.contextmanager
def _repository(files: Mapping[LockedPackage, Path]) -> Iterator[Path]:
    """A flat repository of hard links into the pool, removed afterwards."""
    pool = next(iter(files.values())).parent
    with tempfile.TemporaryDirectory(prefix=".repository-", dir=pool) as name:
        folder = Path(name)
        for package, path in files.items():
            os.link(path, folder / f"{package.name}_{package.architecture}_{package.sha256[:12]}.deb")
        hashes = [f"-oAPT::FTPArchive::{kind}=false" for kind in ("MD5", "SHA1", "SHA512")]
        (folder / "Packages").write_text(run(["apt-ftparchive", *hashes, "packages", "."], cwd=folder).stdout)
        yield folder


@contextlib.contextmanager
def _nothing_starts(tree: Path) -> Iterator[None]:
    policy = tree / "usr/sbin/policy-rc.d"
    shutil.copyfile(FILES / "policy-rc.d", policy)
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
