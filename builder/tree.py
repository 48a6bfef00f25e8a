"""Root trees: what the package back end installed, our Python code, a role, and then nothing that varies.

The functions that make trees are the bodies of steps: they read `work.inputs` and write `work.out`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import ansible, store, wheels
from builder.bases import Base, LockedPackage
from builder.errors import AsrboxError
from builder.run import run
from builder.step import Work
from builder.wheels import locked_wheels

PREFIX = "opt/asrbox"
LEFTOVERS = (
    "root/.ansible", "root/.cache", "var/tmp/.asrbox-ansible", "var/lib/dbus/machine-id",
    "var/cache/ldconfig/aux-cache", "var/log/alternatives.log", "var/log/dpkg.log", "var/log/bootstrap.log",
    "var/log/apt", "var/lib/systemd/random-seed",
)  # fmt: skip
EMPTIED = ("var/log/journal", "var/cache/apt/archives", "var/lib/apt/lists", "tmp", "var/tmp", "run")


@dataclass(frozen=True)
class Tools:
    """What the steps need but that cannot change their output: the package back end, the wheels, the checkout.

    `boot_iso` is the vendor's medium, whose contents are an ingredient of the step that remakes it.
    """

    base: Base
    wheel_pool: Path
    offline: bool
    root: Path
    boot_iso: Path | None = None


def locked(options: Sequence[Sequence[object]]) -> list[LockedPackage]:
    """Step options → locked packages."""
    return [LockedPackage(*row) for row in options]  # type: ignore[arg-type]


def copy_tree(source: Path, target: Path) -> None:
    """A copy with owners, modes, times, links and extended attributes."""
    run(["cp", "--archive", "--reflink=auto", source, target])


def enter(tree: Path) -> list[str]:
    """The beginning of a command line that runs what follows inside the tree, in namespaces of its own."""
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", str(ansible.ENTER), str(tree)]


def in_tree(
    tree: Path,
    command: Sequence[str],
    *,
    log: Path,
    epoch: int,
    out: Path | None = None,
) -> None:
    """Run a command inside the tree in namespaces of its own. Raises AsrboxError when it fails.

    `out` is a folder that the command sees as /mnt; the tree itself is then read-only.
    """
    environment = {"SOURCE_DATE_EPOCH": str(epoch), **({"ASRBOX_OUT": str(out)} if out else {})}
    run([*enter(tree), *command], env=environment, log=log)


def bootstrap(work: Work, tools: Tools) -> None:
    """A new tree from locked packages and wheels → out/rootfs."""
    rootfs = work.out / "rootfs"
    packages = locked(work.options["packages"])
    tools.base.fetch(packages)
    tools.base.bootstrap(rootfs, packages, epoch=work.epoch, log=work.log)
    _install_wheels(work, tools, rootfs)
    finish(rootfs, work.epoch)


def extend(work: Work, tools: Tools) -> None:
    """The tree of inputs["base"] with more locked packages and wheels → out/rootfs."""
    rootfs = work.out / "rootfs"
    copy_tree(work.inputs["base"] / "rootfs", rootfs)
    if packages := locked(work.options["packages"]):
        tools.base.fetch(packages)
        tools.base.add(rootfs, packages, epoch=work.epoch, log=work.log)
    _install_wheels(work, tools, rootfs)
    finish(rootfs, work.epoch)


def configure(work: Work, tools: Tools) -> None:
    """The tree of inputs["base"] with our sources and a role applied → out/<into>.

    Options: role, variables, into, sources (paths below the checkout that go into site-packages), python ("3.13"),
    interpreter ("python3").
    """
    rootfs = work.out / work.options["into"]
    rootfs.parent.mkdir(parents=True, exist_ok=True)
    copy_tree(work.inputs["base"] / "rootfs", rootfs)
    if sources := work.options["sources"]:
        target = rootfs / PREFIX / "lib" / f"python{work.options['python']}" / "site-packages"
        install_sources(tools.root, sources, target)
        _compile(rootfs, f"/{target.relative_to(rootfs)}/appliances", work)
    variables = {**work.options["variables"], "asrbox_sources": str(tools.root)}
    ansible.apply_role(rootfs, tools.root / "roles", work.options["role"], variables, work.log)
    finish(rootfs, work.epoch)
    if work.options["role"] == "host":  # a container has the labels that the host gives it
        tools.base.label(rootfs, log=work.log)
        clamp(rootfs, work.epoch)


def install_sources(root: Path, sources: Sequence[str], target: Path) -> None:
    """Copy packages and modules of the checkout; caches stay behind, owners are root, modes are plain."""
    for name in sources:
        source, destination = root / name, target / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(
                source, destination, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"), dirs_exist_ok=True
            )
        else:
            shutil.copyfile(source, destination)
    for folder, _, files in os.walk(target / "appliances"):
        place = Path(folder)
        os.chown(place, 0, 0)
        place.chmod(0o755)
        for file in files:
            path = place / file
            os.chown(path, 0, 0)
            path.chmod(0o755 if os.access(path, os.X_OK) and path.suffix in ("", ".sh") else 0o644)


def finish(tree: Path, epoch: int) -> None:
    """Take out what differs from build to build, and clamp every time stamp to `epoch` (seconds)."""
    for name in LEFTOVERS:
        store.remove(tree / name)
    for name in EMPTIED:
        for entry in (tree / name).iterdir() if (tree / name).is_dir() else ():
            store.remove(entry)
    (tree / "etc/machine-id").write_text("")
    for name in ("etc/.updated", "var/.updated"):  # else systemd rebuilds the linker's cache and others at first boot
        (tree / name).write_text("")
        os.utime(tree / name, (epoch, epoch))
    clamp(tree, epoch)


def clamp(path: Path, epoch: int) -> None:
    """Give every file below `path`, and `path`, a time of modification of at most `epoch` (seconds)."""
    for folder, folders, files in os.walk(path, topdown=False):
        for name in [*files, *folders]:
            _clamp(os.path.join(folder, name), epoch)  # noqa: PTH118  hot loop over 10^5 files
    _clamp(str(path), epoch)


def _clamp(path: str, epoch: int) -> None:
    # Whole seconds: a squashfs keeps no fraction, and the stream of an image must not differ from that of its tree.
    modified = os.lstat(path).st_mtime_ns
    whole = min(modified // 10**9, epoch)
    if whole * 10**9 != modified:
        os.utime(path, (whole, whole), follow_symlinks=False)


def _install_wheels(work: Work, tools: Tools, rootfs: Path) -> None:
    if not (wanted := work.options["wheels"]):
        return
    python = work.options["python"]
    build_tools = locked_wheels(work.options["build_tools"])
    files = wheels.fetch(
        locked_wheels(wanted), tools.wheel_pool, python=python, offline=tools.offline, build_tools=build_tools
    )
    wheels.install(rootfs, files, python=python, epoch=work.epoch, interpreter=work.options["interpreter"])
    for pattern in work.options["remove"]:
        for path in rootfs.glob(pattern):
            store.remove(path)
    _compile(rootfs, f"/{PREFIX}", work)


def _compile(rootfs: Path, folder: str, work: Work) -> None:
    """Byte-compile with hashes instead of times, so that the files are the same in every build."""
    compile_all = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-j", "1", folder]
    try:
        in_tree(rootfs, [work.options["interpreter"], *compile_all], log=work.log, epoch=work.epoch)
    except AsrboxError as failure:
        raise AsrboxError(f"Python code in {folder} does not compile for the target: {failure.message}") from failure
