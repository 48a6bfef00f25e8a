"""All consoles of the machine as one: what is said goes to every one, an answer may come from any."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from appliances.base.installer.texts import latin_letters

DEFAULT = ("/dev/tty1", "/dev/ttyS0")
FONTS = (
    "/usr/share/consolefonts/Uni2-Fixed16.psf.gz",
    "/usr/share/consolefonts/CyrSlav-Fixed16.psf.gz",
    "/usr/share/consolefonts/CyrSlav-VGA16.psf.gz",
)
LATIN = latin_letters()


class Console:
    """One terminal. A screen without a Cyrillic font gets its text in Latin letters; `screen` is no serial line."""

    def __init__(self, reader: int, writer: int, *, screen: bool = False, cyrillic: bool = True) -> None:
        self.reader = reader
        self.writer = writer
        self.screen = screen
        self.cyrillic = cyrillic
        self.pending = b""

    def write(self, text: str) -> bool:
        """Write all of `text`; False when the terminal does not take it (pulled plug, no such port)."""
        data = (text if self.cyrillic else text.translate(LATIN)).encode()
        try:
            while data:
                if not select.select([], [self.writer], [], 2.0)[1]:
                    return False
                data = data[os.write(self.writer, data) :]
        except OSError:
            return False
        return True


class Consoles:
    """Several terminals used together; one that fails is left out from then on."""

    def __init__(self, consoles: Sequence[Console]) -> None:
        self.consoles = list(consoles)

    def say(self, text: str = "") -> None:
        """One or more lines on all terminals."""
        self._write(text + "\n")

    def say_on(self, *, screen: bool, text: str) -> None:
        """`text` as it is (no line end added) only on the screens, or only on the serial lines."""
        self.consoles = [item for item in self.consoles if item.screen is not screen or item.write(text)]

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Show `prompt` everywhere and return the first line typed anywhere, without its line end.

        With `secret` nothing typed is shown. Raises EOFError when no terminal is left to type on.
        """
        self._write(prompt)
        with contextlib.ExitStack() as stack:
            if secret:
                stack.callback(self._write, "\n")
                for console in self.consoles:
                    stack.enter_context(_silent(console.reader))
            answer, typed_on = self._line()
        for console in self.consoles:
            if not secret and console is not typed_on:
                console.write(answer + "\n")
        return answer

    def _write(self, text: str) -> None:
        self.consoles = [console for console in self.consoles if console.write(text)]

    def _line(self) -> tuple[str, Console]:
        while True:
            for console in self.consoles:
                if b"\n" in console.pending:
                    line, console.pending = console.pending.split(b"\n", 1)
                    return line.decode(errors="replace").strip("\r"), console
            if not self.consoles:
                raise EOFError("no console to type on")
            ready, _, _ = select.select([console.reader for console in self.consoles], [], [])
            for console in [console for console in self.consoles if console.reader in ready]:
                try:
                    data = os.read(console.reader, 4096)
                except OSError:
                    data = b""
                if not data:
                    self.consoles.remove(console)
                console.pending += data


def choose() -> Consoles:
    """The terminal that the installer was started from by hand; else the consoles of the machine.

    ASRBOX_CONSOLES (paths separated by commas) overrides both.
    """
    if named := os.environ.get("ASRBOX_CONSOLES"):
        return machine(named.split(","))
    return machine([os.ttyname(0)] if sys.stdin.isatty() else DEFAULT)


def machine(paths: Sequence[str]) -> Consoles:
    """Those terminals of `paths` that can really be opened and written to."""
    opened = []
    for path in paths:
        with contextlib.suppress(OSError, termios.error):
            descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            os.set_blocking(descriptor, True)
            _sane(descriptor)
            serial = not path.removeprefix("/dev/tty").isdigit()
            opened.append(Console(descriptor, descriptor, screen=not serial, cyrillic=serial or load_font(path)))
    return Consoles(opened)


def load_font(path: str, run: Callable[..., subprocess.CompletedProcess[bytes]] = subprocess.run) -> bool:
    """Put a font with Cyrillic letters on the screen `path`, if one is installed; say whether that worked."""
    for font in FONTS:
        if Path(font).exists():
            done = run(["setfont", "-C", path, font], stdin=subprocess.DEVNULL, capture_output=True, check=False)
            if done.returncode == 0:
                return True
    return False


def _sane(descriptor: int) -> None:
    """Whole lines, echoed, with ordinary line ends: whatever was set on the terminal before."""
    state = termios.tcgetattr(descriptor)
    state[0] |= termios.ICRNL
    state[1] |= termios.OPOST | termios.ONLCR
    state[3] |= termios.ICANON | termios.ECHO | termios.ECHOE | termios.ECHOK | termios.ISIG
    termios.tcsetattr(descriptor, termios.TCSANOW, state)


@contextlib.contextmanager
def _silent(descriptor: int) -> Iterator[None]:
    try:
        before = termios.tcgetattr(descriptor)
    except termios.error:
        yield
        return
    quiet = termios.tcgetattr(descriptor)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
