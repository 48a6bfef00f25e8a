"""What the watcher sees: a picture for people on the screens, lines for machines on the serial consoles, a full log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from appliances.base.installer.console import Consoles
from appliances.base.installer.errors import InstallError

LOG = Path("/run/asrbox-install/install.log")
PREFIX = "asrbox-install:"
PHASES = (
    "answers", "check", "partitions", "filesystems", "unpack", "settings", "bootloader", "post", "finish",
)  # fmt: skip
STEP_OF_PERCENT = 5


class Log:
    """The log file; a copy goes to the journal when the installer runs as a service."""

    def __init__(self, path: Path = LOG) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.file = path.open("a", encoding="utf-8")

    def __call__(self, line: str) -> None:
        self.file.write(line + "\n")
        self.file.flush()
        if not sys.stdout.isatty():
            print(line, flush=True)


class Progress:
    """Phases with percent. The lines that start with `asrbox-install:` are read by test drivers: keep their form."""

    def __init__(self, consoles: Consoles, log: Callable[[str], None], texts: Mapping[str, str]) -> None:
        self.consoles = consoles
        self.log = log
        self.texts = texts
        self.phase = ""
        self.told = -STEP_OF_PERCENT

    def start(self, phase: str) -> None:
        """A new phase begins."""
        if self.phase:
            self.consoles.say_on(screen=True, text="\n")
        self.phase = phase
        self.told = -STEP_OF_PERCENT
        self._tell("")

    def percent(self, percent: int) -> None:
        """How far the phase is, 0 to 100; told in steps."""
        if percent >= self.told + STEP_OF_PERCENT or percent == 100 > self.told:
            self.told = percent
            self._tell(f" {percent}%")

    def _tell(self, percent: str) -> None:
        number = PHASES.index(self.phase) + 1
        line = f"{PREFIX} phase {number}/{len(PHASES)} {self.phase}{percent}"
        self.log(line)
        self.consoles.say_on(screen=False, text=line + "\n")
        shown = self.texts[f"phase_{self.phase}"]
        self.consoles.say_on(screen=True, text=f"\r\x1b[K  [{number}/{len(PHASES)}] {shown}{percent}")

    def done(self, finish: str) -> None:
        """The last line of a good installation."""
        self.log(f"{PREFIX} done")
        self.consoles.say_on(screen=False, text=f"{PREFIX} done\n")
        self.consoles.say_on(screen=True, text="\n\n" + self.texts["done"].format(finish=finish) + "\n")

    def failed(self, error: InstallError) -> None:
        """What is worth reading, and then one sentence."""
        self.consoles.say()
        for line in error.details:
            self.log(line)
            self.consoles.say(line)
        self.consoles.say_on(screen=True, text="\n" + self.texts["stopped"] + "\n")
        line = f"{PREFIX} FAILED: " + " ".join(str(error).split())
        self.log(line)
        self.consoles.say(line)
