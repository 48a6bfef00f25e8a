"""What a serial console sends, as lines of plain text with the time at which they came."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Firmware, GRUB and systemd paint: sequences (CSI, OSC, character sets, single escapes) and control characters.
_PAINT = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b[@-Z\\-_=>78c]"
    rb"|[\x00-\x08\x0b\x0c\x0e-\x1a\x7f]"
)
_MOVE = re.compile(rb"\x1b\[\d*(?:;\d*)?[Hf]")  # the cursor goes elsewhere: what follows is another line
_UNFINISHED_PAINT = re.compile(rb"\x1b(\[[0-?]*[ -/]*|\][^\x07\x1b]*|[()])?$")
_FRAME = "|+-─│┌┐└┘ "
_END = re.compile(rb"\r*\n|\r+")


@dataclass(frozen=True)
class Line:
    """One line of a console: seconds since the machine was started, text without control characters.

    A prompt has no end of line: it comes with `complete=False` once nothing more follows it for a moment.
    """

    seconds: float
    text: str
    complete: bool = True


class LineAssembler:
    """Cuts a stream of bytes into lines. A carriage return ends a line too: progress is printed over itself."""

    def __init__(self) -> None:
        self._rest = b""
        self._told = False

    def feed(self, seconds: float, chunk: bytes) -> list[Line]:
        """The lines that end in `chunk`, without empty ones and those that only draw a frame."""
        self._told = False
        data = self._rest + chunk
        # A sequence that is cut in the middle waits for its second half.
        waiting = _UNFINISHED_PAINT.search(data)
        tail = data[waiting.start() :] if waiting else b""
        *whole, last = _END.split(_PAINT.sub(b"", _MOVE.sub(b"\n", data[: len(data) - len(tail)])))
        self._rest = last + tail
        return [Line(seconds, text) for part in whole if (text := _text(part)).strip(_FRAME)]

    def prompt(self, seconds: float) -> Line | None:
        """The text that waits for its end of line, once: for the moment when the console has fallen silent."""
        text = _text(self._rest)
        if self._told or not text:
            return None
        self._told = True
        return Line(seconds, text, complete=False)


def _text(part: bytes) -> str:
    return _PAINT.sub(b"", part).decode(errors="replace").rstrip()
