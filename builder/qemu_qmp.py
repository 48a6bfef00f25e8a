"""QEMU's control socket: the few commands we need (screenshot, power button, end)."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TextIO

from builder.errors import AsrboxError

ANSWER_LIMIT = 20.0  # seconds


def ask(path: Path, command: str, arguments: dict[str, object] | None = None) -> object:
    """Send one QMP command and return its result. Raises AsrboxError when QEMU refuses or does not answer."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_LIMIT)
            connection.connect(str(path))
            with connection.makefile("rw", encoding="utf-8", newline="\n") as stream:
                stream.readline()  # the greeting
                _exchange(stream, "qmp_capabilities", {})
                return _exchange(stream, command, arguments or {})
    except OSError as error:
        raise AsrboxError(f"QEMU does not answer to {command} at {path}: {error}") from error


def _exchange(stream: TextIO, command: str, arguments: dict[str, object]) -> object:
    stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    stream.flush()
    for text in stream:
        answer = json.loads(text)
        if "error" in answer:
            raise AsrboxError(f"QEMU refused {command}: {answer['error']['desc']}")
        if "return" in answer:
            return answer["return"]
    raise AsrboxError(f"QEMU ended while it was asked to {command}")
