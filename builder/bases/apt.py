"""A private apt: its own sources, keys, lists and cache, and the state of a machine that has nothing installed.

apt itself checks signature → Packages → package file; this module says what went wrong in words of the manifest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from builder.bases.mirrors import Suite, is_local, local_path
from builder.errors import AsrboxError
from builder.run import Completed, run

# how to reach a mirror and which clocks to trust is the machine's business; all else here is ours
_OF_THE_MACHINE = re.compile(r"^Acquire::(https?|ftp|socks|Check-|Force|Min-ValidTime|Max-ValidTime).*;$")
_INSTALLED = re.compile(r"^Inst (\S+) \((\S+) .*\[(\S+)\]\)")
_FAILED = re.compile(r"^[EW]: Failed to fetch (\S+)\s+(.*(?:\n {2,}.*)*)", re.MULTILINE)
_UNREACHABLE = re.compile(
    r"Could not (?:connect|resolve)|Cannot initiate the connection|Temporary failure resolving|Connection timed out|"
    r"Unable to connect|Connection failed|Network is unreachable|Name or service not known"
)


@dataclass(frozen=True)
class Chosen:
    """A package as apt's resolver names it."""

    name: str
    version: str
    architecture: str


@dataclass(frozen=True)
class Download:
    """One file to fetch: where from, where to, and its checksum."""

    uri: str
    target: Path
    sha256: str


