"""Answer files as the build host sees them: the installer's own checks, told as errors of this tool."""

from __future__ import annotations

from pathlib import Path

from appliances.base.installer.seed import SeedError, check_text
from builder.errors import AsrboxError, ErrorList, Where


def read_checked(path: Path, appliances: list[str], has_ipv6: bool) -> str:
    """The text of a valid answer file. Raises ErrorList with line, key and remedy of each mistake."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise AsrboxError("the file does not exist", where=Where(path)) from error
    except UnicodeDecodeError as error:
        raise AsrboxError("the file is not UTF-8 text", where=Where(path)) from error
    try:
        check_text(text, appliances, has_ipv6)
    except SeedError as failure:
        raise ErrorList(
            [
                AsrboxError(
                    problem.message, hint=problem.hint or None, where=Where(path, problem.line, problem.key or None)
                )
                for problem in failure.problems
            ]
        ) from failure
    return text
