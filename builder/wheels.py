"""Python parts: requirements → hash-locked wheels → files in a pool → /opt/asrbox of a tree.

Nothing is compiled. A part that is published as source only is locked by its source, and its wheel is made from that.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import log
from builder.errors import AsrboxError, Where
from builder.pip import platform_options, run_pip

PREFIX = Path("opt/asrbox")
SYSTEM_PROGRAMS = Path("/usr/bin")


@dataclass(frozen=True, order=True)
class LockedWheel:
    """One exact distribution; `hashes` are sha256 hex digits of the wheels that may be taken.

    `python` holds the interpreters ("3.13") that need it when a lock serves several and not all of them do.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    python: tuple[str, ...] = ()


def locked_wheels(options: Iterable[Sequence[Any]]) -> list[LockedWheel]:
    """Step options → locked wheels."""
    return [LockedWheel(name, version, tuple(hashes), tuple(python)) for name, version, hashes, python in options]


def render(wheels: Iterable[LockedWheel], title: str) -> str:
    """The text of a hash-locked requirements file; `title` says in one line what it is for."""
    parts = [f"# {title}\n# Written by `asrbox lock`; install with: pip install --require-hashes -r FILE\n"]
    for wheel in sorted(wheels):
        marker = ""
        if wheel.python:
            marker = " ; " + " or ".join(f'python_version == "{version}"' for version in wheel.python)
        hashes = "".join(f" \\\n    --hash=sha256:{digest}" for digest in wheel.hashes)
        parts.append(f"{wheel.name}=={wheel.version}{marker}{hashes}\n")
    return "".join(parts)


def write(path: Path, wheels: Iterable[LockedWheel], title: str) -> None:
    """Write a requirements file; replaces it at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(render(wheels, title))
    temporary.replace(path)


def read(path: Path) -> list[LockedWheel]:
    """Read a hash-locked requirements file. Raises AsrboxError with file and line for anything else in it."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError as error:
        raise AsrboxError(f"there is no lock of Python parts {path}", hint="run: asrbox lock") from error
    wheels = []
    number = 0
    while number < len(lines):
        first = number
        line = lines[number]
        while line.endswith("\\") and number + 1 < len(lines):
            number += 1
            line = line[:-1] + lines[number]
        number += 1
        if line.strip() and not line.startswith("#"):
            wheels.append(_parse(line, Where(path, first + 1)))
    return wheels


_LINE = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?: ; (?P<marker>.*?))?(?P<hashes>(?: +--hash=sha256:[0-9a-f]{64})+)"
)


def _parse(line: str, where: Where) -> LockedWheel:
    found = _LINE.fullmatch(re.sub(r"\s+", " ", line.strip()))
    if not found:
        raise AsrboxError(
            "not a line NAME==VERSION --hash=sha256:…", hint="restore the file, or run: asrbox lock", where=where
        )
    pythons = tuple(re.findall(r'python_version == "([0-9.]+)"', found["marker"] or ""))
    hashes = tuple(re.findall(r"sha256:([0-9a-f]{64})", found["hashes"]))
    return LockedWheel(found["name"], found["version"], hashes, pythons)


def fetch(
    wheels: Sequence[LockedWheel],
    pool: Path,
    *,
    python: str = "3.13",
    offline: bool = False,
    build_tools: Sequence[LockedWheel] = (),
) -> list[Path]:
    """Wheel files in `pool`, in the order given; what is absent is downloaded and checked, unless `offline`.

    Where the lock names a source distribution, its wheel is made from the verified source with `build_tools` (locked
    wheels, too) and without a network. Raises AsrboxError naming each wheel that is absent (offline), cannot be had
    or has another hash than the lock.
    """
    pool.mkdir(parents=True, exist_ok=True)
    files = _files(wheels, pool, python, offline)
    tools = _files(build_tools, pool, python, offline) if any(path.suffix != ".whl" for path in files) else []
    return [path if path.suffix == ".whl" else _built(path, tools, pool) for path in files]


def _files(wheels: Sequence[LockedWheel], pool: Path, python: str, offline: bool) -> list[Path]:
    there = _by_hash(pool)
    absent = [wheel for wheel in wheels if not any(digest in there for digest in wheel.hashes)]
    if absent and offline:
        names = ", ".join(f"{wheel.name} {wheel.version}" for wheel in absent)
        raise AsrboxError(f"offline, and the pool {pool} lacks: {names}", hint="build once with a network")
    if absent:
        with log.step(f"fetch {len(absent)} Python parts"):
            _download(absent, pool, python)
        there = _by_hash(pool)
    for wheel in absent:
        if not any(digest in there for digest in wheel.hashes):
            raise AsrboxError(f"{wheel.name} {wheel.version}: the index gave no file with a locked checksum")
    return [next(there[digest] for digest in wheel.hashes if digest in there) for wheel in wheels]