@dataclass(frozen=True)
class Apt:
    """apt with everything below `folder`, for these suites, trusting these keyrings only."""

    folder: Path
    architecture: str
    suites: tuple[Suite, ...]
    keyrings: tuple[Path, ...]

    def prepare(self) -> None:
        """Write the configuration. Raises AsrboxError when a keyring is not there."""
        for keyring in self.keyrings:
            if not keyring.is_file():
                raise AsrboxError(
                    f"the keyring {keyring} does not exist",
                    hint="run: apt-get install debian-archive-keyring, or name another keyring in the base manifest",
                )
        for name in ("lists/partial", "archives/partial", "log", "empty.d"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        keys = ",".join(str(path) for path in self.keyrings)
        self._write("sources.list", [self._source(suite, keys) for suite in self.suites])
        self._write("apt.conf", [*_machine_settings(), *self._settings()])

    def _source(self, suite: Suite, keys: str) -> str:
        options = f"[arch={self.architecture} signed-by={keys}]"
        return f"deb {options} {suite.uri} {suite.suite} {' '.join(suite.components)}"

    def _settings(self) -> list[str]:
        places = {
            "Dir::State::Lists": "lists",
            "Dir::State::Status": "status",
            "Dir::State::extended_states": "extended_states",
            "Dir::Cache": ".",
            "Dir::Cache::Archives": "archives",
            "Dir::Log": "log",
            "Dir::Etc::SourceList": "sources.list",
            "Dir::Etc::SourceParts": "empty.d",
            "Dir::Etc::Parts": "empty.d",
            "Dir::Etc::Main": "none",
            "Dir::Etc::Preferences": "none",
            "Dir::Etc::PreferencesParts": "empty.d",
            "Dir::Etc::Trusted": "none",
            "Dir::Etc::TrustedParts": "empty.d",
        }
        settings = {
            "APT::Architecture": self.architecture,
            "APT::Install-Recommends": "false",
            "APT::Install-Suggests": "false",
            "APT::Get::Assume-Yes": "true",
            "APT::Sandbox::User": "root",  # the folder may be below a home that _apt cannot enter
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
            "Acquire::PDiffs": "false",
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": "30",
            "Acquire::https::Timeout": "30",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
            "Debug::NoLocking": "true",  # the caller holds a lock on the folder
        }
        lines = [f'{key} "{self.folder / name}";' for key, name in places.items()]
        lines += [f'{key} "{value}";' for key, value in settings.items()]
        return [*lines, f'APT::Architectures {{ "{self.architecture}"; }};']

    def _write(self, name: str, lines: Sequence[str]) -> None:
        (self.folder / name).write_text("\n".join(lines) + "\n")

    def _run(self, *argv: str, cwd: Path | None = None) -> Completed:
        env = {"APT_CONFIG": str(self.folder / "apt.conf")}
        return run(argv, env=env, cwd=cwd or self.folder, ok_codes=(0, 100))

    def has_suite(self, uri: str, suite: str) -> bool:
        """Whether a mirror has dists/<suite>. Raises AsrboxError when the mirror does not answer."""
        if is_local(uri):
            return (local_path(uri) / "dists" / suite).is_dir()
        target = self.folder / "probe"
        said = ""
        for name in ("InRelease", "Release"):
            target.unlink(missing_ok=True)  # apt would take it for the beginning of this download
            done = self._run("/usr/lib/apt/apt-helper", "download-file", f"{uri}/dists/{suite}/{name}", str(target))
            if done.code == 0:
                return True
            said = done.stdout + done.stderr
            if _UNREACHABLE.search(said):
                raise unreachable(uri, said)
        if "404" in said or "403" in said:
            return False
        raise AsrboxError(f"the mirror {uri} does not give dists/{suite}/Release", hint=_first_error(said))

    def uri_of(self, origin: str) -> str:
        """The URI of a package file from its origin, "suite/component pool-path"."""
        place, path = origin.split(" ", 1)
        suite = next(suite for suite in self.suites if suite.suite == place.split("/")[0])
        return f"{suite.uri}/{quote(path, safe='/+~:')}"

    def update(self) -> None:
        """Fetch Release and Packages. Raises AsrboxError: not reachable, not signed by a known key, damaged."""
        done = self._run("apt-get", "update")
        if done.code != 0:
            raise explain_update(done.stdout + done.stderr)

    def packages_files(self) -> list[tuple[str, str]]:
        """(suite/component, text) of each Packages file that `update` has left, in the order of the suites."""
        form = "$(RELEASE)\t$(COMPONENT)\t$(IDENTIFIER)\t$(FILENAME)"
        rows = self._run("apt-get", "indextargets", "--format", form).stdout.splitlines()
        found = []
        for row in rows:
            suite, component, identifier, name = row.split("\t")
            if identifier == "Packages":
                text = self._run("/usr/lib/apt/apt-helper", "cat-file", name).stdout
                found.append((f"{suite}/{component}", text))
        return found

    def simulate(self, names: Sequence[str]) -> list[Chosen]:
        """What installing `names` on an empty machine would bring. Raises AsrboxError naming what cannot be had."""
        done = self._run("apt-get", "install", "--simulate", "--quiet=1", *names)
        if done.code != 0:
            raise explain_install(done.stdout + done.stderr)
        return [Chosen(*found.groups()) for found in map(_INSTALLED.match, done.stdout.splitlines()) if found]

    def download(self, files: Sequence[Download]) -> dict[Path, str]:
        """Download files, going on with those that are half there → {target: what went wrong} for those that failed.

        A target with another checksum than the given one is removed by apt.
        """
        rows = [str(part) for file in files for part in (file.uri, file.target, f"SHA256:{file.sha256}")]
        done = self._run("/usr/lib/apt/apt-helper", "download-file", *rows)
        if done.code == 0:
            return {}
        said = done.stdout + done.stderr
        failed = {uri: " ".join(why.split()) for uri, why in _FAILED.findall(said)}
        if not failed:
            raise AsrboxError(f"apt could not download: {_first_error(said)}")
        return {file.target: failed[file.uri] for file in files if file.uri in failed}


def _machine_settings() -> list[str]:
    lines = run(["apt-config", "dump"]).stdout.splitlines()
    return [line for line in lines if _OF_THE_MACHINE.match(line)]


def unreachable(uri: str, said: str) -> AsrboxError:
    """The error for a mirror that does not answer; `said` is what apt printed."""
    reason = _UNREACHABLE.search(said)
    line = next((line for line in said.splitlines() if _UNREACHABLE.search(line)), "") if reason else ""
    return AsrboxError(
        f"the mirror {uri} does not answer: {line.strip(' EW:')}",
        hint="check the network and the proxy, give another --mirror, or build from the pool with --offline",
    )


def is_unreachable(said: str) -> bool:
    """Whether apt's words mean that nobody answered (and not that the answer was wrong)."""
    return _UNREACHABLE.search(said) is not None


def explain_update(said: str) -> AsrboxError:
    """Turn what `apt-get update` printed into one error with its cause."""
    place = re.search(
        r"(?:The repository '|GPG error: |Failed to fetch )(?:\S+:// ?)?([^']+?)(?:'| Release| InRelease|:? )", said
    )
    where = _repository(said)
    if _UNREACHABLE.search(said):
        return unreachable(where or (place.group(1) if place else "?"), said)
    key = re.search(r"NO_PUBKEY (\S+)|Missing key (\w+)", said)
    if key:
        return AsrboxError(
            f"{where}: its Release file is signed with the key {key.group(1) or key.group(2)}, which no keyring has",
            hint="a base trusts only the keyrings of its manifest; add the mirror's own with --keyring",
        )
    if re.search(r"BADSIG|signatures? (?:were|was) invalid|manipulated|Bad signature|Malformed", said, re.IGNORECASE):
        return AsrboxError(
            f"{where}: the signature of its Release file is wrong (BADSIG): it was changed after signing"
        )
    if "is not signed" in said or "NOSPLIT" in said or "NODATA" in said:
        return AsrboxError(
            f"{where}: its Release file is not signed", hint="sign the mirror (Release.gpg or InRelease), never skip it"
        )
    if "does not have a Release file" in said:
        return AsrboxError(f"{where}: there is no Release file there", hint="is that suite on this mirror?")
    if re.search(r"Hash Sum mismatch|unexpected size", said):
        return AsrboxError(
            f"{where}: a Packages file differs from the checksum in the signed Release file",
            hint="the mirror is in the middle of an update, or was tampered with: try again later or another mirror",
        )
    if "is expired" in said or "not valid yet" in said:
        return AsrboxError(f"{where}: {_first_error(said)}", hint="is the clock of this machine right?")
    return AsrboxError(f"apt-get update failed: {_first_error(said)}")


def _repository(said: str) -> str:
    for pattern in (
        r"The repository '(\S+) (\S+)",
        r"GPG error: (\S+) (\S+)",
        r"Failed to fetch (\S+?)/dists/(\S+?)/",
        r"(?:Err|Get|Ign):\d+ (\S+) (\S+)",
    ):
        found = re.search(pattern, said)
        if found:
            return f"{found.group(1)} {found.group(2)}"
    return "the mirror"


def explain_install(said: str) -> AsrboxError:
    """Turn what `apt-get install` or `download` printed into one error that names the package."""
    absent = re.findall(r"E: (?:Unable to locate package|Package|Version '[^']*' for) '?([^\s']+)'?", said)
    if absent:
        return AsrboxError(
            f"no suite of the base has the package {', '.join(sorted(set(absent)))}",
            hint="is the name right? look in images/*.yaml and appliances/*/appliance.yaml",
        )
    unmet = [line.strip() for line in said.splitlines() if re.match(r"^ \S+ : |^ {5,}\S+: ", line)]
    if unmet:
        return AsrboxError(f"these packages cannot be installed together: {'; '.join(unmet)}")
    lines = said.splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("E:")), 0)
    return AsrboxError("apt failed: " + "\n    ".join(line.strip() for line in lines[first : first + 8]))


def _first_error(said: str) -> str:
    lines = said.splitlines()
    return next((line[2:].strip() for line in lines if line.startswith("E:")), " ".join(lines[-3:]))
