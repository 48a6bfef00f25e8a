"""`asrbox lock`: today's packages and wheels into distro/locks/."""

from __future__ import annotations

import configparser
import datetime
from collections.abc import Iterator

from builder import lock, log, wheel_resolve, wheels
from builder.resolve import Project, Resolved
from builder.workshop import Workshop

BUILD_HOST_PYTHONS = ("3.11", "3.13")  # of Debian 12 and 13
BUILD_TOOLS = ["setuptools"]


def relock(workshop: Workshop) -> Iterator[str]:
    """Write the locks of the distribution's base; yields one line per change."""
    resolved, name = workshop.resolved, workshop.resolved.distribution.base
    project, tools = resolved.project, workshop.tools()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    with log.step("resolve the packages of all trees"):
        fresh = lock.resolve(tools.base, resolved.packages(), today)
    path = project.lock(name)
    changes = lock.diff(lock.read(path), fresh) if path.is_file() else ["a first lock"]
    lock.write(path, fresh)
    yield f"{path.relative_to(project.root)}: {len(fresh.packages())} packages, {len(changes)} changes"
    yield from (f"  {change}" for change in changes)
    yield from relock_wheels(resolved)


def relock_wheels(resolved: Resolved) -> Iterator[str]:
    """Write the locks of the base's Python parts, and of what makes wheels; yields one line per file."""
    project = resolved.project
    for tree, requirements in resolved.python().items():
        with log.step(f"resolve the Python packages of {tree}"):
            found = wheel_resolve.resolve(requirements, resolved.base.python)
        target = resolved.wheel_lock(tree)
        wheels.write(target, found, f"Python packages of {tree} on {resolved.base.title}")
        yield f"{target.relative_to(project.root)}: {len(found)} packages"
    build_tools = wheel_resolve.resolve(BUILD_TOOLS, resolved.base.python)
    wheels.write(project.build_tools_lock, build_tools, "Makes wheels of parts that are published as source only")


def relock_tools(project: Project) -> None:
    """Write distro/locks/tools.txt from setup.cfg: what the build host needs, tests included, on each Python."""
    config = configparser.ConfigParser()
    config.read(project.root / "setup.cfg")
    extras = config["options.extras_require"]
    listed = [config["options"]["install_requires"], extras["appliances"], extras["tests"]]
    requirements = [line.strip() for text in listed for line in text.splitlines() if line.strip()]
    with log.step("resolve the Python packages of the build host"):
        found = wheel_resolve.resolve_for_all(requirements, BUILD_HOST_PYTHONS)
    wheels.write(project.tools_lock, found, "The virtual environment of the build host, tests included")
