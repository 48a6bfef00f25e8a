"""The one error type of the build tool: one sentence, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Where:
    """A place in a file that a person wrote: path, line (counted from 1) and the dotted key, as far as known."""

    file: Path
    line: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        text = str(self.file)
        if self.line is not None:
            text += f":{self.line}"
        if self.key:
            text += f": {self.key}"
        return text


class AsrboxError(Exception):
    """A mistake of the user or of the world around us: printed as one sentence and a hint, never as a traceback."""

    def __init__(self, message: str, *, hint: str | None = None, where: Where | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class ErrorList(AsrboxError):
    """Several independent mistakes, all told at once."""

    def __init__(self, errors: list[AsrboxError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors
