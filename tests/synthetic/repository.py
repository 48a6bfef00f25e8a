"""A mirror folder of built RPMs: signed packages, repodata, comps, signed repomd.xml, the public key."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from builder.errors import AsrboxError
from builder.run import run

KEY_FILE = "RPM-GPG-KEY-asrbox-synthetic"
USER = "asrbox synthetic packages (made for a test) <synthetic@asrbox.internal>"


class Signer:
    """Signs with the key in the GnuPG folder `home`, at the time `epoch` (seconds)."""

    def __init__(self, home: Path, epoch: int, log: Path) -> None:
        self._log = log
        self._environment = {"GNUPGHOME": str(home), "HOME": str(home), "GPG_TTY": "none"}
        moment = datetime.datetime.fromtimestamp(epoch, datetime.UTC)
        self._clock = f"--faked-system-time={moment:%Y%m%dT%H%M%S}!"

    def sign_packages(self, files: Sequence[Path]) -> None:
        """Sign RPMs in place, one after the other: GnuPG's agent serves one caller well."""
        macros = {"__gpg": "/usr/bin/gpg", "_gpg_name": USER, "_gpg_sign_cmd_extra_args": self._clock}
        defines = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
        self._run("rpmsign", *defines, "--addsign", *files)

    def sign_file(self, file: Path) -> None:
        """Make a detached, armoured signature beside a file."""
        self._gpg("--armor", "--output", f"{file}.asc", "--local-user", USER, "--detach-sign", file)

    def export(self, target: Path) -> None:
        """Write the public key."""
        self._gpg("--armor", "--output", target, "--export", USER)

    def open(self, file: Path) -> None:
        """Take the key in `file` (armoured secret key), or make one and keep it there."""
        if not file.is_file():
            self._gpg("--quick-generate-key", USER, "rsa3072", "sign", "never")
            temporary = file.with_name(f".{file.name}")
            self._gpg("--armor", "--output", temporary, "--export-secret-keys", USER)
            temporary.rename(file)
            return
        self._gpg("--import", file)

    def close(self) -> None:
        """End GnuPG's agent."""
        self._run("gpgconf", "--kill", "gpg-agent")

    def _gpg(self, *arguments: str | Path) -> None:
        self._run("gpg", "--batch", "--yes", "--pinentry-mode=loopback", "--passphrase=", self._clock, *arguments)

    def _run(self, *command: str | Path) -> None:
        run(command, env=self._environment, log=self._log)


@contextlib.contextmanager
def signer(file: Path, epoch: int, log: Path) -> Iterator[Signer]:
    """A signer that leaves no agent and no folder behind; what the programs say goes to `log`."""
    # a folder with a short name, since the agent has a socket in it
    with tempfile.TemporaryDirectory(prefix="synthetic-gpg-", ignore_cleanup_errors=True) as name:
        opened = Signer(Path(name), epoch, log)
        try:
            opened.open(file)
            yield opened
        finally:
            opened.close()


def repository_of(name: str, repositories: Mapping[str, Sequence[str]]) -> str:
    """The repository whose pattern fits a package first. Raises AsrboxError when none does."""
    for repository, patterns in repositories.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return repository
    raise AsrboxError(
        f"no repository takes the package {name}", hint="add a pattern to tests/synthetic/data/recipes.yaml"
    )


def lay_out(mirror: Path, built: Mapping[str, Path], repositories: Mapping[str, Sequence[str]]) -> list[Path]:
    """Move built RPMs (package name → file) to <mirror>/<repository>/Packages/ → their new places, sorted."""
    places = []
    for repository in repositories:
        (mirror / repository / "Packages").mkdir(parents=True)
    for name, file in sorted(built.items()):
        place = mirror / repository_of(name, repositories) / "Packages" / file.name
        file.rename(place)
        places.append(place)
    return places


def index(mirror: Path, repositories: Sequence[str], comps: Path, sign: Signer, epoch: int) -> None:
    """Make the repodata of every repository, empty ones too; baseos gets the groups of `comps`."""
    for name in repositories:
        folder = mirror / name
        for file in (folder / "Packages").iterdir():
            os.utime(file, (epoch, epoch))
        groups: list[str | Path] = []
        if name == "baseos":
            shutil.copyfile(comps, folder / "comps.xml")
            groups = ["--groupfile", "comps.xml"]
        run(
            ["createrepo_c", "--quiet", f"--revision={epoch}", "--set-timestamp-to-revision", *groups, folder],
            env={"SOURCE_DATE_EPOCH": str(epoch)},
        )
        (folder / "comps.xml").unlink(missing_ok=True)
        sign.sign_file(folder / "repodata/repomd.xml")
    sign.export(mirror / KEY_FILE)
