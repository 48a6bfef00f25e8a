"""The page of the journal of actions, on a small agent."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from appliances.common.authority import Person
from tests.unit.base_web.fake_agent import FakeAgent
from tests.unit.base_web.test_pages import page
from tests.unit.common.people import SITE, FakeAuthority, sign_in


def entry(number: int, **changes: Any) -> dict[str, Any]:
    """The agent's entry of that number: a restart of auth by anna."""
    return {
        "number": number,
        "at": "2026-11-23T10:00:00.000Z",
        "who": "anna",
        "kind": "power",
        "part": "auth.web",
        "what": "restart",
        "result": "done",
        "details": {},
    } | changes


def test_an_empty_journal_says_what_will_stand_there(panel: FlaskClient) -> None:
    assert "Ещё ничего не делали" in page(panel, "/audit")


def test_entries_say_what_where_who_and_what_it_was_before(panel: FlaskClient, agent: FakeAgent) -> None:
    change = {"session_hours": {"before": 12, "after": 8}, "strict": {"before": False, "after": True}}
    agent.entries = [
        entry(1),
        entry(2, kind="settings", what="configure", part="auth", result="asked", details={"settings": change}),
        entry(3, kind="plan", what="in force", part="", details={"number": 7}),
        entry(
            4, kind="repair", what="converge", part="auth", who="agent", result="failed", details={"error": "it <b>"}
        ),
        entry(5, kind="other", what="POST /api/v1/new", part=""),
    ]
    text = page(panel, "/audit")
    for expected in (
        "Перезапустить", "Вход → Страницы и API", "anna", "готово", "session_hours</span>: 12 → 8", "нет → да",
        "поручено", "Вступил в силу план", "План 7", "сервер", "Наладка", "не удалось", "&lt;b&gt;", "POST",
    ):  # fmt: skip
        assert expected in text, expected
    assert text.index("POST /api/v1/new") < text.index("Перезапустить")
    assert "Older" not in page(panel, "/audit", Accept_Language="en")


def test_filters_are_passed_on_and_kept(panel: FlaskClient, agent: FakeAgent) -> None:
    agent.entries = [entry(1), entry(2, who="boris")]
    text = page(panel, "/audit?who=boris&part=&kind=power&since=2026-11-01&until=2026-11-30")
    wanted = {"who": "boris", "kind": "power", "since": "2026-11-01", "until": "2026-11-30"}
    assert agent.asked == [{**wanted, "limit": 50}]
    assert 'value="boris"' in text and '<option value="power" selected>' in text and 'value="2026-11-30"' in text
    assert "audit.csv?who=boris&amp;kind=power&amp;since=2026-11-01&amp;until=2026-11-30" in text
    assert "Такого не было" in page(panel, "/audit?who=nobody")
    assert "kind" not in (page(panel, "/audit?kind=nonsense") and agent.asked[-1])


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "20261101"])
def test_what_is_no_day_is_said_and_not_asked_for(panel: FlaskClient, agent: FakeAgent, day: str) -> None:
    for address in ("/audit", "/audit.csv"):
        assert f"Это не день: {day}." in page(panel, f"{address}?since={day}")
    assert agent.asked == []


def test_pages_go_on_by_number(panel: FlaskClient, agent: FakeAgent) -> None:
    agent.entries = [entry(number) for number in range(1, 121)]
    assert 'href="/audit?before=71&amp;who=anna"' in page(panel, "/audit?who=anna")
    text = page(panel, "/audit?before=71&who=anna")
    assert 'href="/audit?before=21&amp;who=anna"' in text and "Самые новые" in text
    assert "Более ранние" not in page(panel, "/audit?before=21")
    page(panel, "/audit?before=99999999999999999999")
    assert "before" not in agent.asked[-1]


def test_the_table_holds_everything_that_was_asked_for(panel: FlaskClient, agent: FakeAgent) -> None:
    agent.entries = [entry(number) for number in range(1, 1203)] + [entry(1203, who="=1+1", details={"a": "ü"})]
    answer = panel.get("/audit.csv", base_url=SITE)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(answer.get_data().decode("utf-8-sig"))))
    assert rows[0] == ["№", "Когда", "Кто", "Вид", "Часть", "Что", "Итог", "Подробности"]
    assert rows[1] == [
        "1203", "2026-11-23T10:00:00+00:00", "'=1+1", "Запуски и остановки", "auth.web", "Перезапустить", "готово",
        '{"a": "ü"}',
    ]  # fmt: skip
    assert len(rows) == 1204


def test_only_administrators_and_auditors_read_it(panel: FlaskClient, people: FakeAuthority) -> None:
    vera = Person("vera", "Вера", "session", frozenset({"auditor"}), expires_at=datetime.now(UTC) + timedelta(hours=1))
    people.people["token-of-vera"] = vera
    sign_in(panel, "vera")
    assert "Ещё ничего не делали" in page(panel, "/audit")
    assert 'href="/audit"' in page(panel)
    sign_in(panel, "oleg")
    for address in ("/audit", "/audit.csv"):
        assert panel.get(address, base_url=SITE).status_code == 403
    assert 'href="/audit"' not in page(panel)
