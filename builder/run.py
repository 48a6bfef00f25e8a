"""The one way to run an external program: argument list, explicit environment, failures explained by cause."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from builder.errors import AsrboxError

PACKAGE_OF = {
    "mmdebstrap": "mmdebstrap",
    "mksquashfs": "squashfs-tools",
    "unsquashfs": "squashfs-tools",
    "xorriso": "xorriso",
    "mkfs.vfat": "dosfstools",
    "mmd": "mtools",
    "mcopy": "mtools",
    "mdel": "mtools",
    "mdir": "mtools",
    "minfo": "mtools",
    "mtype": "mtools",
    "grub-mkimage": "grub-common",
    "cpio": "cpio",
    "implantisomd5": "isomd5sum",
    "checkisomd5": "isomd5sum",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "rpm": "rpm",
    "rpmkeys": "rpm",
    "createrepo_c": "createrepo-c",
    "curl": "curl",
    "setfiles": "policycoreutils",
    "apt-get": "apt",
    "apt-ftparchive": "apt-utils",
    "dpkg-deb": "dpkg",
    "gpg": "gpg",
    "gpgv": "gpgv",
    "nft": "nftables",
    "ip": "iproute2",
}


_lock = threading.Lock()
_running: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True)
class Completed:
    """What a program left behind: exit code, captured text (empty when not captured), wall time in seconds."""

    code: int
    stdout: str
    stderr: str
    seconds: float


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A small, fixed environment: C locale, UTC, the paths of a root user, proxies of the caller; plus `extra`."""
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "HOME": os.environ.get("HOME", "/root"),
        "DEBIAN_FRONTEND": "noninteractive",
    }
    for name in ("http_proxy", "https_proxy", "no_proxy", "TMPDIR"):
        if name in os.environ:
            environment[name] = os.environ[name]
    environment.update(extra or {})
    return environment


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: str | None = None,  # noqa: A002
    log: Path | None = None,
    stdout: Path | None = None,
    ok_codes: tuple[int, ...] = (0,),
    hint: str | None = None,
    timeout: float | None = None,
) -> Completed:
    """Run a program and wait for it.

    `env` is added to `clean_environment()`. With `log`, standard output and error are appended to that file and the
    last lines of it are quoted on failure; without, both are captured. With
    `stdout`, standard output becomes that file. Raises AsrboxError when the program is
    missing, is killed, runs longer than `timeout` seconds or exits with a code not in `ok_codes`.
    """
    command = [str(part) for part in argv]
    started = time.monotonic()
    with contextlib.ExitStack() as files:
        out: IO[bytes] | int = subprocess.PIPE
        err: IO[bytes] | int = subprocess.PIPE
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            out = err = files.enter_context(log.open("ab"))
            out.write(f"$ {shlex.join(command)}\n".encode())
            out.flush()
        if stdout is not None:
            out = files.enter_context(stdout.open("wb"))
        try:
            process = subprocess.Popen(  # noqa: S603
                command,
                cwd=cwd,
                env=clean_environment(env),
                stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                stdout=out,
                stderr=err,
            )
        except FileNotFoundError as error:
            if cwd is not None and not cwd.is_dir():
                raise AsrboxError(f"the folder {cwd} does not exist") from error
            name = Path(command[0]).name
            package = PACKAGE_OF.get(name)
            install = f"apt-get install {package}" if package else "make deps"
            raise AsrboxError(f"the program {name} is not installed", hint=f"run: {install}") from error
        with _tracked(process):
            try:
                said_out, said_err = process.communicate(None if input is None else input.encode(), timeout=timeout)
            except subprocess.TimeoutExpired as error:
                raise AsrboxError(
                    f"{command[0]} did not end within {timeout:.0f} s and was stopped", hint=hint
                ) from error
    text_out = (said_out or b"").decode(errors="replace")
    text_err = (said_err or b"").decode(errors="replace")
    if process.returncode not in ok_codes:
        said = (_tail(log) if log else text_err.strip() or text_out.strip()) or "it printed nothing"
        raise AsrboxError(f"{_cause(command, process.returncode)}\n{_indent(said)}", hint=hint)
    return Completed(process.returncode, text_out, text_err, time.monotonic() - started)


def stop_all() -> None:
    """End every program that `run` has started and that still runs, whichever thread waits for it."""
    with _lock:
        for process in _running:
            process.terminate()


@contextlib.contextmanager
def _tracked(process: subprocess.Popen[bytes]) -> Iterator[None]:
    with _lock:
        _running.add(process)
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        with _lock:
            _running.discard(process)


def _cause(command: Sequence[str], code: int) -> str:
    # What is run in namespaces of its own is what failed, not unshare.
    inner = next((index for index, part in enumerate(command) if part.endswith("enter_tree.sh")), None)
    name = Path(command[inner + 2] if inner is not None else command[0]).name
    if code < 0:
        return f"{name} was ended by {signal.Signals(-code).name}"
    return f"{name} failed with exit code {code}: {shlex.join(command)[:300]}"


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _indent(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines()[-20:])
