"""The one way to run an external program: argument list, explicit environment, failures explained by cause."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.errors import AsrboxError

PACKAGE_OF = {
    "mmdebstrap": "mmdebstrap",
    "mksquashfs": "squashfs-tools",
    "unsquashfs": "squashfs-tools",
    "xorriso": "xorriso",
    "mkfs.vfat": "dosfstools",
    "mmd": "mtools",
    "mcopy": "mtools",
    "implantisomd5": "isomd5sum",
    "checkisomd5": "isomd5sum",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "apt-get": "apt",
    "apt-ftparchive": "apt-utils",
    "dpkg-deb": "dpkg",
    "gpg": "gpg",
    "gpgv": "gpgv",
    "nft": "nftables",
    "ip": "iproute2",
}


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
    ok_codes: tuple[int, ...] = (0,),
    hint: str | None = None,
    timeout: float | None = None,
) -> Completed:
    """Run a program and wait for it.

    `env` is added to `clean_environment()`. With `log`, standard output and error are appended to that file and the
    last lines of it are quoted on failure; without, both are captured. Raises AsrboxError when the program is
    missing, is killed, runs longer than `timeout` seconds or exits with a code not in `ok_codes`.
    """
    command = [str(part) for part in argv]
    started = time.monotonic()
    sink = None
    try:
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            sink = log.open("ab")
            sink.write(f"$ {shlex.join(command)}\n".encode())
            sink.flush()
        done = subprocess.run(  # noqa: S603
            command,
            cwd=cwd,
            env=clean_environment(env),
            input=None if input is None else input.encode(),
            stdin=subprocess.DEVNULL if input is None else None,
            stdout=sink or subprocess.PIPE,
            stderr=subprocess.STDOUT if sink else subprocess.PIPE,
            check=False,
            timeout=timeout,
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise AsrboxError(f"the folder {cwd} does not exist") from error
        name = Path(command[0]).name
        package = PACKAGE_OF.get(name)
        install = f"apt-get install {package}" if package else "make deps"
        raise AsrboxError(f"the program {name} is not installed", hint=f"run: {install}") from error
    except subprocess.TimeoutExpired as error:
        raise AsrboxError(f"{command[0]} did not end within {timeout:.0f} s and was stopped", hint=hint) from error
    finally:
        if sink:
            sink.close()
    stdout = (done.stdout or b"").decode(errors="replace")
    stderr = (done.stderr or b"").decode(errors="replace")
    if done.returncode not in ok_codes:
        said = (_tail(log) if log else stderr.strip() or stdout.strip()) or "it printed nothing"
        raise AsrboxError(f"{_cause(command, done.returncode)}\n{_indent(said)}", hint=hint)
    return Completed(done.returncode, stdout, stderr, time.monotonic() - started)


def _cause(command: Sequence[str], code: int) -> str:
    name = Path(command[0]).name
    if code < 0:
        return f"{name} was ended by {signal.Signals(-code).name}"
    return f"{name} failed with exit code {code}: {shlex.join(command)[:300]}"


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _indent(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines()[-20:])
