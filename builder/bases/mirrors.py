"""Where the suites of a Debian base are: the build host's apt sources, a --mirror, or mmdebstrap's own default."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from builder import log
from builder.errors import AsrboxError
from builder.run import run

LISTS = Path("/etc/apt")
USABLE = ("http", "https", "ftp", "file", "copy", "mirror", "mirror+http", "mirror+https", "mirror+file")


@dataclass(frozen=True)
class Suite:
    """One suite on one mirror: `uri` is the folder that holds dists/<suite>."""

    suite: str
    uri: str
    components: tuple[str, ...]


def archive_roots(etc_apt: Path = LISTS) -> dict[str, str]:
    """Archive name ("debian", "debian-security", …) → first URI of the build host's apt sources that ends with it."""
    roots: dict[str, str] = {}
    for uri in _uris(etc_apt):
        parts = urlsplit(uri)
        archive = parts.path.rstrip("/").rsplit("/", 1)[-1]
        if archive and parts.scheme in USABLE:
            roots.setdefault(archive, uri.rstrip("/"))
    return roots


def _uris(etc_apt: Path) -> Iterator[str]:
    folder = etc_apt / "sources.list.d"
    for path in sorted(folder.glob("*.sources")):
        yield from _deb822_uris(path.read_text(errors="replace"))
    for path in [etc_apt / "sources.list", *sorted(folder.glob("*.list"))]:
        if path.is_file():
            yield from _one_line_uris(path.read_text(errors="replace"))


def _deb822_uris(text: str) -> Iterator[str]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n[ \t]*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        for field in re.split(r"\n(?![ \t])", stanza):
            name, colon, value = field.partition(":")
            if colon:
                fields[name.strip().lower()] = value
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").strip().lower() != "no":
            yield from fields.get("uris", "").split()


def _one_line_uris(text: str) -> Iterator[str]:
    for line in text.splitlines():
        found = re.match(r"\s*deb\s+(?:\[[^]]*\]\s*)?(\S+)\s+\S+", line)
        if found:
            yield found.group(1)


def suites_of(manifest: Mapping[str, object], mirror: str | None, has_suite: Callable[[str, str], bool]) -> list[Suite]:
    """The suites of a base manifest, each with the URI that it is read from.

    Without `mirror`: the build host's apt sources, and for archives that these do not name, mmdebstrap's default.
    With `mirror` (a URL or a folder): a suite is looked for there, and when it is of another archive than "debian"
    also in the sibling folder of that name and in <mirror>-<rest of the archive's name>. The first suite must be there;
    others that are nowhere are left out with a warning. `has_suite(uri, suite)` tells if a mirror has a suite.
    """
    wanted = [_suite_row(row) for row in _list(manifest["suites"])]
    if mirror is None:
        return _configured(wanted)
    root = _as_uri(mirror)
    found = []
    for suite, archive, components in wanted:
        places = [uri for uri in _places(root, archive) if has_suite(uri, suite)]
        if places:
            found.append(Suite(suite, places[0], components))
        elif not found:
            raise AsrboxError(
                f"the mirror {mirror} has no suite {suite} (no {root}/dists/{suite})",
                hint="--mirror takes the folder or URL that holds dists/ and pool/",
            )
        else:
            log.warn(f"the mirror {mirror} has no {suite}: going on without it")
    return found


def _configured(wanted: Sequence[tuple[str, str, tuple[str, ...]]]) -> list[Suite]:
    roots = archive_roots()
    if any(archive not in roots for _, archive, _ in wanted):
        roots = _mmdebstrap_roots(wanted[0][0]) | roots
    found = []
    for suite, archive, components in wanted:
        if archive not in roots:
            raise AsrboxError(
                f"no mirror of the archive {archive!r} is known for the suite {suite}",
                hint=f"name one in {LISTS}/sources.list.d, or give --mirror",
            )
        found.append(Suite(suite, roots[archive], components))
    return found


def _mmdebstrap_roots(suite: str) -> dict[str, str]:
    """Ask mmdebstrap which sources it would write: its set-up hook sees them before anything is downloaded."""
    with tempfile.TemporaryDirectory(prefix="asrbox-mirrors-") as folder:
        listed = Path(folder, "etc/apt")
        listed.mkdir(parents=True)
        hook = f'cat "$1"/etc/apt/sources.list > {listed}/sources.list; exit 1'
        argv = ["mmdebstrap", "--quiet", "--mode=root", "--variant=custom", f"--setup-hook={hook}", suite]
        run([*argv, Path(folder, "tree")], ok_codes=(0, 1, 25))
        return archive_roots(listed)


def _places(root: str, archive: str) -> list[str]:
    if archive == "debian":
        return [root]
    if not urlsplit(root).path:
        return [root, f"{root}/{archive}"]
    return [root, f"{root.rpartition('/')[0]}/{archive}", f"{root}-{archive.removeprefix('debian-')}"]


def _as_uri(mirror: str) -> str:
    if "://" in mirror or mirror.startswith(("copy:", "file:")):
        return mirror.rstrip("/")
    folder = Path(mirror).absolute()
    if not folder.is_dir():
        raise AsrboxError(f"the mirror {mirror} is no folder and no URL")
    return f"copy:{folder}"


def is_local(uri: str) -> bool:
    """Whether reading this URI needs no network."""
    return uri.startswith(("copy:", "file:"))


def local_path(uri: str) -> Path:
    """The folder behind a copy: or file: URI."""
    return Path(urlsplit(uri).path)


def _list(value: object) -> list[Mapping[str, object]]:
    if not isinstance(value, list):
        raise AsrboxError("suites of a Debian base must be a list")
    return value


def _suite_row(row: Mapping[str, object]) -> tuple[str, str, tuple[str, ...]]:
    components = row.get("components", ["main"])
    if not isinstance(components, list | tuple):
        raise AsrboxError(f"components of the suite {row['suite']} must be a list")
    return str(row["suite"]), str(row.get("archive", "debian")), tuple(str(name) for name in components)
