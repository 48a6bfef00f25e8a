"""Plays a kickstart on this machine: %pre, storage, payload, settings, boot loader, %post, restart."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from appliances.base.installer import facts, kickstart, lint, storage
from appliances.base.installer.actions import Action, Command, RunScript, Unpack, WriteFile
from appliances.base.installer.errors import InstallError
from appliances.base.installer.kickstart import Kickstart, Script
from appliances.base.installer.kstext import includes
from appliances.base.installer.plan import TARGET, plan
from appliances.base.installer.progress import LOG, PREFIX, Progress
from appliances.base.installer.runner import LAST_LINES, Runner, environment

UNPACK_SECONDS = 3600
SCRIPT_SECONDS = 1800
LOG_IN_TARGET = "/var/log/asrbox-install.log"


class Player:
    """One installation. `runner` runs programs, `progress` tells how far it is; both are replaced in tests."""

    def __init__(self, runner: Runner, progress: Progress, log: Callable[[str], None]) -> None:
        self.runner = runner
        self.progress = progress
        self.log = log

    def play(self, path: Path, *, title: str) -> Kickstart:
        """Install as the kickstart at `path` says and leave the target unmounted. Raises InstallError."""
        text = path.read_text(encoding="utf-8")
        self.progress.start("answers")
        self._forget_earlier_attempt()
        for script in kickstart.pre_scripts(text):
            self._script(script, "/")
        self.progress.start("check")
        files = {name: Path(name).read_text(encoding="utf-8") for _, name in includes(text) if Path(name).exists()}
        self._check(text, files, path.parent)
        wanted = kickstart.read(text, files)
        for phase in plan(wanted, facts.gather(self.runner, wanted.image), title=title):
            self.progress.start(phase.name)
            for number, action in enumerate(phase.actions, start=1):
                self.do(action)
                if len(phase.actions) > 1:
                    self.progress.percent(100 * number // len(phase.actions))
        self.progress.start("finish")
        self._keep_log()
        for action in storage.close(wanted, TARGET):
            self.do(action)
        return wanted

    def do(self, action: Action) -> None:
        """Do one planned action. Raises InstallError."""
        match action:
            case Command():
                try:
                    self.runner.run(action.argv, stdin=action.stdin, timeout=action.timeout)
                except InstallError as error:
                    if not action.optional:
                        raise
                    self.log(f"goes on without: {error.what}")
            case WriteFile():
                self.log(str(action))
                self.write(action)
            case Unpack():
                self._unpack(action)
            case RunScript():
                self._script(action.script, action.target)

    def write(self, action: WriteFile) -> None:
        """Write a file; a symbolic link in its place is replaced, never followed out of the target."""
        path = Path(action.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, action.mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(action.text)
        path.chmod(action.mode)

    def _forget_earlier_attempt(self) -> None:
        while Path(TARGET).is_mount():
            self.runner.run(["umount", "--recursive", TARGET])

    def _check(self, text: str, files: dict[str, str], medium: Path) -> None:
        on_medium = {str(item.relative_to(medium)) for item in medium.rglob("*") if item.is_file()}
        problems = lint.lint(text, files=files, medium=on_medium, versions=[kickstart.VERSION])
        if problems:
            raise InstallError(
                f"the kickstart has a mistake: {problems[0]}".rsplit(" — ", 1)[0],
                problems[0].hint,
                [str(problem) for problem in problems],
            )

    def _unpack(self, action: Unpack) -> None:
        said = self.runner.run(["unsquashfs", "-s", action.image])
        found = re.search(r"Number of inodes (\d+)", said)
        inodes = int(found.group(1)) if found else 0

        def measure() -> float:
            state = os.statvfs(action.target)
            return (state.f_files - state.f_ffree) / inodes if inodes else 0.0

        self.runner.run_with_progress(
            ["unsquashfs", "-force", "-no-progress", "-dest", action.target, action.image],
            measure,
            self.progress.percent,
            timeout=UNPACK_SECONDS,
        )

    def _script(self, script: Script, target: str) -> None:
        """Run a section. Its log is kept where the kickstart says; a fatal one stops the installation."""
        root = target if script.in_target else "/"
        log = Path(root, script.log.lstrip("/")) if script.log else LOG.parent / "section.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        inside = f"/tmp/asrbox-section-{script.line}"  # noqa: S108  in the target, which nobody else uses yet
        path = Path(root, inside.lstrip("/"))
        self.write(WriteFile(str(path), script.text, 0o700))
        argv = [script.interpreter, inside]
        if script.in_target:
            argv = ["chroot", target, *argv]
        self.log(f"run {script}, log in {log}")
        try:
            code = self._run_section(argv, log, limit=None if script.stage == "pre" else SCRIPT_SECONDS)
        except subprocess.TimeoutExpired:
            code = 124
        finally:
            path.unlink(missing_ok=True)
        said = log.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in said:
            self.log(f"  {line}")
        if code != 0 and script.fatal:
            raise _section_failed(script, code, said)
        if code != 0:
            self.log(f"{script} ended with code {code}; it is not marked --erroronfail")

    def _run_section(self, argv: list[str], log: Path, limit: int | None) -> int:
        """Standard input stays: %pre may ask on the terminal from which the installer was started."""
        variables = {key: value for key, value in os.environ.items() if key.startswith("ASRBOX_")}
        with log.open("wb") as sink:
            done = subprocess.run(  # noqa: S603
                argv,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=environment() | variables,
                cwd="/",
                check=False,
                timeout=limit,
            )
        return done.returncode

    def _keep_log(self) -> None:
        """The log goes to the installed disk; it names programs and files, never what was piped into them.

        What comes after can no longer be written there: only unmounting.
        """
        kept = Path(TARGET, LOG_IN_TARGET.lstrip("/"))
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(LOG.read_text(encoding="utf-8") + f"{PREFIX} done, but for unmounting\n", encoding="utf-8")
        kept.chmod(0o640)


def _section_failed(script: Script, code: int, said: list[str]) -> InstallError:
    """Our own programs end with `asrbox: what — remedy`; for others the last line is the best there is."""
    lines = [line for line in said if line.strip()]
    own = re.match(r"asrbox: (.+) — (.+)$", lines[-1]) if lines else None
    if own:
        return InstallError(own.group(1), own.group(2), lines[:-1][-40:])
    last = f": {lines[-1].strip()}" if lines else ""
    return InstallError(
        f"{script} ended with code {code}{last}",
        "read its log above, put it right in this shell and run asrbox-install again",
        lines[-LAST_LINES:],
    )


def restart(runner: Runner, finish: str) -> None:
    """End the machine as the kickstart says: "reboot" or "poweroff"."""
    runner.run(["systemctl", "--no-block", finish])
