"""SHA256SUMS beside the ISO, its detached signature, and the check of both."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from builder.errors import AsrboxError, Where
from builder.run import run

SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.asc"


def write_checksums(folder: Path, files: Sequence[Path], *, key: str | None = None) -> Path:
    """Write folder/SHA256SUMS for `files`, all inside `folder`; lines of other files that still exist stay.

    With `key` (anything GnuPG takes for --local-user) a detached signature SHA256SUMS.asc is made; without, an old
    signature is removed, as it would be wrong now. Raises AsrboxError when GnuPG cannot sign.
    """
    sums = folder / SUMS
    known = read_checksums(sums) if sums.is_file() else {}
    known = {name: digest for name, digest in known.items() if (folder / name).is_file()}
    known.update({file.name: sha256(file) for file in files})
    temporary = folder / f".{SUMS}.tmp"
    temporary.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(known.items())))
    (folder / SIGNATURE).unlink(missing_ok=True)
    temporary.rename(sums)
    if key is not None:
        sign(sums, folder / SIGNATURE, key)
    return sums


def read_checksums(sums: Path) -> dict[str, str]:
    """File name → sha256 hex digits. Raises AsrboxError with the line that is none of sha256sum's."""
    found = {}
    for number, line in enumerate(sums.read_text().splitlines(), start=1):
        parts = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if not parts:
            hint = "a line is: 64 hex digits, two spaces, file name"
            raise AsrboxError("this is not a checksum", hint=hint, where=Where(sums, number))
        found[parts[2]] = parts[1]
    return found


def sign(file: Path, signature: Path, key: str) -> None:
    """Make a detached, armoured signature. Raises AsrboxError when GnuPG has no such secret key."""
    command: list[str | Path] = ["gpg", "--batch", "--yes", "--armor", "--local-user", key]
    run([*command, "--output", signature, "--detach-sign", file], env=_home(), hint="list your keys: gpg -K")


def check_signature(file: Path, signature: Path, keyring: Path | None) -> str:
    """Who signed `file`. `keyring` is a file of public keys (armoured or not); None takes the user's own keyring.

    Raises AsrboxError when the signature is bad or made by a key that is not in the keyring.
    """
    with tempfile.TemporaryDirectory(prefix="asrbox-gpg-") as home:
        environment = _home()
        if keyring is not None:
            environment = {"GNUPGHOME": home}
            run(["gpg", "--batch", "--quiet", "--no-autostart", "--import", keyring], env=environment)
        verify: list[str | Path] = ["gpg", "--batch", "--no-autostart", "--status-fd", "1", "--verify"]
        done = run([*verify, signature, file], env=environment, ok_codes=(0, 1, 2))
    if bad := re.search(r"^\[GNUPG:\] (BADSIG|EXPKEYSIG|EXPSIG|REVKEYSIG) \S+ ?(.*)$", done.stdout, re.MULTILINE):
        reason = {"BADSIG": "the file was changed after it was signed", "REVKEYSIG": "the key was revoked"}
        raise AsrboxError(f"bad signature by {bad[2]}: {reason.get(bad[1], 'the signature or its key has expired')}")
    if missing := re.search(r"^\[GNUPG:\] NO_PUBKEY (\S+)$", done.stdout, re.MULTILINE):
        hint = "give the public key of who you expect: --keyring FILE"
        raise AsrboxError(f"signed by the key {missing[1]}, which is not in the keyring", hint=hint)
    good = re.search(r"^\[GNUPG:\] GOODSIG \S+ (.+)$", done.stdout, re.MULTILINE)
    if done.code != 0 or not good:
        raise AsrboxError(f"{signature} is no signature that GnuPG understands")
    return good[1]


def sha256(path: Path) -> str:
    """64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _home() -> dict[str, str]:
    return {"GNUPGHOME": os.environ["GNUPGHOME"]} if "GNUPGHOME" in os.environ else {}
