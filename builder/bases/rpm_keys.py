"""Who may sign: pinned keys in a private package database that holds nothing else, and packages checked against it."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.bases import rpm_curl
from builder.errors import AsrboxError
from builder.run import run

_SIGNATURE = re.compile(r"signature, key (?:id|fingerprint)[: ]+([0-9a-f]{8,64}): (\w+)", re.IGNORECASE)


@dataclass(frozen=True)
class Key:
    """One public key: `fingerprint` of its primary key, `parts` of that and of its subkeys, `text` in ASCII armour."""

    fingerprint: str
    parts: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Trust:
    """The keys that may sign packages of one repository, imported into a package database in `folder`."""

    folder: Path
    keys: tuple[Key, ...]
    _parts: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._parts.update({part: key.fingerprint for key in self.keys for part in key.parts})

    def prepare(self) -> None:
        """Make the database anew, of exactly these keys."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for key in self.keys:
            path = self.folder / f"{key.fingerprint}.asc"
            path.write_text(key.text)
            run(["rpmkeys", "--dbpath", self.folder, "--import", path], env={"HOME": str(self.folder)})

    def signers(self, files: Mapping[Path, str]) -> dict[Path, str | AsrboxError]:
        """For each file the fingerprint of the key that signed it, or what is wrong.

        `files` maps a path to what messages call the package. Both the signature of the header and the digest of the
        contents must be there and right.
        """
        found: dict[Path, str | AsrboxError] = {}
        for path, (good, lines) in _checked(self.folder, list(files)).items():
            found[path] = self._verdict(files[path], good, lines)
        return found

    def _verdict(self, package: str, good: bool, lines: Sequence[str]) -> str | AsrboxError:
        text = "\n".join(lines)
        signatures = _SIGNATURE.findall(text)
        if re.search(r": BAD\b", text):
            return AsrboxError(
                f"{package}: the file was changed after it was signed (its signature or digest is BAD)",
                hint="the mirror is damaged or was tampered with: use another one with --mirror",
            )
        if not signatures:
            return AsrboxError(
                f"{package} is not signed", hint="take the signed package, or sign it with a key given by --keyring"
            )
        for key, verdict in signatures:
            primary = {whole for part, whole in self._parts.items() if part.endswith(key.upper())}
            if verdict == "OK" and len(primary) == 1:
                if good:
                    return primary.pop()
                return AsrboxError(
                    f"{package}: rpm does not vouch for the whole file: {'; '.join(line.strip() for line in lines)}",
                    hint="a package must have a digest of its contents too: sign it with rpm 4.14 or newer",
                )
        key = signatures[0][0].upper()
        return AsrboxError(
            f"{package} is signed with the key {key}, which its repository does not trust",
            hint="add the key to the base manifest when it is right; for a repository of your own give it by --keyring",
        )


def _checked(database: Path, files: Sequence[Path]) -> dict[Path, tuple[bool, list[str]]]:
    """Whether rpmkeys finds all of a file good, and what it says of it."""
    if not files:
        return {}
    options = ["--dbpath", str(database), "--define", "_pkgverify_level all", "--checksig", "--verbose"]
    done = run(["rpmkeys", *options, *files], ok_codes=tuple(range(256)), env={"HOME": str(database)})
    if done.code != 0 and len(files) > 1:  # the exit code is one for all
        return {path: _checked(database, [path])[path] for path in files}
    found: dict[Path, tuple[bool, list[str]]] = {}
    lines: list[str] = []
    for line in done.stdout.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            lines = []
            found[Path(line[:-1])] = (done.code == 0, lines)
        else:
            lines.append(line)
    for path in files:
        if path not in found or not found[path][1]:  # no package at all
            found[path] = (False, [f"{done.stderr.strip()}: BAD"])
    return found


def read(path: Path) -> list[Key]:
    """The keys of a file (ASCII armour or binary). Raises AsrboxError when there is none in it."""
    if not path.is_file():
        raise AsrboxError(f"the key file {path} does not exist", hint="name another one in the base or with --keyring")
    with tempfile.TemporaryDirectory(prefix="asrbox-keys-") as home:
        gpg = ["gpg", "--batch", "--quiet", "--no-autostart", "--homedir", home]
        shown = run([*gpg, "--show-keys", "--with-colons", path], ok_codes=(0, 2)).stdout
        parts = _fingerprints(shown)
        if not parts:
            raise AsrboxError(f"{path} holds no OpenPGP public key", hint="export it with: gpg --armor --export")
        run([*gpg, "--import", path])
        return [Key(group[0], group, run([*gpg, "--armor", "--export", group[0]]).stdout) for group in parts]


def _fingerprints(colons: str) -> list[tuple[str, ...]]:
    """Per key in the output of gpg: the fingerprints of the primary key and of its subkeys."""
    groups: list[list[str]] = []
    for line in colons.splitlines():
        fields = line.split(":")
        if fields[0] == "pub":
            groups.append([])
        elif fields[0] == "fpr" and groups:
            groups[-1].append(fields[9])
    return [tuple(group) for group in groups]


def pinned(row: Mapping[str, Any], *, root: Path, cache: Path, mirror: str | None, offline: bool) -> Key:
    """The key of a row {fingerprint, file or url} of the manifest.

    Without `file` it is looked for in `cache` (a folder), on the `mirror` (a URL; keys/<fingerprint>.asc), at its url.
    Raises AsrboxError when it cannot be had, or when what is there is another key.
    """
    fingerprint = str(row["fingerprint"])
    if row.get("file"):
        return _the_one(root / str(row["file"]), fingerprint)
    kept = cache / f"{fingerprint}.asc"
    if kept.is_file():
        return _the_one(kept, fingerprint)
    cache.mkdir(parents=True, exist_ok=True)
    places = [f"{mirror}/keys/{fingerprint}.asc"] if mirror else []
    if not offline:
        places.append(str(row["url"]))
    fresh = cache / f".{fingerprint}"
    try:
        for url in places:
            if rpm_curl.get(url, fresh):
                key = _the_one(fresh, fingerprint, url)
                kept.write_text(key.text)
                return key
    finally:
        fresh.unlink(missing_ok=True)
    raise AsrboxError(
        f"the key {fingerprint} is neither in the pool nor at {' nor at '.join(places) or 'any allowed place'}",
        hint="give its file with --keyring, or build once with a network",
    )


def _the_one(path: Path, fingerprint: str, place: str | None = None) -> Key:
    keys = {key.fingerprint: key for key in read(path)}
    if fingerprint not in keys:
        raise AsrboxError(
            f"the key of {place or path} has the fingerprint {', '.join(keys)}, and {fingerprint} is pinned",
            hint="it was replaced: find out by whom before you change the base manifest",
        )
    return keys[fingerprint]
