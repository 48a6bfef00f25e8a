"""The plan file: made from the answers, refused with file, place and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliances.base.agent import plan
from appliances.base.agent.errors import AgentError
from tests.unit.agent.examples import distribution


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "etc/plan.yaml"


def test_without_answers_everything_is_enabled(file: Path, tmp_path: Path) -> None:
    made = plan.ensure(file, tmp_path / "seed.toml", distribution())

    assert [made.enabled(name) for name in ("auth", "asr_billing")] == [True, True]
    assert plan.load(file, distribution()) == made


def test_answers_choose_the_appliances(file: Path, tmp_path: Path) -> None:
    seed = tmp_path / "seed.toml"
    seed.write_text('appliances = ["auth"]\n')

    made = plan.ensure(file, seed, distribution())

    assert (made.enabled("auth"), made.enabled("asr_billing")) == (True, False)


def test_a_plan_that_exists_is_kept(file: Path, tmp_path: Path) -> None:
    made = plan.ensure(file, tmp_path / "seed.toml", distribution())
    made.switch_daemon("asr_billing", "web", False)
    plan.save(file, made)

    again = plan.ensure(file, tmp_path / "seed.toml", distribution())

    assert not again.daemon_enabled("asr_billing", "web")
    assert again.daemon_enabled("asr_billing", "firebird")


def test_overrides_change_single_limits(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("version: 1\nappliances: {auth: {limits: {memory: 1073741824}}}\n")
    auth = distribution().appliance("auth")

    limits = plan.load(file, distribution()).limits(auth)

    assert (limits.memory, limits.cpu) == (1 << 30, auth.limits.cpu)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 1\nappliances: [\n", ":3: not YAML: expected the node content"),
        ("version: 2\nappliances: {}\n", ": version: Input should be 1"),
        ("version: 1\nappliances: {auth: {enabled: 'yes'}}\n", ": appliances.auth.enabled: Input should be a valid"),
        ("version: 1\nappliances: {auth: {runs: true}}\n", ": appliances.auth.runs: Extra inputs are not permitted"),
        (
            "version: 1\nappliances: {mail: {}}\n",
            ": appliances.mail: there is no such appliance (this distribution has: asr_billing, auth)",
        ),
        (
            "version: 1\nappliances: {auth: {disabled_daemons: [smtp]}}\n",
            ": appliances.auth.disabled_daemons: there is no daemon 'smtp' (auth has: web)",
        ),
    ],
)
def test_a_wrong_plan_is_refused_exactly(file: Path, text: str, message: str) -> None:
    file.parent.mkdir()
    file.write_text(text)

    with pytest.raises(AgentError) as refused:
        plan.load(file, distribution())

    assert str(refused.value).startswith(f"{file}{message}")


def test_answers_with_an_unknown_appliance_are_refused(file: Path, tmp_path: Path) -> None:
    seed = tmp_path / "seed.toml"
    seed.write_text('appliances = ["mail"]\n')

    with pytest.raises(AgentError, match="seed.toml: appliances: there is no appliance 'mail'"):
        plan.ensure(file, seed, distribution())
    assert not file.exists()
