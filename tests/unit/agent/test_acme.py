"""When an authority is asked: renewal, growing pauses that last over restarts, its own wishes, wrong clocks."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from appliances.base.agent import acme
from appliances.base.agent.acme import Record, Wanted
from appliances.base.agent.errors import AgentError
from appliances.base.agent.outsidecert import Shown
from appliances.base.agent.settings import Setting, unmet

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
DAY, HOUR, MINUTE = datetime.timedelta(days=1), datetime.timedelta(hours=1), datetime.timedelta(minutes=1)
DIRECTORY = "https://acme.example/directory"
WANTED = Wanted(("isp.example",), "", DIRECTORY)
RECORD = Record(WANTED.names, DIRECTORY)
SETTINGS = {"acme_names": "isp.example", "acme_terms_agreed": True, "acme_mail": "", "acme_directory": DIRECTORY}


def shown(left: float, life: float = 90, *names: str, directory: str = DIRECTORY) -> Shown:
    """A certificate of so many days, of which so many are left."""
    ends = NOW + left * DAY
    return Shown(names or WANTED.names, "R3", ends - life * DAY, ends, "acme", ends - life * DAY, directory)


def test_names_are_lower_case_and_counted_once() -> None:
    assert acme.wanted(SETTINGS) == WANTED
    many = acme.wanted({**SETTINGS, "acme_names": "B.isp.example,a.isp.example  b.ISP.example"})
    assert many is not None and many.names == ("b.isp.example", "a.isp.example")


@pytest.mark.parametrize("changes", [{"acme_names": ""}, {"acme_names": " , "}, {"acme_terms_agreed": False}])
def test_nothing_is_asked_without_names_or_agreement(changes: dict[str, Any]) -> None:
    assert acme.wanted({**SETTINGS, **changes}) is None
    assert acme.wanted({}) is None


@pytest.mark.parametrize(
    ("certificate", "after"),
    [
        (None, 0 * DAY),
        (shown(90), 60 * DAY),
        (shown(31), 1 * DAY),
        (shown(29), -1 * DAY),
        (shown(6, 6), 4 * DAY),
        (shown(-1), -31 * DAY),
        (shown(90, 90, "isp.example", "www.isp.example"), 60 * DAY),
        (shown(90, 90, "other.example"), 0 * DAY),
        (shown(90, directory="https://staging.example/directory"), 0 * DAY),
    ],
)
def test_it_is_renewed_when_a_third_of_its_life_is_left(certificate: Shown | None, after: datetime.timedelta) -> None:
    assert acme.due(WANTED, RECORD, certificate, NOW) == NOW + after


def test_pauses_grow_and_end_with_success() -> None:
    record, pauses = RECORD, []
    for _ in range(9):
        record = acme.failed(acme.begun(record, NOW), "no", None, NOW)
        assert record.next_at is not None
        pauses.append(record.next_at - NOW)
    assert pauses == [15 * MINUTE, 30 * MINUTE, 1 * HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 12 * HOUR, 12 * HOUR, 12 * HOUR]
    assert (record.failures, record.error, record.failed_at) == (9, "no", NOW)
    assert acme.due(WANTED, record, None, NOW) == NOW + 12 * HOUR
    assert acme.succeeded(record) == RECORD


def test_what_kills_the_agent_is_not_repeated_without_a_pause() -> None:
    record, pauses = RECORD, []
    for _ in range(4):
        record = acme.begun(record, NOW)
        pauses.append((acme.due(WANTED, record, None, NOW) - NOW).total_seconds())
    assert pauses == [30, 60, 120, 240]
    huge = acme.begun(replace(RECORD, failures=10**9), NOW)
    assert huge.next_at == NOW + acme.LONGEST_PAUSE


@pytest.mark.parametrize(
    ("wish", "until"), [(60.0, 1 * MINUTE), (86400.0, 1 * DAY), (1e12, acme.LONGEST_WISH), (0.0, 0 * DAY)]
)
def test_the_authority_may_ask_for_a_longer_pause(wish: float, until: datetime.timedelta) -> None:
    record = acme.failed(acme.begun(RECORD, NOW), "busy", wish, NOW)
    assert record.paused_until == NOW + until
    assert record.next_at == NOW + max(until, 15 * MINUTE)
    assert acme.paused(record, NOW) is (wish > 0)
    assert not acme.paused(record, NOW + until)


def test_a_clock_that_was_years_ahead_stops_nothing() -> None:
    record = acme.failed(acme.begun(RECORD, NOW + 4000 * DAY), "no", 3600.0, NOW + 4000 * DAY)
    assert acme.due(WANTED, record, None, NOW) == NOW
    assert not acme.paused(record, NOW)


def test_other_names_begin_anew_but_the_authority_s_wish_stays() -> None:
    record = acme.failed(acme.begun(RECORD, NOW), "busy", 7200.0, NOW)
    assert acme.of(WANTED, record) is record
    other = acme.of(replace(WANTED, names=("b.example",)), record)
    assert (other.failures, other.error, other.next_at) == (0, None, NOW + 2 * HOUR)
    assert acme.of(replace(WANTED, directory="https://other.example/d"), record).next_at is None
    assert acme.of(WANTED, None) == RECORD


def test_the_record_lasts(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    assert acme.read(path) is None
    record = acme.failed(acme.begun(RECORD, NOW), "too many", 3600.0, NOW)
    acme.write(path, record)
    assert acme.read(path) == record
    assert path.stat().st_mode & 0o777 == 0o600
    for rubbish in ("", "[]", "{}", path.read_text().replace('"next_at"', '"x"'), '{"names": null}'):
        path.write_text(rubbish)
        assert acme.read(path) is None


def test_it_is_late_when_a_fourth_is_left() -> None:
    assert not acme.late(shown(23), NOW)
    assert acme.late(shown(22), NOW)


def test_proofs_are_shown_and_taken_away(tmp_path: Path) -> None:
    tokens = tmp_path / "challenges"
    acme.clear(tokens)
    acme.show(tokens, "tok-en_1", "tok-en_1.thumb")
    assert (tokens / "tok-en_1").read_text() == "tok-en_1.thumb"
    assert (tokens / "tok-en_1").stat().st_mode & 0o777 == 0o644
    acme.clear(tokens)
    assert list(tokens.iterdir()) == []
    for token in ("", "../outside.pem", "a/b", ".hidden", "x" * 201):
        with pytest.raises(AgentError, match="a token that is none"):
            acme.show(tokens, token, "x")


def test_what_a_killed_agent_has_left_is_tidied(tmp_path: Path) -> None:
    left = ["challenges/token", "challenges/.token.0badc0de", ".record.json.0badc0de", "accounts/.a.json.0badc0de"]
    kept = ["record.json", "accounts/a.json", "certificate.pem", acme.ORDER]
    for name in left + kept:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    acme.tidy(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def declared() -> dict[str, Setting]:
    """The settings as the control panel declares them."""
    manifest = Path(acme.__file__).parents[1] / "appliance.yaml"
    found = yaml.safe_load(manifest.read_text())["settings"]
    return {key: Setting(key=key, **one) for key, one in found.items() if key.startswith("acme_")}


@pytest.mark.parametrize(
    ("key", "value", "taken"),
    [
        ("acme_names", "", True),
        ("acme_names", "billing.isp.example", True),
        ("acme_names", "billing.isp.example, Cabinet.isp.example", True),
        ("acme_names", "xn--90aefi5a.xn--p1ai", True),
        ("acme_names", ", ".join(["a.isp.example"] * 100), True),
        ("acme_names", ", ".join(["a.isp.example"] * 101), False),
        ("acme_names", "192.0.2.1", False),
        ("acme_names", "2001:db8::1", False),
        ("acme_names", "*.isp.example", False),
        ("acme_names", "localhost", False),
        ("acme_names", "биллинг.рф", False),
        ("acme_names", "a..example", False),
        ("acme_names", "-a.example", False),
        ("acme_names", "a.example.", False),
        ("acme_names", f"{'a' * 64}.example", False),
        ("acme_names", "https://isp.example", False),
        ("acme_mail", "", True),
        ("acme_mail", "noc@isp.example", True),
        ("acme_mail", "noc@isp.example, ceo@isp.example", False),
        ("acme_directory", "https://127.0.0.1:14000/dir", True),
        ("acme_directory", "http://acme.example/directory", False),
        ("acme_directory", "https://acme.example", False),
        ("acme_directory", "", False),
        ("acme_terms_agreed", "yes", True),
        ("acme_terms_agreed", "perhaps", False),
    ],
)
def test_the_settings_take_what_can_be_asked_for(key: str, value: str, taken: bool) -> None:
    setting = declared()[key]
    if taken:
        setting.check(value)
    else:
        with pytest.raises(ValueError, match=f"^{key} takes "):
            setting.check(value)


def test_names_need_the_agreement() -> None:
    settings = list(declared().values())
    assert unmet(settings, SETTINGS) == {}
    assert unmet(settings, {**SETTINGS, "acme_names": "", "acme_terms_agreed": False}) == {}
    refused = unmet(settings, {**SETTINGS, "acme_terms_agreed": False})
    assert refused == {"acme_names": "acme_names needs acme_terms_agreed to be yes"}
