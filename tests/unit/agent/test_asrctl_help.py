"""asrctl explains itself: every sub-command has help, the shell offers it, every refusal says what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from appliances.base.agent.asrctl.commands import main
from appliances.base.agent.paths import Paths
from tests.conftest import ROOT
from tests.unit.agent.test_asrctl import Doing, agent  # noqa: F401  a fixture
from tests.unit.agent.typing_asrctl import asrctl


def groups(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Group]]:
    if isinstance(command, click.Group):
        yield words, command
        for name, one in command.commands.items():
            yield from groups(one, (*words, name))


COMMANDS = [(*words, name) for words, group in groups(main) for name in group.commands]


@pytest.mark.parametrize("words", [(), *COMMANDS], ids=" ".join)
def test_every_sub_command_has_help_that_says_what_it_does(words: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        shown = asrctl(*words, option)
        assert shown.exit_code == 0
        usage, told = shown.output.split("\n", 1)
        assert usage.startswith(f"Usage: {' '.join(('asrctl', *words))} ")
        assert re.search(r"^  [A-Z].{10,}", told, re.MULTILINE), "a sentence about it"


@pytest.mark.parametrize(("words", "group"), list(groups(main)), ids=str)
def test_the_shell_offers_every_sub_command(words: tuple[str, ...], group: click.Group) -> None:
    shell = ShellComplete(main, {}, "asrctl", "_ASRCTL_COMPLETE")

    offered = {one.value for one in shell.get_completions(list(words), "") if not one.value.startswith("-")}

    assert offered == set(group.commands)


def test_the_documentation_names_every_sub_command() -> None:
    document = (ROOT / "docs/operate.md").read_text()
    for words in COMMANDS:
        named = "asrctl " + " ".join(words)
        assert f"`{named}" in document or f"`… {words[-1]}" in document, named


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["start", "mail"], "there is no appliance 'mail' (this distribution has: asr_billing, auth)"),
        (["stop", "auth.mail"], "has no daemon 'mail' (it has: web)"),
        (["shell", "mail"], "there is no appliance 'mail'. See: asrctl status"),
        (["config", "mail"], "there is no appliance 'mail' (this distribution has: asr_billing, auth)"),
        (["config", "auth", "colour"], "has no setting 'colour' (it has: session_hours, strict)"),
        (["plan", "restore", "0"], "0 is not in the range x>=1"),
        (["stat"], "Try 'asrctl --help' for help."),
        (["plan", "undo"], "Try 'asrctl plan --help' for help."),
        (["start"], "Missing argument 'TARGET'"),
        (["logs", "auth", "-n", "many"], "'many' is not a valid integer"),
        (["certificate", "install", "/nowhere.pem", "/nowhere.key"], "'/nowhere.pem': No such file or directory"),
        (["alarms", "test"], "name somebody first"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_refusal_says_what_is_wrong_and_what_to_do(agent: Doing, words: list[str], told: str) -> None:  # noqa: F811
    refused = asrctl(*words)

    assert refused.exit_code in (1, 2)
    assert told in " ".join(refused.output.split())
    if refused.exit_code == 2:
        assert re.search(r"Try 'asrctl[a-z ]* --help' for help", refused.output)


@pytest.mark.parametrize("words", [["status"], ["check"], ["start", "auth"], ["plan"], ["config", "auth"]])
def test_without_an_agent_every_command_says_where_to_look(paths: Paths, words: list[str]) -> None:  # noqa: F811
    refused = asrctl(*words)

    assert refused.exit_code == 1
    assert "systemctl status asrbox-agent; journalctl -u asrbox-agent" in refused.output
    assert Path(paths.socket).exists() is False
