"""Where the repositories of an EL base are: the addresses of its manifest, or a --mirror instead of all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.bases import rpm_curl
from builder.errors import AsrboxError

INDEX = "repodata/repomd.xml"


@dataclass(frozen=True)
class Repository:
    """One repository: `url` is the folder that holds repodata/; `exclude` are patterns of package names."""

    name: str
    url: str
    exclude: tuple[str, ...]


def find(row: Mapping[str, Any], mirror: str | None) -> Repository:
    """Look where a repository of the manifest (`row`) is. Raises AsrboxError when it is nowhere, or nobody answers."""
    places = [str(row["url"])]
    if mirror is not None:
        places = [f"{as_url(mirror)}/{below}" for below in (row["name"], *row.get("on_mirrors", ()))]
    for url in places:
        if _has_index(url):
            return Repository(str(row["name"]), url, tuple(row.get("exclude", ())))
    looked = " or ".join(f"{url}/{INDEX}" for url in places)
    where = f"the mirror {mirror} has" if mirror is not None else "there is"
    raise AsrboxError(
        f"{where} no repository {row['name']} (no {looked})",
        hint="--mirror takes a folder that `asrbox mirror` has made, or a mirror that has every repository of the base",
    )


def as_url(mirror: str) -> str:
    """--mirror as a URL without a slash at its end. Raises AsrboxError when it is neither a URL nor a folder."""
    if "://" in mirror:
        return mirror.rstrip("/")
    if not Path(mirror).is_dir():
        raise AsrboxError(f"the mirror {mirror} is no folder and no URL", hint=rpm_curl.WAYS_ON)
    return rpm_curl.file_url(Path(mirror))


def rows_named(manifest: Mapping[str, Any], names: Sequence[str]) -> list[Mapping[str, Any]]:
    """The manifest's rows of these repositories. Raises AsrboxError for one that the base does not have."""
    rows = {str(row["name"]): row for row in manifest["repositories"]}
    for name in names:
        if name not in rows:
            raise AsrboxError(
                f"the lock takes packages from the repository {name}, which the base {manifest['base']} does not have",
                hint="run: asrbox lock",
            )
    return [rows[name] for name in names]


def _has_index(url: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="asrbox-index-") as folder:
        return rpm_curl.get(f"{url}/{INDEX}", Path(folder, "repomd.xml"))
