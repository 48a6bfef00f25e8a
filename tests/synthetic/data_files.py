"""The typed form of data/: recipes.yaml (what maintainer scripts would make) and names.yaml (EL's names)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, RootModel

from builder.errors import AsrboxError, ErrorList
from builder.manifest import Model
from builder.yamlfile import YamlFile, parse, read_yaml

InTree = Annotated[str, Field(pattern=r"^/[^\s*?]+$")]
Octal = Annotated[str, Field(pattern=r"^[0-7]{4}( [a-z_-]+ [a-z_-]+)?$")]


class FromFile(Model):
    """A text that is a file of its own in data/files."""

    file: str


class Recipe(Model):
    """What the RPM of one package has and its .deb has not: see the head of recipes.yaml."""

    texts: dict[InTree, str | FromFile] = {}
    copies: dict[InTree, InTree] = {}
    links: dict[InTree, str] = {}
    folders: dict[InTree, Octal] = {}
    modes: dict[InTree, Octal] = {}
    moves: dict[InTree, InTree] = {}
    edits: dict[InTree, dict[str, str]] = {}
    remove: list[InTree] = []
    provides: list[str] = []
    requires: list[str] = []
    scripted: list[InTree] = []
    ghosts: list[InTree] = []


class Own(Model):
    """A package that no .deb stands behind."""

    version: str
    summary: str
    recipe: Recipe


class Trigger(Model):
    """`script` (data/triggers/<script>.sh) runs once after a transaction that brought files into `folder`."""

    package: str
    folder: InTree
    priority: int
    script: str


class Recipes(Model):
    """recipes.yaml."""

    left_out: dict[str, str] = {}
    repositories: dict[str, list[str]]
    triggers: list[Trigger] = []
    own: dict[str, Own] = {}
    packages: dict[str, Recipe] = {}


class ElName(Model):
    """What stands for one EL name: packages of the lock, links to their programs, a note for the description."""

    packages: list[str]
    links: dict[InTree, str] = {}
    note: str = ""


class ElNames(RootModel[dict[str, ElName]]):
    """names.yaml."""


def read_recipes(folder: Path, packages: set[str]) -> Recipes:
    """data/recipes.yaml. Raises AsrboxError or ErrorList: not of this shape, or about a package the lock has not."""
    file = read_yaml(folder / "recipes.yaml")
    recipes = parse(file, Recipes)
    known = packages | set(recipes.own)
    errors = [_stale(file, ("packages", name), name) for name in recipes.packages if name not in known]
    errors += [_stale(file, ("left_out", name), name) for name in recipes.left_out if name not in packages]
    errors += [
        _stale(file, ("triggers", index), trigger.package)
        for index, trigger in enumerate(recipes.triggers)
        if trigger.package not in known
    ]
    _raise(errors)
    return recipes


def read_names(folder: Path, packages: set[str]) -> dict[str, ElName]:
    """data/names.yaml; `packages` are those that are not left out. Raises AsrboxError or ErrorList like the above."""
    file = read_yaml(folder / "names.yaml")
    names = parse(file, ElNames).root
    _raise(
        [
            _stale(file, (name, "packages", index), package)
            for name, entry in names.items()
            for index, package in enumerate(entry.packages)
            if package not in packages
        ]
    )
    return names


def check_wanted(root: Path, names: dict[str, ElName]) -> None:
    """Every name that a manifest of the checkout `root` asks for under `el:` must be in `names`.

    Raises ErrorList with file, line and name of each that is not.
    """
    errors = []
    for path in [*sorted(root.glob("images/*.yaml")), *sorted(root.glob("appliances/*/appliance.yaml"))]:
        file = read_yaml(path)
        lists = file.data.get("packages") if isinstance(file.data, dict) else None
        wanted = lists.get("el") if isinstance(lists, dict) else None
        for index, name in enumerate(wanted or []):
            if name not in names:
                errors.append(
                    file.error(
                        f"the synthetic distribution knows no EL package {name}",
                        ("packages", "el", index),
                        hint="say in tests/synthetic/data/names.yaml which packages of the lock stand for it",
                    )
                )
    _raise(errors)


def _stale(file: YamlFile, key: tuple[str | int, ...], package: str) -> AsrboxError:
    return file.error(
        f"the lock has no package {package}, or it is left out", key, hint="name a package that is in the lock"
    )


def _raise(errors: list[AsrboxError]) -> None:
    if errors:
        raise errors[0] if len(errors) == 1 else ErrorList(errors)
