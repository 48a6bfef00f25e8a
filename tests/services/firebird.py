"""Firebird as the appliance runs it, on the test host: the built tree, its unit file, an address of 127.0.0.0/8.

Nothing of the tree is changed. The client library comes from the test host (package libfbclient2).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

ENTER = Path(__file__).parent / "run_in_tree.sh"
UNIT = "etc/systemd/system/asrbox-firebird.service"
PORT = 3050
HOSTNAME = "firebird.asr-billing.asrbox.internal"


def own_address() -> str:
    """An address of 127.0.0.0/8 for this test process, so that two runs on one machine do not meet."""
    return f"127.83.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 2}"


@dataclass
class FirebirdServer:
    """One server: `tree` is the root file system of asr_billing, `state` a folder of the test for all that changes."""

    tree: Path
    state: Path
    address: str
    secrets: dict[str, str] = field(
        default_factory=lambda: {"sysdba-password": "master's key", "billing-password": "correct horse"}
    )
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        for name in ("run", "tmp", "etc-asrbox/secrets", "database", "security", "log"):
            (self.state / name).mkdir(parents=True, exist_ok=True)
        user, group = self._account()
        for name in ("run", "security", "log"):
            os.chown(self.state / name, user, group)
        self.write_secrets(**self.secrets)
        (self.configuration / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {HOSTNAME}\n")

    @property
    def configuration(self) -> Path:
        """What the container sees as /etc/asrbox."""
        return self.state / "etc-asrbox"

    @property
    def database(self) -> Path:
        return self.state / "database" / "billing.fdb"

    def write_secrets(self, **values: str) -> None:
        for name, value in values.items():
            (self.configuration / "secrets" / name).write_text(value)

    def setup(self) -> subprocess.CompletedProcess[str]:
        """What ExecStartPre of the unit does."""
        return self.run(*shlex.split(self._unit("ExecStartPre").lstrip("+")))

    def start(self) -> None:
        """Set up, start, wait until the port answers."""
        done = self.setup()
        assert done.returncode == 0, done.stderr
        user, group = self._account()
        drop = ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
        self.process = subprocess.Popen(
            self._command(*drop, *shlex.split(self._unit("ExecStart"))), env=self._environment(), cwd="/"
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"firebird ended with {self.process.returncode}"
            try:
                socket.create_connection((self.address, PORT), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"firebird does not answer at {self.address}:{PORT}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the server; SIGKILL is the power cut. One that does not end is killed, so that it outlives no test."""
        if self.process is not None:
            process, self.process = self.process, None
            process.send_signal(how)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=60)
                raise

    def listening(self) -> set[str]:
        """Addresses on which a process of this machine listens at Firebird's port."""
        table = [*Path("/proc/net/tcp").read_text().splitlines(), *Path("/proc/net/tcp6").read_text().splitlines()]
        ends = [line.split()[1] for line in table if line.split()[3] == "0A"]
        hexadecimal = [end.split(":")[0] for end in ends if int(end.split(":")[1] or "0", 16) == PORT]
        return {socket.inet_ntoa(bytes.fromhex(text)[::-1]) if len(text) == 8 else f"[{text}]" for text in hexadecimal}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the tree as root, with the unit's environment."""
        return subprocess.run(
            self._command(*command), env=self._environment(), cwd="/", capture_output=True, text=True, check=False
        )

    def isql(self, database: str, statements: str) -> str:
        """Run SQL in the embedded engine (the server must not run) and give back what isql prints."""
        program = f"{self._variables()['FIREBIRD_PROGRAMS']}/isql-fb"
        done = self.run(
            "/usr/bin/setpriv", "--reuid=firebird", "--regid=firebird", "--clear-groups", "/bin/sh", "-c",
            f"printf %s {shlex.quote(statements)} | {program} -quiet -bail -user SYSDBA {database}",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _command(self, *command: str) -> list[str]:
        return ["unshare", "--mount", "/bin/sh", str(ENTER), str(self.tree), str(self.state), *command]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            **self._variables(),
        }

    def _variables(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self._lines("Environment"))

    def _unit(self, key: str) -> str:
        (value,) = self._lines(key)
        return value

    def _lines(self, key: str) -> list[str]:
        return re.findall(rf"^{key}=(.*)$", (self.tree / UNIT).read_text(), re.MULTILINE)

    def _account(self) -> tuple[int, int]:
        line = next(
            line for line in (self.tree / "etc/passwd").read_text().splitlines() if line.startswith("firebird:")
        )
        _, _, user, group, *_ = line.split(":")
        return int(user), int(group)


def appliance_json(address: str, web: tuple[str, int], authority: tuple[str, int]) -> str:
    """/etc/asrbox/appliance.json of a billing whose daemons have these addresses."""
    daemons = {
        "firebird": {"address": address, "port": PORT, "protocol": "tcp", "hostname": HOSTNAME},
        "web": {"address": web[0], "port": web[1], "protocol": "https", "hostname": "web.asr-billing.asrbox.internal"},
    }
    endpoints = {f"{name}.asr_billing": daemon for name, daemon in daemons.items()}
    endpoints["web.auth"] = {
        "address": authority[0], "port": authority[1], "protocol": "https", "hostname": "web.auth.asrbox.internal",
    }  # fmt: skip
    return json.dumps(
        {
            "appliance": "asr_billing",
            "distribution": {"name": "asrbox", "version": "0.1.0"},
            "domain": "asrbox.internal",
            "daemons": daemons,
            "endpoints": endpoints,
            "published": {"base": "/", "auth": "/auth", "asr_billing": "/billing"},
            "host": "198.18.80.1",
        }
    )