def _download(wheels: Sequence[LockedWheel], pool: Path, python: str) -> None:
    """Into a folder beside the files of the pool, then moved: the pool never has half a file."""
    with tempfile.TemporaryDirectory(prefix=".download-", dir=pool) as name:
        folder = Path(name)
        (folder / "lock.txt").write_text(render(wheels, "what the pool lacks"))
        options = ["--require-hashes", "--no-deps", *platform_options(python)]
        run_pip(["download", *options, "--dest", folder / "files", "-r", folder / "lock.txt"])
        for path in (folder / "files").iterdir():
            path.rename(pool / path.name)


def _built(source: Path, tools: Sequence[Path], pool: Path) -> Path:
    """The wheel of a source distribution: made once per source and set of tools, kept in <pool>/built/."""
    key = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in (source, *tools)))
    place = pool / "built" / key.hexdigest()[:32]
    if not place.is_dir():
        place.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".build-", dir=place.parent) as name:
            folder = Path(name)
            for tool in tools:
                zipfile.ZipFile(tool).extractall(folder / "tools")
            options = ["--no-deps", "--no-index", "--no-build-isolation", "--no-cache-dir"]
            env = {"PYTHONPATH": str(folder / "tools"), "SOURCE_DATE_EPOCH": "315532800"}  # 1980, the first day of zip
            run_pip(["wheel", *options, "--wheel-dir", folder / "wheel", source], env)
            (folder / "wheel").rename(place)
    return next(place.glob("*.whl"))


def _by_hash(pool: Path) -> dict[str, Path]:
    paths = sorted(path for path in pool.iterdir() if path.is_file())
    return {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in paths}


def install(
    tree: Path, wheels: Sequence[Path], python: str = "3.13", *, epoch: int, interpreter: str = "python3"
) -> None:
    """Install wheel files into <tree>/opt/asrbox, a virtual environment on /usr/bin/<interpreter> of the tree.

    The same wheels give the same bytes: no byte code, a fixed shebang, all times `epoch` (seconds). What an earlier
    call has put there stays. Raises AsrboxError naming a wheel that is damaged or whose files are there already.
    """
    from installer import install as put
    from installer.destinations import SchemeDictionaryDestination
    from installer.exceptions import InstallerError
    from installer.sources import WheelFile

    site = PREFIX / f"lib/python{python}/site-packages"
    scheme = {
        "purelib": site,
        "platlib": site,
        "headers": PREFIX / "include",
        "scripts": PREFIX / "bin",
        "data": PREFIX,
    }
    destination = SchemeDictionaryDestination(
        {key: f"/{path}" for key, path in scheme.items()},
        interpreter=f"/{PREFIX}/bin/python",
        script_kind="posix",
        bytecode_optimization_levels=(),
        destdir=str(tree),
    )
    _environment(tree, python, interpreter)
    for path in sorted(wheels, key=lambda path: path.name):
        try:
            with WheelFile.open(path) as source:
                source.validate_record()
                put(source=source, destination=destination, additional_metadata={"INSTALLER": b"asrbox\n"})
        except (InstallerError, OSError, ValueError) as error:
            raise AsrboxError(f"the wheel {path.name} cannot be installed into {tree}: {error}") from error
    os.utime(tree / PREFIX.parent, (epoch, epoch))
    for folder, folders, names in os.walk(tree / PREFIX):
        for name in (*folders, *names, "."):
            _plain(Path(folder, name), epoch)


def _plain(path: Path, epoch: int) -> None:
    """Mode and time that depend on nothing: not on the umask, not on the clock."""
    if not path.is_symlink():
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    os.utime(path, (epoch, epoch), follow_symlinks=False)


def _environment(tree: Path, python: str, interpreter: str) -> None:
    """What makes a folder a virtual environment: pyvenv.cfg, and bin/python as a link to the interpreter (PEP 405)."""
    home = tree / PREFIX
    (home / "bin").mkdir(parents=True, exist_ok=True)
    (home / f"lib/python{python}/site-packages").mkdir(parents=True, exist_ok=True)
    (home / "pyvenv.cfg").write_text(
        f"home = {SYSTEM_PROGRAMS}\ninclude-system-site-packages = false\nversion = {python}\n"
    )
    for name in ("python", "python3"):
        link = home / "bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to(SYSTEM_PROGRAMS / interpreter)
