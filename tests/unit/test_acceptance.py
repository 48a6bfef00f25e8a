"""The report of the acceptance: every question gets its place in it, whatever the machine says to the others."""

from __future__ import annotations

from pathlib import Path

from builder.errors import AsrboxError
from tests.acceptance import look


class Told:
    """A machine that says what it was told to, and fails commands with `broken` in them."""

    def __init__(self, said: dict[str, str], broken: str = "nothing") -> None:
        self._said, self._broken = said, broken

    def command(self, text: str, limit: float) -> str:
        if self._broken in text:
            raise AsrboxError(f"`{text}` failed in the machine with exit code 1: it is not there")
        return next((said for part, said in self._said.items() if part in text), "")


def asked(tmp_path: Path, machine: Told) -> tuple[look.Report, str]:
    report = look.Report(tmp_path / "report.md", "Acceptance of a test")
    look.ask(report, machine)  # type: ignore[arg-type]
    report.write()
    return report, report.path.read_text()


def test_a_machine_without_a_fault_passes(tmp_path: Path) -> None:
    report, text = asked(tmp_path, Told({"asrctl check": "ok  disk", "getenforce": "Enforcing"}))
    assert report.ok
    assert "Enforcing" in text
    assert text.endswith("Result: all well\n")


def test_a_command_that_fails_is_a_finding_and_the_next_question_is_asked(tmp_path: Path, capsys) -> None:
    report, text = asked(tmp_path, Told({"lvs": "thin pool"}, broken="restorecon"))
    assert not report.ok
    assert "labels that differ from the policy: **NOT AS IT SHOULD BE: the command failed**" in text
    assert text.index("it is not there") < text.index("thin pool")
    assert "✗ labels that differ from the policy: not as it should be: the command failed" in capsys.readouterr().out


def test_what_rpm_misses_is_a_finding(tmp_path: Path) -> None:
    report, text = asked(tmp_path, Told({"rpm -Va": "missing     /usr/bin/asrctl"}))
    assert not report.ok
    assert "NOT AS IT SHOULD BE: missing" in text
