"""What the machine's own screen and serial console show: milestones as lines, and the text above the log-in prompt."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2

from appliances.base.agent import files
from appliances.base.agent.board import Board
from appliances.base.agent.distribution import Distribution, PublishedPath
from appliances.base.agent.outside import Outside, url

PREFIX = "asrbox-agent:"  # builder/machine.py waits for lines that begin so
TEMPLATE = Path(__file__).parent / "host" / "console.issue.j2"


class Console:
    """Writes milestones to the console device and to the journal, and the issue text into /run/issue.d."""

    def __init__(self, device: Path, issue: Path, board: Board) -> None:
        self._device = device
        self._issue = issue
        self._board = board
        self._last = ""

    def milestone(self, text: str) -> None:
        """One line; the same line is not repeated at once."""
        if text != self._last:
            self._last = text
            print(f"{PREFIX} {text}", file=sys.stderr, flush=True)
            with contextlib.suppress(OSError), self._device.open("a") as device:
                device.write(f"{PREFIX} {text}\r\n")

    def note(self, text: str) -> None:
        """A line for the journal alone."""
        print(text, file=sys.stderr, flush=True)

    def show(self, distribution: Distribution, outside: Outside, password: str | None) -> None:
        """Bring the text above the log-in prompt up to date. `password` is shown until it has been changed."""
        text = issue_text(distribution, self._board.read(), outside, password)
        self._issue.parent.mkdir(parents=True, exist_ok=True)
        if files.write(self._issue, text, mode=0o644):
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                subprocess.run(["/usr/sbin/agetty", "--reload"], check=False, timeout=10)  # noqa: S603


def issue_text(distribution: Distribution, status: dict[str, Any], outside: Outside, password: str | None) -> str:
    """The issue text. A backslash is doubled, since agetty would take it for an escape."""
    links = [
        (one.at.path, one.appliance.title["en"])
        for one in distribution.published()
        if isinstance(one.at, PublishedPath)
    ]
    environment = jinja2.Environment(  # noqa: S701
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    text = environment.from_string(TEMPLATE.read_text()).render(
        title=distribution.title["en"],
        version=distribution.version,
        status=status,
        hostname=outside.hostname,
        pages=[(url(address, path), title) for path, title in links for address in outside.addresses[:1]],
        password=password,
    )
    return text.replace("\\", "\\\\")
