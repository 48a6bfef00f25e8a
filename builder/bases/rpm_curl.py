"""Downloads by curl: a first contact that fails fast, and files that go on where they stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from builder import log
from builder.errors import AsrboxError
from builder.run import run

ANY_CODE = tuple(range(256))
FIRST_CONTACT = ["--connect-timeout", "4", "--max-time", "8"]  # seconds, for the index of a repository or a key
DOWNLOAD = ["--connect-timeout", "10", "--speed-limit", "1000", "--speed-time", "30"]  # seconds, bytes per second
PAUSES: Sequence[float] = (1, 3, 6)  # seconds before each further attempt
# exit codes of curl (curl(1), EXIT CODES)
NOBODY_ANSWERS = {5, 6, 7, 28, 35, 52, 56, 60}
NO_RANGES = 33
BROKEN = NOBODY_ANSWERS | {16, 18, 55, 92}
WAYS_ON = (
    "three ways on: --mirror URL of a mirror that this machine reaches; --mirror FOLDER, made by `asrbox mirror` on a "
    "machine with internet; --boot-iso FILE, which remakes the vendor's boot medium but needs one of the other two for "
    "the packages"
)


@dataclass(frozen=True)
class Download:
    """One file to fetch: where from, where to (in the folder of all of them), how many bytes it has."""

    url: str
    target: Path
    size: int


def is_local(url: str) -> bool:
    """Whether reading this URL needs no network."""
    return url.startswith("file:")


def local_path(url: str) -> Path:
    """The file or folder behind a file: URL."""
    return Path(unquote(urlsplit(url).path))


def file_url(path: Path) -> str:
    """A file: URL of a path."""
    return f"file://{quote(str(path.absolute()))}"


def unreachable(url: str, said: str) -> AsrboxError:
    """The error for a server that does not answer."""
    return AsrboxError(f"{url} does not answer: {said}", hint=WAYS_ON)


def get(url: str, target: Path) -> bool:
    """Fetch a small file → whether it is there. Raises AsrboxError when nobody answers, within ten seconds."""
    if is_local(url):
        if not local_path(url).is_file():
            return False
        target.write_bytes(local_path(url).read_bytes())
        return True
    form = "%{http_code}\t%{errormsg}"
    options = [
        "--disable",
        "--silent",
        "--location",
        "--globoff",
        *FIRST_CONTACT,
        "--output",
        str(target),
        "--write-out",
        form,
    ]
    done = run(["curl", *options, url], ok_codes=ANY_CODE)
    status, _, said = done.stdout.partition("\t")
    if done.code in NOBODY_ANSWERS:
        raise unreachable(url, said)
    if done.code != 0:
        raise AsrboxError(f"{url} could not be fetched: {said}")
    if status == "200":
        return True
    if status in ("403", "404", "410"):
        return False
    raise AsrboxError(f"{url} gives the status {status}", hint="try again later, or another --mirror")


def fetch(files: Sequence[Download], folder: Path) -> dict[Path, str]:
    """Fetch files, going on with those that are half there → {target: why not} for those that failed.

    All targets are in `folder`. A broken connection is tried again a few times; what has arrived stays.
    """
    failed: dict[Path, str] = {}
    waiting = [file for file in files if not _complete(file)]
    for pause in (*PAUSES, None):
        waiting, why = _attempt(waiting, folder)
        failed |= why
        if not waiting or pause is None:
            break
        log.info(f"the connection broke for {len(waiting)} files: trying again in {pause:.0f} s")
        time.sleep(pause)
    return {file.target: failed[file.target] for file in files if file.target in failed and not _complete(file)}


def _attempt(files: Sequence[Download], folder: Path) -> tuple[list[Download], dict[Path, str]]:
    """Those files for which another attempt has a chance, and why each file failed."""
    if not files:
        return [], {}
    listed = folder / "files.curl"
    listed.write_text("".join(f'url = "{_quoted(file.url)}"\noutput = "{file.target.name}"\n' for file in files))
    form = r"%{exitcode}\t%{http_code}\t%{filename_effective}\t%{errormsg}\n"
    options = ["--disable", "--silent", "--fail", "--location", "--globoff", "--continue-at", "-", *DOWNLOAD]
    done = run(["curl", *options, "--write-out", form, "--config", listed], cwd=folder, ok_codes=ANY_CODE)
    rows = [line.split("\t", 3) for line in done.stdout.splitlines()]
    said = {folder / name: (int(code), status, message) for code, status, name, message in rows}
    again: list[Download] = []
    failed: dict[Path, str] = {}
    for file in files:
        code, status, message = said.get(file.target, (done.code, "", done.stderr.strip()))
        if code == 0 and _complete(file):
            continue
        if code in (0, NO_RANGES) or status == "416":
            file.target.unlink(missing_ok=True)  # what is there cannot be the beginning of this file
        if code in BROKEN or code == NO_RANGES or re.match(r"416|429|5..", status):
            again.append(file)
        failed[file.target] = message or "the mirror has less of it than the lock says"
    return again, failed


def _complete(file: Download) -> bool:
    return file.target.is_file() and file.target.stat().st_size >= file.size


def _quoted(url: str) -> str:
    scheme, rest = url.split("://", 1)
    return f"{scheme}://{quote(rest, safe='/+~:@%?=&[],')}"
