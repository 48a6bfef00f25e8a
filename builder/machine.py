"""A machine in QEMU: started, listened to, typed at, photographed, cut from power: for `asrbox boot` and the tests."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from builder import qemu_qmp
from builder.console import Line, LineAssembler
from builder.consolewatch import LOGIN_PROMPT, Event, Failure, Target, Watch
from builder.errors import AsrboxError
from builder.qemu_hardware import OVMF_CODE, OVMF_VARS, Hardware, arguments
from builder.run import run

SILENCE_LIMIT = 300.0  # seconds without one word on the console before the machine counts as hung
PROMPT_DELAY = 0.4  # seconds of silence after which a text without an end of line counts as a prompt
SEED_LABEL = "ASRBOX"
RESTARTS = 2  # starts again after QEMU itself failed, before the guest could have done anything
_OTHERS = re.compile(r"\[ *\d+\.\d+\] |asrbox-agent: ")  # kernel, systemd and agent write on the same console


class MachineFailed(AsrboxError):
    """The machine did not do what was waited for; `failure` is the verdict."""

    def __init__(self, failure: Failure, console: Path) -> None:
        super().__init__(failure.sentence, hint=f"{failure.remedy}\n  console: {console}")
        self.failure = failure


class Machine:
    """A running QEMU, as a context manager: leaving it ends the process, by its PID.

    `folder` receives `<name>.console.log`: every line of the serial console with its time in seconds. `on_event` is
    called with what the console means while some method waits. `watch` holds the phases and clues so far.

    When QEMU trips over a guest's kernel that patches itself (consolewatch.py: "emulator"), before that kernel has
    started any program, the machine is started again, as one would at a desk; `watch` and the times begin anew.
    """

    def __init__(
        self,
        hardware: Hardware,
        folder: Path,
        *,
        name: str = "machine",
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.hardware = hardware
        self.console = folder / f"{name}.console.log"
        self.watch = Watch()
        self._on_event = on_event or (lambda event: None)
        self._process: subprocess.Popen[bytes] | None = None
        self._chunks: queue.Queue[tuple[float, bytes] | None] = queue.Queue()
        self._assembler = LineAssembler()
        self._pending: list[Line] = []
        self._over = False
        self._cpu_seconds = 0.0
        self._restarts = 0

    def __enter__(self) -> Machine:
        self.console.parent.mkdir(parents=True, exist_ok=True)
        self._private = Path(tempfile.mkdtemp(prefix="asrbox-qemu-"))
        self._log: IO[str] = self.console.open("w", encoding="utf-8")
        self._start()
        return self

    def _start(self) -> None:
        variables = None
        if self.hardware.firmware == "uefi":
            if not OVMF_CODE.is_file():
                raise AsrboxError(f"there is no UEFI firmware at {OVMF_CODE}", hint="run: apt-get install ovmf")
            # Fresh variables for every start: those of another set of disks lead OVMF into its shell.
            variables = self._private / "vars.fd"
            shutil.copyfile(OVMF_VARS, variables)
        command = arguments(self.hardware, qmp=self._private / "qmp", variables=variables)
        self._started = self._heard = time.monotonic()
        if not shutil.which(command[0]):
            raise AsrboxError(f"{command[0]} is not installed", hint="run: make deps")
        # When this process is killed, QEMU does not outlive it.
        command = ["setpriv", "--pdeathsig", "KILL", *command]
        self._process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        threading.Thread(target=self._read, args=(self._process, self._chunks), daemon=True).start()

    def _start_again(self) -> None:
        """Throw away the process and what it said: the next one begins with an empty console."""
        self.power_cut()
        self._restarts += 1
        self.watch = Watch()
        self._chunks = queue.Queue()
        self._assembler = LineAssembler()
        self._pending = []
        self._over = False
        self._start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.power_cut()
        self._log.close()
        shutil.rmtree(self._private, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The process id of QEMU."""
        if self._process is None:
            raise AsrboxError("the machine was not started")
        return self._process.pid

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    @property
    def running(self) -> bool:
        """False once QEMU has ended."""
        return self._process is not None and self._process.poll() is None

    def cpu_seconds(self) -> float:
        """CPU time that QEMU has used, in seconds: the figure that does not depend on the load of this host."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            self._cpu_seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") or self._cpu_seconds
        return self._cpu_seconds

    def power_cut(self) -> None:
        """As if the plug were pulled: SIGKILL. What the guest has flushed to its disks stays, nothing else."""
        self.cpu_seconds()
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()

    def wait_until(self, target: Target, limit: float) -> float:
        """Wait for a target of the console watch, until `limit` seconds after the start; when it was reached.

        Raises MachineFailed with the verdict.
        """
        while target not in self.watch.reached:
            self._step(target, limit)
        return self.watch.reached[target]

    def wait_for(self, pattern: str, limit: float) -> re.Match[str]:
        """Wait for a line (or a prompt) in which `pattern` is found. Raises MachineFailed with the verdict."""
        wanted = re.compile(pattern)
        deadline = self.seconds + limit
        while True:
            line = self._step(pattern, deadline)
            if line and (found := wanted.search(line.text)):
                return found

    def wait_failure(self, kind: str, limit: float) -> Failure:
        """Wait until the console tells of a failure of this kind; then it is forgotten, so that one can go on."""
        deadline = self.seconds + limit
        try:
            while True:
                self._step(f"a failure: {kind}", deadline)
        except MachineFailed as failed:
            if failed.failure.kind != kind:
                raise
            self.watch = Watch()
            return failed.failure

    def said(self, pattern: str) -> re.Match[str] | None:
        """The latest line until now in which `pattern` is found."""
        found = [match for line in self.console.read_text().splitlines() if (match := re.search(pattern, line))]
        return found[-1] if found else None

    def wait_off(self, limit: float) -> float:
        """Wait until the guest has gone off (or wants to reboot); seconds since the start."""
        deadline = self.seconds + limit
        while not self._over:
            self._step("power off", deadline, off_is_failure=False)
        self.power_cut()
        return self.seconds

    def type(self, text: str, *, enter: bool = True) -> None:
        """Type on the serial console."""
        if self._process is None or self._process.stdin is None:
            raise AsrboxError("the machine was not started")
        self._process.stdin.write((text + ("\r" if enter else "")).encode())
        self._process.stdin.flush()

    def log_in(self, name: str, password: str, limit: float = 120) -> None:
        """Log in on the serial console, and get a shell whose output is plain. Each step may take `limit` seconds.

        Kernel and agent write on the same console: what follows a prompt on its line may be theirs.
        """
        self.type("")
        self.wait_for(LOGIN_PROMPT, limit)
        self.type(name)
        self.wait_for(r"^(Password|Пароль):", limit)
        self.type(password)
        self.wait_for(rf"{re.escape(name)}@[^$#]+[$#]", limit)
        self.command(
            "stty cols 200 -echo; bind 'set enable-bracketed-paste off' 2>/dev/null; PS1=''; export PAGER=cat", limit
        )

    def command(self, text: str, limit: float) -> str:
        """Run a command in the shell on the serial console; what it printed. Raises AsrboxError when it fails."""
        mark = f"asrbox-mark-{time.monotonic_ns()}"
        # The mark is put together by the shell, so that the echo of what was typed is not taken for it.
        first, second = mark[:8], mark[8:]
        self.type(f"{text}; echo \"{first}\"'{second}' $?")
        deadline = self.seconds + limit
        printed: list[str] = []
        while True:
            line = self._step(f"the end of `{text}`", deadline)
            if line is None or not line.complete:
                continue
            if found := re.search(rf"^(.*){mark} (\d+)$", line.text):
                printed.append(found[1])
                break
            printed.append(line.text)
        output = "\n".join(part for part in printed if second not in part and part.strip() and not _OTHERS.match(part))
        if found[2] != "0":
            raise AsrboxError(f"`{text}` failed in the machine with exit code {found[2]}: {output[-500:]}")
        return output

    def screenshot(self, target: Path) -> None:
        """A PNG of the VGA screen (only with `screen` or `window`)."""
        target.parent.mkdir(parents=True, exist_ok=True)
        qemu_qmp.ask(self._private / "qmp", "screendump", {"filename": str(target.absolute()), "format": "png"})

    def plug_disk(self, disk: Path, serial: str) -> None:
        """Plug in a qcow2 disk while the machine runs."""
        file: dict[str, object] = {"driver": "file", "filename": str(disk.absolute())}
        qmp = self._private / "qmp"
        qemu_qmp.ask(qmp, "blockdev-add", {"driver": "qcow2", "node-name": serial, "file": file})
        qemu_qmp.ask(qmp, "device_add", {"driver": "virtio-blk-pci", "drive": serial, "serial": serial, "id": serial})

    def power_button(self) -> None:
        """Press the power button: the guest shuts down by itself."""
        qemu_qmp.ask(self._private / "qmp", "system_powerdown")

    def listen(self, seconds: float) -> None:
        """Read the console for that long (or until the machine goes off), for what it says and nothing else."""
        deadline = self.seconds + seconds
        while not self._over and self.seconds < deadline:
            self._next(min(1.0, deadline - self.seconds))

    def _step(self, target: str, deadline: float, *, off_is_failure: bool = True) -> Line | None:
        line = self._next(1.0)
        failure = self.watch.failure
        if failure is None and self._over and line is None and off_is_failure:
            failure = self.watch.ended(target)
        elif failure is None and not self._over and self.seconds > deadline:
            failure = self.watch.too_late(target, deadline)
        elif failure is None and time.monotonic() - self._heard > SILENCE_LIMIT:
            failure = self.watch.silence(SILENCE_LIMIT)
        if failure:
            if failure.kind == "emulator" and not self.watch.runs_programs and self._restarts < RESTARTS:
                self._start_again()
                return None
            raise MachineFailed(failure, self.console)
        return line

    def _next(self, patience: float) -> Line | None:
        """The next line, told to the watch and the log; None when there was none within `patience` seconds."""
        waited_until = time.monotonic() + patience
        while not self._pending and not self._over:
            try:
                chunk = self._chunks.get(timeout=min(PROMPT_DELAY, max(0.01, waited_until - time.monotonic())))
            except queue.Empty:
                if time.monotonic() - self._heard >= PROMPT_DELAY and (prompt := self._assembler.prompt(self.seconds)):
                    self._pending.append(prompt)
                elif time.monotonic() >= waited_until:
                    return None
                continue
            if chunk is None:
                self._over = True
                self._pending += self._assembler.feed(self.seconds, b"\n")
            else:
                self._heard = time.monotonic()
                self._pending += self._assembler.feed(*chunk)
        if not self._pending:
            return None
        line = self._pending.pop(0)
        self._log.write(f"{line.seconds:9.2f} {line.text}\n")
        self._log.flush()
        for event in self.watch.feed(line):
            self._on_event(event)
        return line

    def _read(self, process: subprocess.Popen[bytes], chunks: queue.Queue[tuple[float, bytes] | None]) -> None:
        assert process.stdout is not None
        while chunk := os.read(process.stdout.fileno(), 65536):
            chunks.put((self.seconds, chunk))
        chunks.put(None)


def new_disk(path: Path, size: int, *, backing: Path | None = None) -> Path:
    """Make an empty qcow2 disk of `size` bytes, or an overlay of `backing` that leaves it untouched."""
    path.parent.mkdir(parents=True, exist_ok=True)
    below: list[str | Path] = ["-b", backing.absolute(), "-F", "qcow2"] if backing else []
    run(["qemu-img", "create", "-q", "-f", "qcow2", *below, path, str(size)])
    return path


def seed_stick(path: Path, seed: str) -> Path:
    """Make the image of a USB stick labelled ASRBOX with `seed` as its seed.toml."""
    path.unlink(missing_ok=True)
    run(["mkfs.vfat", "-C", "-n", SEED_LABEL, path, "4096"])
    run(["mcopy", "-i", path, "-", "::/seed.toml"], input=seed, env={"MTOOLS_SKIP_CHECK": "1"})
    return path


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
