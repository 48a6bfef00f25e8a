"""A host for tests: the tree that the build makes, running Incus and the agent in namespaces of their own.

Nothing of it touches the machine: network, mounts and processes are its own and end with `power_cut()` or with the
context manager. What a disk would keep is in a folder, so that the host can be booted again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

INIT = Path(__file__).with_name("host_init.sh")
SYSTEMCTL = Path(__file__).parents[1] / "entry_unit.sh"
NO_NETWORK = {"HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
PATH = "/usr/libexec/incus:/opt/asrbox/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
PYTHON = "/opt/asrbox/bin/python"
CGROUPS = Path("/sys/fs/cgroup")


class Inside:
    """A program that runs in the host, known by its process id out here."""

    def __init__(self, process: subprocess.Popen[bytes], pid: int) -> None:
        self.process = process
        self.pid = pid

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal and wait until the program is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, sign)
        self.process.wait(timeout=60)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


class IncusHost:
    """One host. `tree` is a host tree (never written to), `state` a folder for what it writes."""

    def __init__(self, tree: Path, state: Path) -> None:
        self._tree = tree
        self._state = state
        self._init: Inside | None = None
        self._incus: Inside | None = None
        self._lxcfs: Inside | None = None
        self.agent: Inside | None = None
        for name in ("upper", "work", "root", "incus", "asrbox", "etc", "run"):
            (state / name).mkdir(parents=True, exist_ok=True)
        (state / "incus").chmod(0o711)
        (state / "asrbox").chmod(0o711)
        (state / "console").touch()

    # power ------------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Switch on: namespaces, Incus. The agent is started by `start_agent()`."""
        shutil.rmtree(self._state / "run")
        (self._state / "run").mkdir()
        for folder in ("asrbox", "issue.d"):
            (self._state / "run" / folder).mkdir()
        unshare = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
        log = (self._state / "init.log").open("ab")
        process = subprocess.Popen(
            [*unshare, "sh", str(INIT), self._tree, self._state, SYSTEMCTL], stdout=log, stderr=log
        )
        self._init = Inside(process, _only_child(process.pid))
        _until((self._state / "run/entered").exists, 30, "the test host does not start: see init.log")
        self._lxcfs = self._spawn(["lxcfs", "/var/lib/lxcfs"], "lxcfs.log", {})
        self.start_incus()
        self.run(["systemctl", "restart", "asrbox-entry.service"])  # systemd would: the unit is enabled

    def start_incus(self) -> None:
        self._incus = self._spawn(["/usr/libexec/incus/incusd", "--group", "root"], "incusd.log", NO_NETWORK)
        self.run(["/usr/libexec/incus/incusd", "waitready", "--timeout=60"])

    def kill_incus(self) -> None:
        """SIGKILL to incusd alone; its containers go on."""
        assert self._incus is not None, "the host is switched off"
        self._incus.kill()

    def power_cut(self) -> None:
        """Everything ends at once: no process of the host gets to say anything."""
        if self._init is None:
            return
        before = _cgroups()
        self._init.kill()
        for inside in (self.agent, self._incus, self._lxcfs):
            if inside is not None:
                inside.process.wait(timeout=60)
        self._init = self._incus = self._lxcfs = self.agent = None
        for folder in sorted(before, reverse=True):
            with contextlib.suppress(OSError):  # in use by another host, or gone with its last process
                folder.rmdir()

    # what is on its disk -------------------------------------------------------------------------------------------

    def put_image_set(self, folder: Path) -> None:
        """What the installer copies: images.squashfs, images.json, distribution.json."""
        shutil.copytree(folder, self._state / "asrbox/images", dirs_exist_ok=True)

    def path(self, inside: str) -> Path:
        """Where a file below /var/lib/asrbox, /etc/asrbox, /run or /var/lib/incus of the host is, seen from here."""
        places = {"/var/lib/asrbox": "asrbox", "/etc/asrbox": "etc", "/var/lib/incus": "incus", "/run": "run"}
        for prefix, name in places.items():
            if inside.startswith(prefix):
                return self._state / name / inside.removeprefix(prefix).lstrip("/")
        raise ValueError(f"{inside} is not visible from outside of the host")

    def console(self) -> list[str]:
        """Lines that the agent wrote to the machine's console."""
        return (self._state / "console").read_text().replace("\r", "").splitlines()

    # the agent and asrctl -----------------------------------------------------------------------------------------

    def start_agent(self, **more: str) -> Inside:
        """Start the agent, with `more` in its environment."""
        environment = {"ASRBOX_POOL_DRIVER": "btrfs", **more}
        self.agent = self._spawn([PYTHON, "-m", "appliances.base.agent"], "agent.log", environment)
        return self.agent

    def agent_log(self) -> str:
        return self.log("agent.log")

    def asrctl(self, *arguments: str, check: bool = True, input: str = "") -> subprocess.CompletedProcess[str]:  # noqa: A002
        return self.run([PYTHON, "-m", "appliances.base.agent.asrctl", *arguments], check=check, input=input)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.asrctl("status", "--json").stdout)
        return found

    def wait_ready(self, timeout: float = 300) -> None:
        """Wait until the agent says that it is ready since the console was last `forget_console()`-ed."""

        def ready() -> bool:
            if self.agent is None or not self.agent.alive:
                raise AssertionError(f"the agent has ended:\n{self.agent_log()[-3000:]}")
            return any("asrbox-agent: ready in" in line for line in self.console())

        _until(ready, timeout, lambda: f"not ready:\n{self.agent_log()[-3000:]}")

    def forget_console(self) -> None:
        (self._state / "console").write_text("")

    # programs -----------------------------------------------------------------------------------------------------

    def run(
        self,
        argv: list[str],
        *,
        check: bool = True,
        timeout: float = 300,
        input: str = "",  # noqa: A002  as subprocess calls it
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the host; its output is text. With `check`, a failure is an AssertionError quoting it."""
        done = subprocess.run(
            [*self._enter(), *argv],
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root"},
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def begin(self, argv: list[str], log: str) -> Inside:
        """Start a program in the host; what it prints is added to a file that `log()` reads."""
        return self._spawn(argv, log, {})

    def log(self, name: str) -> str:
        return (self._state / name).read_text()

    def incus(self, *arguments: str, input: str = "") -> str:  # noqa: A002
        return self.run(["incus", *arguments], input=input).stdout

    def in_container(self, instance: str, *argv: str) -> str:
        return self.incus("exec", instance, "--", *argv)

    def start(self, argv: list[str], log: str) -> Inside:
        """Start a program that goes on; what it prints is in the file `log` beside those of the agent."""
        return self._spawn(argv, log, {})

    def _spawn(self, argv: list[str], log: str, environment: dict[str, str]) -> Inside:
        with (self._state / log).open("ab") as output:
            process = subprocess.Popen(
                [*self._enter(), *argv],
                env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        return Inside(process, _only_child(process.pid))

    def in_its_network(self, argv: list[str]) -> list[str]:
        """The command that runs a program of the machine's own, in the network of the host."""
        assert self._init is not None, "the host is switched off"
        return ["nsenter", "--target", str(self._init.pid), "--net", *argv]

    def _enter(self) -> list[str]:
        assert self._init is not None, "the host is switched off"
        return ["nsenter", "--target", str(self._init.pid), "--mount", "--net", "--pid", "--uts", "--ipc", "--wdns=/"]


@contextlib.contextmanager
def incus_host(tree: Path, state: Path) -> Iterator[IncusHost]:
    """A host that is switched on; switched off at the end, however the test ended."""
    host = IncusHost(tree, state)
    try:
        host.boot()
        yield host
    finally:
        host.power_cut()


def _only_child(pid: int) -> int:
    """The process that `unshare` or `nsenter` forked."""
    children = Path(f"/proc/{pid}/task/{pid}/children")

    def forked() -> bool:
        return bool(children.read_text().split())

    _until(forked, 10, f"process {pid} forked nothing")
    return int(children.read_text().split()[0])


def _until(condition: Callable[[], bool], timeout: float, message: str | Callable[[], str]) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(message if isinstance(message, str) else message())
        time.sleep(0.1)


def _cgroups() -> list[Path]:
    """Control groups of containers: they outlive a power cut, being the kernel's and not the host's.

    They come and go while one looks: os.walk passes over what is gone.
    """
    folders = (Path(folder) for folder, _, _ in os.walk(CGROUPS))
    return [folder for folder in folders if any(part.startswith("lxc.") for part in folder.parts)]
