"""Requirements → the exact wheels that they need, with hashes, for the Python of the target."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from builder.errors import AsrboxError
from builder.pip import platform_options, run_pip
from builder.wheels import LockedWheel

SOURCE_ONLY = ("pykickstart",)  # pure Python, published without wheels: the source is locked, the wheel made from it


def resolve(
    requirements: Sequence[str], python: str = "3.13", constraints: Sequence[str] | None = None
) -> list[LockedWheel]:
    """Requirements (PEP 508) → every wheel that they need on x86_64 Linux with that Python, sorted by name.

    pip chooses versions for the target but reads environment markers as the interpreter that runs pip; so markers are
    read again here for the target, and what was left out is asked for until nothing is missing. Raises AsrboxError.
    """
    environment = _target_environment(python)
    parsed = [parse_requirement(line) for line in requirements]
    asked = list(requirements)
    with tempfile.TemporaryDirectory(prefix="asrbox-resolve-") as name:
        folder = Path(name)
        sources: dict[str, str] = {
            canonicalize_name(requirement.name): _source(requirement, constraints or (), folder)
            for requirement in parsed
            if canonicalize_name(requirement.name) in SOURCE_ONLY
        }
        while True:
            found = {_name_of(item): item for item in _report(asked, python, constraints or (), folder)}
            needed, absent = _closure(parsed, found, environment)
            if not absent:
                return sorted(_locked(found[name], sources.get(name)) for name in needed)
            asked += absent


def resolve_for_all(requirements: Sequence[str], pythons: Sequence[str]) -> list[LockedWheel]:
    """One lock for several interpreters: the same versions, and the hashes of every wheel that one of them takes."""
    versions: dict[str, str] = {}
    hashes: dict[str, set[str]] = {}
    users: dict[str, list[str]] = {}
    for python in pythons:
        pinned = [f"{name}=={version}" for name, version in versions.items()]
        for wheel in resolve(requirements, python, constraints=pinned):
            versions.setdefault(wheel.name, wheel.version)
            hashes.setdefault(wheel.name, set()).update(wheel.hashes)
            users.setdefault(wheel.name, []).append(python)
    return [
        LockedWheel(
            name,
            versions[name],
            tuple(sorted(hashes[name])),
            () if len(users[name]) == len(pythons) else tuple(users[name]),
        )
        for name in sorted(versions)
    ]


def parse_requirement(line: str) -> Requirement:
    """A PEP 508 line. Raises AsrboxError naming it when it is none."""
    try:
        return Requirement(line)
    except InvalidRequirement as error:
        raise AsrboxError(f"no Python requirement: {line!r}", hint="write NAME or NAME>=1.2") from error


def _source(requirement: Requirement, constraints: Sequence[str], folder: Path) -> str:
    """Download a source distribution, make its wheel where `_report` finds it, and give the sha256 of the source."""
    name = canonicalize_name(requirement.name)
    pins = [line for line in constraints if canonicalize_name(parse_requirement(line).name) == name]
    place = folder / name
    run_pip(["download", "--no-deps", f"--no-binary={name}", "--dest", place, *(pins or [str(requirement)])])
    (archive,) = place.iterdir()
    run_pip(["wheel", "--no-deps", "--wheel-dir", folder / "links", archive])
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def _report(requirements: Sequence[str], python: str, constraints: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    if not requirements:
        return []
    links = folder / "links"
    links.mkdir(exist_ok=True)
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements))
    (folder / "constraints.txt").write_text("".join(f"{line}\n" for line in constraints))
    report = folder / "report.json"
    # --target is what allows another platform than this one; --dry-run writes nothing there
    options = ["--dry-run", "--ignore-installed", "--only-binary=:all:", *platform_options(python)]
    places: list[str | Path] = ["--find-links", links, "--target", folder / "none", "--report", report]
    run_pip(["install", *options, *places, "-c", folder / "constraints.txt", "-r", folder / "requirements.txt"])
    installed: list[dict[str, Any]] = json.loads(report.read_text())["install"]
    return installed


def _closure(
    requirements: Sequence[Requirement], found: Mapping[str, dict[str, Any]], environment: Mapping[str, str]
) -> tuple[set[str], list[str]]:
    """Names that the requirements need in `environment`, and those requirements for which nothing was found."""
    needed: set[str] = set()
    absent: set[str] = set()
    seen: set[tuple[str, str]] = set()
    queue = [(requirement, "") for requirement in requirements]
    while queue:
        requirement, extra = queue.pop()
        if requirement.marker and not requirement.marker.evaluate({**environment, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name not in found:
            absent.add(str(requirement).partition(";")[0].strip())
            continue
        needed.add(name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                queue += [(Requirement(line), wanted) for line in found[name]["metadata"].get("requires_dist", [])]
    return needed, sorted(absent)


def _name_of(item: Mapping[str, Any]) -> str:
    return canonicalize_name(str(item["metadata"]["name"]))


def _locked(item: Mapping[str, Any], source: str | None) -> LockedWheel:
    info = item["download_info"]
    digest = source or info.get("archive_info", {}).get("hashes", {}).get("sha256")
    if digest is None:
        raise AsrboxError(f"{_name_of(item)}: the index gives no sha256 for {info.get('url')}")
    return LockedWheel(_name_of(item), str(item["metadata"]["version"]), (str(digest),))


def _target_environment(python: str) -> dict[str, str]:
    here = {key: str(value) for key, value in default_environment().items()}
    return here | {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_machine": "x86_64",
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
    }
