"""Brings the entry's configuration into force and keeps nginx answering with it.

A configuration and what belongs to it (keys, certificates) is one folder, named by its mark. nginx looks at it first;
only then `current` leads there, in one step, and nginx takes it over. One that nginx refuses changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import secrets
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from appliances.base.agent import ca, entry, entrypages, files
from appliances.base.agent.board import ApplianceStatus
from appliances.base.agent.distribution import Distribution
from appliances.base.agent.errors import AgentError
from appliances.base.agent.outside import Outside
from appliances.base.agent.paths import ENTRY_GID, Paths
from appliances.base.agent.watch import Backoff

UNIT = "asrbox-entry.service"
NGINX = "/usr/sbin/nginx"
WHO = "entry"  # as errors name it
LIMIT = 60.0  # seconds for one call of nginx or systemctl
TAKEN_OVER = 5.0  # seconds that nginx may need to show that it runs with a new configuration
ANSWER = 3.0  # seconds for one answer
FIRST_REPAIR = 10.0  # seconds that it has to be silent before it is restarted
LOOPBACK = "127.0.0.1"


class EntryService:
    """Keeps the entry as the distribution wants it. `say` takes sentences for the journal; `nginx` is the program,
    which listens on every address of the host, or on `address` alone.
    """

    def __init__(
        self, paths: Paths, say: Callable[[str], None], nginx: str = NGINX, address: str | None = None
    ) -> None:
        self._paths = paths
        self._say = say
        self._nginx = nginx
        self._address = address
        self._version: tuple[int, ...] = ()
        self._backoff = Backoff()

    def ensure(
        self, distribution: Distribution, authority: ca.Authority, outside: Outside, clients: dict[str, bytes]
    ) -> bool:
        """Make the entry serve what is published; returns whether it does. `clients` are clients.crt and clients.crl.

        Raises AgentError when nginx refuses the configuration; the one before stays in force.
        """
        for folder, mode in ((self._paths.entry, 0o750), (self._paths.entry_state, 0o700)):
            own = ENTRY_GID if folder == self._paths.entry_state else 0
            files.folder(folder, mode=mode, uid=own, gid=ENTRY_GID)
        files.folder(self._paths.challenges)
        contents = self._contents(distribution, authority, outside, clients)
        mark = contents_mark(contents)
        text = entry.configuration(distribution, self._paths, self._facts(outside), mark)
        contents["nginx.conf"] = text.encode()
        if mark != current(self._paths) or not holds(self._paths.entry / mark, contents):
            self._put_in_force(mark, contents)
            self._say(f"the entry has a new configuration, {mark}")
            self._systemctl("reload-or-restart")
            self._wait_for(mark)
        return self._mend(mark)

    def show(self, distribution: Distribution, statuses: list[ApplianceStatus]) -> None:
        """Bring the pages up to date that stand for appliances which do not answer. nginx need not know."""
        top = files.folder(self._paths.entry_pages, mode=0o750, gid=ENTRY_GID)
        files.folder(top / "ui", mode=0o750, gid=ENTRY_GID)
        wanted = entrypages.pages(distribution.published(), statuses)
        for name, content in wanted.items():
            files.write(top / name, content, mode=0o640, gid=ENTRY_GID)
        for path in top.rglob("*"):
            if path.is_file() and str(path.relative_to(top)) not in wanted:
                path.unlink()

    def _contents(
        self, distribution: Distribution, authority: ca.Authority, outside: Outside, clients: dict[str, bytes]
    ) -> dict[str, bytes]:
        """Every file of the folder by its name; the configuration still without its mark."""
        text = entry.configuration(distribution, self._paths, self._facts(outside), "")
        found = {"nginx.conf": text.encode(), "certificate.pem": self._certificate(authority, outside)}
        return {**found, "ca.crt": authority.pem, **clients}

    def _certificate(self, authority: ca.Authority, outside: Outside) -> bytes:
        """Key and chain that browsers are shown: brought by people, else signed by the host's own CA."""
        with contextlib.suppress(FileNotFoundError):
            return self._paths.outside_certificate.read_bytes()
        certificate, key = self._paths.ca / "entry.crt", self._paths.ca / "entry.key"
        authority.ensure(certificate, key, ca.subject_of([outside.hostname], [*outside.addresses, LOOPBACK]))
        return key.read_bytes() + certificate.read_bytes()

    def _facts(self, outside: Outside) -> entry.Facts:
        own = not self._paths.outside_certificate.exists()
        ipv6 = any(":" in address for address in outside.addresses)
        return entry.Facts(own, ipv6, self._nginx_version(), self._address)

    def _nginx_version(self) -> tuple[int, ...]:
        if not self._version:
            said = self._run([self._nginx, "-v"], "ask nginx for its version").stderr
            found = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said)
            if found is None:
                raise _error(f"it says no version but {said.strip()!r}", "ask nginx for its version")
            self._version = tuple(int(part) for part in found.groups())
        return self._version

    def _put_in_force(self, mark: str, contents: dict[str, bytes]) -> None:
        folder = files.folder(self._paths.entry / mark, mode=0o750, gid=ENTRY_GID)
        for name, content in contents.items():
            files.write(folder / name, content, mode=0o640, gid=ENTRY_GID)
        try:
            self._check(folder / "nginx.conf")
        except AgentError:
            if mark != current(self._paths):
                shutil.rmtree(folder)
            raise
        link = self._paths.entry / "current"
        temporary = link.with_name(f".current.{secrets.token_hex(4)}")
        temporary.symlink_to(mark)
        temporary.replace(link)
        files.sync_folder(link.parent)
        for other in self._paths.entry.iterdir():
            if other.name.startswith(".current."):
                other.unlink()
            elif other.is_dir() and other.name not in (mark, "current", "pages"):
                shutil.rmtree(other)

    def _check(self, configuration: Path) -> None:
        """nginx reads it as it will run: as its own user, who may listen below 1024."""
        as_user = ["setpriv", f"--reuid={ENTRY_GID}", f"--regid={ENTRY_GID}", "--clear-groups"]
        as_user += ["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"]
        beside = f"pid {self._paths.entry_state}/check.pid;"
        test = [self._nginx, "-t", "-q", "-e", "stderr", "-c", str(configuration), "-g", beside]
        done = self._run([*as_user, *test], "check the configuration")
        if done.returncode != 0:
            raise _error(f"nginx refuses it: {complaint(done.stderr)}", "check the configuration")

    def _wait_for(self, mark: str) -> None:
        until = time.monotonic() + TAKEN_OVER
        while self._asked() != mark and time.monotonic() < until:
            time.sleep(0.1)

    def _mend(self, mark: str) -> bool:
        """Whether nginx answers with this configuration; if not for a while, something is done about it."""
        answered = self._asked()
        if answered == mark:
            self._backoff.well(WHO)
            return True
        if self._backoff.due(WHO, FIRST_REPAIR):
            self._say(f"restarting the entry: {silence(answered)}")
            self._systemctl("restart")
            self._wait_for(mark)
        return False

    def _asked(self) -> str | None:
        return asked(self._address or LOOPBACK)

    def _systemctl(self, verb: str) -> None:
        done = self._run(["systemctl", verb, UNIT], f"systemctl {verb}")
        if done.returncode != 0:
            raise _error(f"{UNIT}: {done.stderr.strip() or 'it failed'}", f"systemctl {verb}")

    def _run(self, argv: list[str], step: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LIMIT)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _error(f"{argv[0]}: {error}", step) from error


