"""dnf's solver, asked through a small script under the system's Python (no wheel has dnf); its answers explained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.bases import LockedPackage
from builder.bases.rpm_repositories import Repository
from builder.errors import AsrboxError
from builder.run import run

PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).parent / "rpm_files" / "solve.py"


@dataclass(frozen=True)
class Wanted:
    """A tree to resolve: names of packages, and the tree whose packages are there already."""

    tree: str
    names: Sequence[str]
    on: str | None


@dataclass(frozen=True)
class Solver:
    """dnf with everything below `folder`, for these repositories, and nothing of the build host's configuration."""

    folder: Path
    architecture: str
    release: str
    module_platform: str | None
    repositories: tuple[Repository, ...]

    def resolve(self, trees: Sequence[Wanted]) -> dict[str, list[LockedPackage]]:
        """Exact packages per tree, what lies below it left out; `key` is still empty.

        Raises AsrboxError naming the tree and what cannot be had.
        """
        asked = [{"tree": wanted.tree, "names": sorted(set(wanted.names)), "on": wanted.on} for wanted in trees]
        said = self._ask("resolve", trees=asked)
        return {tree: [_package(row) for row in rows] for tree, rows in said["trees"].items()}

    def find(self, packages: Sequence[LockedPackage]) -> list[LockedPackage | None]:
        """For each package what its repository has under that name, version and architecture now."""
        asked = [
            {
                "name": package.name,
                "version": package.version,
                "architecture": package.architecture,
                "repository": repository_of(package),
            }
            for package in packages
        ]
        return [row and _package(row) for row in self._ask("find", packages=asked)["found"]]

    def _ask(self, action: str, **more: object) -> dict[str, Any]:
        self.folder.mkdir(parents=True, exist_ok=True)
        request = {
            "action": action,
            "state": str(self.folder),
            "architecture": self.architecture,
            "release": self.release,
            "module_platform": self.module_platform,
            "repositories": [
                {"name": repository.name, "url": repository.url, "exclude": list(repository.exclude)}
                for repository in self.repositories
            ],
            **more,
        }
        done = run(
            [PYTHON, "-I", "-B", SCRIPT], input=json.dumps(request), cwd=self.folder, env={"HOME": str(self.folder)}
        )
        said: dict[str, Any] = json.loads(done.stdout)
        if "problem" in said:
            raise _explained(said["problem"])
        return said


def repository_of(package: LockedPackage) -> str:
    """The repository that a package comes from."""
    return package.origin.partition(" ")[0]


def path_of(package: LockedPackage) -> str:
    """The path of a package's file in its repository."""
    return package.origin.partition(" ")[2]


def _package(row: Mapping[str, Any]) -> LockedPackage:
    kind, digest = row["checksum"]
    if kind != "sha256":
        raise AsrboxError(
            f"{row['name']} {row['version']}: the repository {row['repository']} names its files by {kind}, not sha256",
            hint="use a mirror whose metadata was made with createrepo_c --checksum sha256",
        )
    origin = f"{row['repository']} {row['path']}"
    return LockedPackage(row["name"], row["version"], row["architecture"], digest, row["size"], origin)


def _explained(problem: Mapping[str, Any]) -> AsrboxError:
    kind, text = problem["kind"], " ".join(str(problem["text"]).split())
    if kind == "dnf":
        return AsrboxError(f"dnf's solver is not installed ({text})", hint="run: apt-get install python3-dnf")
    if kind == "unknown":
        return AsrboxError(
            f"tree {problem['tree']}: no repository of the base has the package {', '.join(sorted(problem['names']))}",
            hint="is the name right? look in images/*.yaml and appliances/*/appliance.yaml",
        )
    if kind == "unsolvable":
        return AsrboxError(f"tree {problem['tree']}: these packages cannot be installed together: {text}")
    return AsrboxError(
        f"a repository cannot be read: {text}",
        hint="the mirror is in the middle of an update, or damaged: try again later, or another --mirror",
    )
