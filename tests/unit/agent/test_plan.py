"""The plan file: made from the answers, refused with file, place and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliances.base.agent import plan
from appliances.base.agent.errors import AgentError
from appliances.base.agent.settings import Setting
from tests.unit.agent.examples import distribution, distribution_ipv6


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "etc/plan.yaml"


def test_without_answers_everything_is_enabled(tmp_path: Path) -> None:
    made = plan.first(tmp_path / "seed.toml", distribution())

    assert [made.enabled(name) for name in ("auth", "asr_billing")] == [True, True]


def test_answers_choose_the_appliances(tmp_path: Path) -> None:
    seed = tmp_path / "seed.toml"
    seed.write_text('appliances = ["auth"]\n')

    made = plan.first(seed, distribution())

    assert (made.enabled("auth"), made.enabled("asr_billing")) == (True, False)


def test_ipv6_is_off_until_somebody_switches_it_on(file: Path, tmp_path: Path) -> None:
    seed = tmp_path / "seed.toml"
    assert plan.first(seed, distribution_ipv6()).network.ipv6 is False
    seed.write_text("ipv6 = true\n")
    assert plan.first(seed, distribution_ipv6()).network.ipv6 is True

    file.parent.mkdir()
    file.write_text("version: 1\nappliances: {auth: {}}\n")
    off = plan.load(file, distribution_ipv6())
    file.write_text("version: 1\nnetwork: {ipv6: on}\nappliances: {auth: {}}\n")
    on = plan.load(file, distribution_ipv6())

    assert off.wanted(distribution_ipv6()).network.ipv6 is False
    assert on.wanted(distribution_ipv6()) == distribution_ipv6()
    assert plan.changes(off, on, distribution_ipv6()) == {plan.EVERYBODY: ["network: ipv6 enabled"]}
    assert plan.changes(on, off, distribution_ipv6()) == {plan.EVERYBODY: ["network: ipv6 disabled"]}


def test_ipv6_is_refused_where_the_distribution_has_no_addresses(file: Path, tmp_path: Path) -> None:
    seed = tmp_path / "seed.toml"
    seed.write_text("ipv6 = true\n")
    with pytest.raises(AgentError, match=r"seed\.toml: ipv6: this distribution has no IPv6 .*network\.range6"):
        plan.first(seed, distribution())
    seed.write_text("ipv6 = 1\n")
    with pytest.raises(AgentError, match=r"seed\.toml: ipv6: expected true or false"):
        plan.first(seed, distribution_ipv6())

    file.parent.mkdir()
    file.write_text("version: 1\nnetwork: {ipv6: on}\nappliances: {auth: {}}\n")
    with pytest.raises(AgentError, match=r"plan\.yaml: network\.ipv6: this distribution has no IPv6 .*range6"):
        plan.load(file, distribution())
    file.write_text("version: 1\nnetwork: {ipv6: perhaps}\nappliances: {auth: {}}\n")
    with pytest.raises(AgentError, match=r"plan\.yaml: network\.ipv6: Input should be a valid boolean"):
        plan.load(file, distribution_ipv6())


def test_what_is_saved_is_read_back(file: Path) -> None:
    made = plan.Plan.model_validate({"appliances": {"auth": {"limits": {"memory": "1536MiB", "disk": "8GiB"}}}})
    made.switch_daemon("auth", "web", False)

    plan.save(file, made)

    assert plan.load(file, distribution()) == made
    assert "memory: 1536MiB" in file.read_text()


def test_sizes_are_written_as_people_say_them(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("version: 1\nappliances: {auth: {limits: {memory: 2GiB, disk: 6 GiB, cpu: 3}}}\n")

    limits = plan.load(file, distribution()).limits(distribution().appliance("auth"))

    assert (limits.memory, limits.disk, limits.cpu) == (2 << 30, 6 << 30, 3)


def test_the_difference_between_two_plans_is_told_in_words() -> None:
    before = plan.first(Path("/no/seed.toml"), distribution())
    after = before.model_copy(deep=True)
    after.switch_appliance("auth", False)
    after.switch_daemon("asr_billing", "web", False)
    after.appliances["asr_billing"].limits = plan.LimitOverrides(memory=2 << 30, disk=8 << 30)

    after.set(distribution().appliance("auth"), {"session_hours": 8})

    assert plan.changes(before, after, distribution()) == {
        "asr_billing": [
            "asr_billing.web: disabled",
            "asr_billing: memory 400MiB → 2GiB",
            "asr_billing: disk as the pool gives → 8GiB",
        ],
        "auth": ["auth: disabled", "auth: session_hours 12 → 8"],
    }
    assert plan.changes(before, before, distribution()) == {}


def test_a_changed_secret_is_told_without_its_value() -> None:
    words = {"en": "x", "ru": "x"}
    secret = Setting(key="api_key", kind="secret", title=words, help=words, default="")
    shipped = distribution()
    shipped.appliance("auth").settings.append(secret)
    before = plan.first(Path("/no/seed.toml"), shipped)
    after = before.model_copy(deep=True)
    after.set(shipped.appliance("auth"), {"api_key": "secret:0123456789abcdef"})

    assert plan.changes(before, after, shipped) == {"auth": ["auth: api_key entered anew"]}
    assert plan.changes(after, before, shipped) == {"auth": ["auth: api_key forgotten"]}


def test_a_plan_keeps_to_what_settings_need_of_one_another(file: Path) -> None:
    shipped = distribution()
    settings = shipped.appliance("auth").settings
    settings[0] = settings[0].model_copy(update={"needs": {"strict": True}})
    file.parent.mkdir()
    file.write_text("version: 1\nappliances: {auth: {settings: {session_hours: 8}}}\n")
    with pytest.raises(AgentError, match="auth.settings.session_hours: session_hours needs strict to be yes$"):
        plan.load(file, shipped)
    file.write_text("version: 1\nappliances: {auth: {settings: {session_hours: 8, strict: yes}}}\n")
    assert plan.load(file, shipped).settings(shipped.appliance("auth"))["session_hours"] == 8


def test_a_setting_without_a_choice_has_its_default() -> None:
    auth = distribution().appliance("auth")
    one = plan.first(Path("/no/seed.toml"), distribution())

    one.set(auth, {"session_hours": 8, "strict": True})
    one.set(auth, {"session_hours": None})

    assert one.settings(auth) == {"session_hours": 12, "strict": True}


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
        (
            "version: 1\nappliances: {auth: {limits: {memory: 2G}}}\n",
            ": appliances.auth.limits.memory: expected a size such as 512MiB or 2GiB",
        ),
        (
            "version: 1\nappliances: {auth: {limits: {memory: 1MiB}}}\n",
            ": appliances.auth.limits.memory: Input should be greater than or equal to 67108864",
        ),
        (
            "version: 1\nappliances: {auth: {settings: {session_hours: 900}}}\n",
            ": appliances.auth.settings.session_hours: session_hours takes a number from 1 to 168, not 900",
        ),
        (
            "version: 1\nappliances: {auth: {settings: {colour: red}}}\n",
            ": appliances.auth.settings.colour: has no setting 'colour' (it has: session_hours, strict)",
        ),
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


def test_answers_with_an_unknown_appliance_are_refused(tmp_path: Path) -> None:
    seed = tmp_path / "seed.toml"
    seed.write_text('appliances = ["mail"]\n')

    with pytest.raises(AgentError, match="seed.toml: appliances: there is no appliance 'mail'"):
        plan.first(seed, distribution())
