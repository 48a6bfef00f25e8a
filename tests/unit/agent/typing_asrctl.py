"""asrctl, as a person types it."""

from __future__ import annotations

from click.testing import CliRunner, Result

from appliances.base.agent.asrctl.commands import main


def asrctl(*arguments: str, input: str = "") -> Result:  # noqa: A002
    """Run it with these words; `input` comes from a pipe."""
    return CliRunner().invoke(main, arguments, prog_name="asrctl", input=input)
