"""The one way the installer runs a program: argument list, time limit, and the last lines it said when it fails."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from appliances.base.installer.errors import InstallError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LAST_LINES = 8
OUTPUT = Path("/run/asrbox-install/command.log")


class Runner:
    """Runs programs for real; every command and what it said goes line by line to `log`."""

    def __init__(self, log: Callable[[str], None] = lambda line: None) -> None:
        self.log = log

    def run(self, argv: Sequence[str], *, stdin: str | None = None, timeout: float = 120) -> str:
        """Run `argv` to its end and return its standard output; `stdin` is never logged (it may hold secrets).

        `timeout` is in seconds. Raises InstallError with the last lines of output when the program is absent, runs
        too long or exits with another code than 0.
        """
        self.log(f"$ {shlex.join(argv)}")
        try:
            done = subprocess.run(  # noqa: S603
                list(argv),
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                env=environment(),
                cwd="/",
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError as error:
            raise InstallError(f"the program {argv[0]} is not on the medium", "build the medium again") from error
        except subprocess.TimeoutExpired as error:
            raise InstallError(
                f"{title(argv)} did not end within {timeout:.0f} seconds",
                "look at the disk with `dmesg` and `smartctl`, then run asrbox-install again",
            ) from error
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        for line in said:
            self.log(f"  {line}")
        if done.returncode != 0:
            last = f": {said[-1].strip()}" if said else ""
            raise InstallError(
                f"{title(argv)} failed with exit code {done.returncode}{last}",
                "read the lines above, put it right in this shell and run asrbox-install again",
                said[-LAST_LINES:],
            )
        return done.stdout

    def run_with_progress(
        self, argv: Sequence[str], measure: Callable[[], float], tell: Callable[[int], None], *, timeout: float
    ) -> None:
        """Run a long program and call `tell(percent)` whenever `measure()` (0.0 to 1.0) has grown by a percent."""
        self.log(f"$ {shlex.join(argv)}")
        OUTPUT.parent.mkdir(parents=True, exist_ok=True)
        shown = -1
        waited = 0.0
        with OUTPUT.open("wb") as sink:
            process = subprocess.Popen(  # noqa: S603
                list(argv), stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, env=environment(), cwd="/"
            )
            while process.poll() is None:
                percent = max(0, min(99, int(measure() * 100)))
                if percent > shown:
                    tell(percent)
                    shown = percent
                try:
                    process.wait(timeout=0.5)
                except subprocess.TimeoutExpired:
                    waited += 0.5
                if waited > timeout:
                    process.kill()
                    process.wait()
                    raise InstallError(
                        f"{title(argv)} did not end within {timeout:.0f} seconds",
                        "check the medium and the disk, then run asrbox-install again",
                    )
        said = [line for line in OUTPUT.read_text(errors="replace").splitlines() if line.strip()]
        for line in said:
            self.log(f"  {line}")
        if process.returncode != 0:
            raise InstallError(
                f"{title(argv)} failed with exit code {process.returncode}" + (f": {said[-1]}" if said else ""),
                "the medium is probably damaged: check it with `asrbox verify`, write it again and start over",
                said[-LAST_LINES:],
            )
        tell(100)


def environment() -> dict[str, str]:
    """A small fixed environment, so that output can be parsed and PATH holds the sbin folders."""
    return {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", "TERM": os.environ.get("TERM", "linux")}


def title(argv: Sequence[str]) -> str:
    """The name of the program for a sentence: `chroot T grub-install` is about grub-install."""
    if argv[0] == "chroot" and len(argv) > 2:
        return Path(argv[2]).name
    return Path(argv[0]).name