def contents_mark(contents: dict[str, bytes]) -> str:
    """The name of a folder with these files: another one as soon as anything in it differs."""
    digest = hashlib.sha256()
    for name, content in sorted(contents.items()):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def holds(folder: Path, contents: dict[str, bytes]) -> bool:
    """Whether the files are there as they should be."""
    try:
        return all((folder / name).read_bytes() == content for name, content in contents.items())
    except OSError:
        return False


def current(paths: Paths) -> str | None:
    """The mark of the configuration in force; None before the first one."""
    try:
        return str((paths.entry / "current").readlink())
    except OSError:
        return None


def asked(address: str = LOOPBACK) -> str | None:
    """The mark of the configuration that nginx runs with; None when it does not answer."""
    context = ssl._create_unverified_context()  # noqa: S323  on loopback; which certificate is shown is not the question
    connection = http.client.HTTPSConnection(address, entry.HTTPS, timeout=ANSWER, context=context)
    try:
        connection.request("GET", "/.asrbox/health")
        answer = connection.getresponse()
        return answer.read(100).decode("ascii", "replace").strip() if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def silence(answered: str | None) -> str:
    """What is wrong, in words, when that is not the answer that was wanted."""
    return "it does not answer" if answered is None else "it goes on with an earlier configuration"


def complaint(stderr: str) -> str:
    """The line in which nginx says what is wrong, without its place in the log."""
    lines = [line for line in stderr.splitlines() if "[emerg]" in line or "[crit]" in line] or stderr.splitlines()
    return re.sub(r"^.*?\[\w+\] (?:\d+#\d+: )?", "", lines[0]).strip() if lines else "it says nothing"


def _error(message: str, step: str) -> AgentError:
    return AgentError(message, appliance=WHO, step=step, hint="see: journalctl -u asrbox-entry; asrctl certificate")
