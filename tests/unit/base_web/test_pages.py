"""The control panel on a small agent."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from appliances.base.web import agent as agent_module
from appliances.base.web import words
from tests.unit.agent.examples import acme_json
from tests.unit.base_web.fake_agent import FakeAgent
from tests.unit.common.people import SITE, FakeAuthority, form_token, sign_in


def page(panel: FlaskClient, path: str = "/", **headers: str) -> str:
    answer = panel.get(path, base_url=SITE, headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status_code == 200, answer.text
    return answer.text


def act(panel: FlaskClient, path: str, **form: str) -> str:
    token = form_token(panel, "/nothing")
    answer = panel.post(path, base_url=SITE, data=form | {"csrf_token": token}, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_the_overview_shows_parts_daemons_and_addresses(panel: FlaskClient) -> None:
    text = page(panel)
    for expected in ("Биллинг", "База данных Firebird", "198.18.83.2:3050", "198.18.83.3:443", "Работает"):
        assert expected in text
    assert 'href="/billing/"' in text


def test_the_overview_speaks_english_too(panel: FlaskClient) -> None:
    text = page(panel, Accept_Language="en")
    assert "Firebird database" in text
    assert "Биллинг" not in text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"health": "failing", "detail": "503: the disk is full"}, "503: the disk is full"),
        ({"health": "failing"}, "Не отвечает"),
        ({"health": "unknown"}, "Проверяется"),
        ({"state": "stopped"}, "Остановлено"),
        ({"state": "error", "detail": "exited with 1"}, "exited with 1"),
        ({"state": "disabled", "enabled": False}, "Выключено"),
        ({"state": "absent"}, "Ещё не создано"),
    ],
)
def test_states_have_words(panel: FlaskClient, agent: FakeAgent, changes: dict[str, object], expected: str) -> None:
    assert expected not in page(panel)
    agent.part("asr_billing", "firebird").update(changes)
    assert expected in page(panel)


def test_first_boot_shows_its_progress(panel: FlaskClient, agent: FakeAgent) -> None:
    agent.phase, agent.progress = "first-boot", {"done": 3, "total": 12, "text": "auth: imported"}
    text = page(panel)
    assert "Шаг 3 из 12" in text
    assert '<progress class="bar-part" value="3" max="12"' in text


def test_what_has_been_broken_for_long_stands_above_everything(panel: FlaskClient, agent: FakeAgent) -> None:
    assert "не работает уже давно" not in page(panel)
    agent.alarms = [{"name": "storage pool", "detail": "97% <b>", "since": "2026-11-23T08:00:00+00:00"}]
    text = page(panel)
    assert text.index("не работает уже давно") < text.index('id="to-base"')
    assert "storage pool" in text
    assert "97% &lt;b&gt;" in text


def test_the_load_of_a_part_is_drawn_and_said_in_words(panel: FlaskClient, agent: FakeAgent) -> None:
    assert "Нагрузка" not in page(panel, "/appliances/auth")
    at = "2026-11-23T08:00:00+00:00"
    agent.samples = [
        {"at": at, "memory": memory << 20, "cpu": cpu, "processes": 40} for memory, cpu in ((100, 0.5), (200, 0.25))
    ]
    text = page(panel, "/appliances/auth")
    assert "Память за последние два часа: сейчас 200 МиБ, самое большее 200 МиБ" in text
    assert "Процессоры за последние два часа: сейчас 0,25, самое большее 0,5" in text
    # of 400 MiB, drawn 240 wide and 48 high
    assert 'points="0.0,36.0 240.0,24.0"' in text


def test_the_network_says_who_may_connect_to_whom_and_what_is_outside(panel: FlaskClient, agent: FakeAgent) -> None:
    text = page(panel, "/network")
    assert "192.0.2.10" in text
    assert re.search(r"Отброшено пакетов.*?>\s*3\s*<", text, re.DOTALL)
    assert "Вход → Страницы и API" in text
    assert "198.18.82.2:443/tcp" in text
    assert "агент этого сервера" in text
    assert "Биллинг → Страницы и API" in text
    assert ">/billing<" in text
    assert "порт 9443, с клиентским сертификатом" in text
    # drawn: three parts and the host, a line for each permission, said in words too
    assert text.count("<rect") == 4
    assert "<title>Биллинг → Вход: 198.18.82.2:443</title>" in text

    agent.network = {**agent.network, "dropped": None, "addresses": []}
    text = page(panel, "/network")
    assert "межсетевой экран не загружен" in text
    assert "адреса ещё нет" in text


def test_the_network_shows_second_addresses_where_ipv6_is_on(panel: FlaskClient, agent: FakeAgent) -> None:
    text = page(panel, "/network")
    assert re.search(r"IPv6 между частями.*?выключен", text, re.DOTALL)
    assert "fd34:" not in text

    for way, address6 in zip(agent.network["passes"], ("fd34:ed37:338c:2::2", "fd34:ed37:338c::1"), strict=True):
        way["address6"] = address6
    agent.network["host6"] = "fd34:ed37:338c::1"
    agent.part("auth", "web")["address6"] = "fd34:ed37:338c:2::2"
    text = page(panel, "/network")
    assert re.search(r"IPv6 между частями.*?fd34:ed37:338c::/56", text, re.DOTALL)
    assert "198.18.82.2:443/tcp<br>[fd34:ed37:338c:2::2]:443/tcp" in text
    assert "198.18.82.2:443<br>[fd34:ed37:338c:2::2]:443" in page(panel, "/appliances/auth")


def test_the_certificate_of_the_pages_is_told_with_how_it_got_there(panel: FlaskClient, agent: FakeAgent) -> None:
    text = page(panel, "/network")
    assert "подписан собственным центром сервера" in text and "asrctl certificate install" in text

    brought = {"own": False, "way": "brought", "names": ["isp.example"], "issuer": "R3"}
    agent.certificate.update(brought, since="2026-11-01T10:00:00+00:00", ends="2027-02-01T10:00:00+00:00")
    text = page(panel, "/network")
    for expected in ("установлен людьми", "isp.example", "R3", "1 нояб. 2026", "1 февр. 2027"):
        assert expected in text
    assert "Запросить сейчас" not in text

    agent.certificate.update(way="acme", acme=acme_json())
    text = page(panel, "/network")
    for expected in ("получен по ACME", "billing.isp.example", "https://acme.example/directory"):
        assert expected in text
    assert "Последняя попытка не удалась:" in text and "acme.example does not answer" in text


def test_an_authority_is_asked_now_from_the_page(panel: FlaskClient, agent: FakeAgent) -> None:
    assert "Агент отказал" in act(panel, "/certificate/renew")
    agent.certificate["acme"] = acme_json()
    text = act(panel, "/certificate/renew")
    assert "Запрос отправлен в центр сертификации." in text and "идёт сейчас" in text
    assert "Запросить сейчас" not in text


def test_a_setting_that_needs_another_one_says_which(panel: FlaskClient, agent: FakeAgent) -> None:
    agent.settings["auth"]["session_hours"]["needs"] = {"agreed": True}
    words = {"ru": "Согласие", "en": "Agreement"}
    agent.settings["auth"]["agreed"] = {
        "key": "agreed", "kind": "bool", "title": words, "help": words, "default": False, "value": False,
    }  # fmt: skip
    token = form_token(panel, "/nothing")
    form = {"csrf_token": token, "session_hours": "900", "agreed": "no"}
    answer = panel.post("/appliances/auth/settings", base_url=SITE, data=form)
    assert answer.status_code == 422
    assert "Сначала: «Согласие» — да." in answer.text


def test_the_living_part_is_a_fragment_of_the_same_address(panel: FlaskClient) -> None:
    for path in ("/", "/appliances/auth", "/appliances/auth/logs", "/operations"):
        whole, part = page(panel, path), page(panel, path, HX_Request="true")
        assert "<html" in whole and "<html" not in part
        assert 'id="live"' in whole and 'id="live"' in part


def test_stopping_and_starting_a_daemon(panel: FlaskClient, agent: FakeAgent) -> None:
    text = act(panel, "/appliances/asr_billing/daemons/firebird/stop")
    assert agent.part("asr_billing", "firebird")["state"] == "stopped"
    assert "Остановка: «Биллинг → База данных Firebird»" in text
    assert 'id="open-start-firebird"' in text and 'id="open-stop-firebird"' not in text

    act(panel, "/appliances/asr_billing/daemons/firebird/start")
    assert agent.part("asr_billing", "firebird")["state"] == "running"


def test_what_the_agent_did_by_itself_is_told_in_words(panel: FlaskClient, agent: FakeAgent) -> None:
    own = {"id": "1", "status": "done", "author": "agent", "log": [], "error": None}
    times = {"started_at": "2026-11-23T07:00:00Z", "ended_at": "2026-11-23T07:00:01Z"}
    agent.operations = [
        {**own, **times, "action": "converge", "target": "auth, asr_billing"},
        {**own, **times, "id": "2", "action": "apply", "target": "plan"},
    ]
    text = page(panel, "/operations")
    assert "Приведение в порядок: «Вход», «Биллинг»" in text
    assert "Ввод плана в действие" in text


def test_the_server_is_shown_with_its_network_its_people_and_all_checks(panel: FlaskClient, agent: FakeAgent) -> None:
    text = page(panel, "/server")
    for shown in (
        "Debian GNU/Linux 13 (trixie)", "0,5 · 0,25 · 0,1", "установлены по серверам времени", "192.0.2.10/24",
        "192.0.2.1 by ens3", "192.0.2.53", "не подключено", "администратор", "Диск", "96% of 19.6 GiB used", "auth.web",
        "Том auth-data",
    ):  # fmt: skip
        assert shown in text
    agent.server |= {"clock_synchronised": False, "gateways": [], "resolvers": []}
    assert "ещё не сверены с сервером времени" in page(panel, "/server")


def test_a_setting_is_changed_in_its_form(panel: FlaskClient, agent: FakeAgent) -> None:
    text = page(panel, "/appliances/auth/settings")
    assert "Предельная длина сеанса" in text and "По умолчанию: 12." in text

    assert "Настройки применяются" in act(panel, "/appliances/auth/settings", session_hours="8", language="ru")
    assert agent.settings["auth"]["session_hours"]["value"] == 8
    assert "Ничего не изменилось" in act(panel, "/appliances/auth/settings", session_hours="8", language="ru")


def test_a_choice_reads_as_people_call_it_and_is_stored_as_its_value(panel: FlaskClient, agent: FakeAgent) -> None:
    text = page(panel, "/appliances/auth/settings")
    assert re.search(r'<option value="ru" selected>Русский</option>\s*<option value="en">English</option>', text)
    assert "По умолчанию: Русский." in text

    act(panel, "/appliances/auth/settings", session_hours="12", language="en")
    assert agent.settings["auth"]["language"]["value"] == "en"


def test_the_trail_does_not_name_the_panel_twice(panel: FlaskClient) -> None:
    def trail(path: str) -> list[str]:
        place = re.search(r'<nav class="topbar-place".*?</nav>', page(panel, path), re.DOTALL)
        assert place
        return re.findall(r">([^<>]*\w[^<>]*)<", place[0])

    assert trail("/") == ["Панель управления"]
    assert trail("/appliances/base") == ["Панель управления", "Эта панель"]
    assert trail("/appliances/base/settings") == ["Панель управления", "Эта панель", "Настройки"]
    assert trail("/appliances/auth") == ["Панель управления", "Вход"]


def test_a_wrong_value_stays_in_the_form_with_what_the_field_takes(panel: FlaskClient, agent: FakeAgent) -> None:
    token = form_token(panel, "/nothing")
    form = {"csrf_token": token, "session_hours": "900", "language": "ru"}
    answer = panel.post("/appliances/auth/settings", base_url=SITE, data=form)
    assert answer.status_code == 422
    assert 'value="900"' in answer.text and "Число от 1 до 168." in answer.text
    assert agent.settings["auth"]["session_hours"]["value"] == 12


def test_a_secret_is_entered_kept_and_forgotten_and_never_shown(panel: FlaskClient, agent: FakeAgent) -> None:
    address = "/appliances/auth/settings"
    assert "Ничего не сохранено." in page(panel, address)

    act(panel, address, session_hours="12", language="ru", directory_password=" hunter2")
    assert agent.entered == [" hunter2"]
    text = page(panel, address)
    assert "hunter2" not in text and "оставьте поле пустым" in text

    assert "Ничего не изменилось" in act(panel, address, session_hours="12", language="ru", directory_password="")
    form = {"session_hours": "12", "language": "ru", "directory_password": "", "forget-directory_password": "yes"}
    act(panel, address, **form)
    assert agent.entered == [" hunter2", None]


def test_a_part_without_settings_says_so(panel: FlaskClient) -> None:
    assert "У этой части настроек нет" in page(panel, "/appliances/asr_billing/settings")


def test_every_button_opens_a_confirmation_that_exists(panel: FlaskClient) -> None:
    text = page(panel, "/appliances/asr_billing")
    opened = set(re.findall(r'popovertarget="([\w-]+)"', text))
    assert {"restart-all", "stop-firebird", "disable-web"} <= opened
    assert opened <= set(re.findall(r'id="([\w-]+)"[^>]* popover', text))


def test_whoever_takes_the_way_back_away_types_the_name(panel: FlaskClient, agent: FakeAgent) -> None:
    assert "введено другое имя" in act(panel, "/appliances/base/stop")
    assert "введено другое имя" in act(panel, "/appliances/auth/daemons/web/disable", typed="base")
    assert agent.operations == []

    act(panel, "/appliances/auth/stop", typed="auth")
    assert agent.part("auth")["state"] == "stopped"


def test_who_is_not_administrator_sees_and_does_not_touch(panel: FlaskClient, agent: FakeAgent) -> None:
    sign_in(panel, "oleg")
    assert 'popovertarget="restart' not in page(panel, "/appliances/asr_billing")
    answer = panel.post(
        "/appliances/asr_billing/stop", base_url=SITE, data={"csrf_token": form_token(panel, "/nothing")}
    )
    assert answer.status_code == 403
    assert agent.operations == []


def test_a_refusal_of_the_agent_is_shown(panel: FlaskClient) -> None:
    answer = panel.post("/appliances/xge/start", base_url=SITE, data={"csrf_token": form_token(panel, "/nothing")})
    assert answer.status_code == 303
    assert "Агент отказал: there is no xge" in page(panel)


@pytest.mark.parametrize("path", ["/appliances/xge", "/appliances/auth/logs?daemon=firebird"])
def test_unknown_parts_are_a_404(panel: FlaskClient, path: str) -> None:
    assert panel.get(path, base_url=SITE).status_code == 404


def test_an_unknown_action_never_reaches_the_agent(panel: FlaskClient, agent: FakeAgent) -> None:
    data = {"csrf_token": form_token(panel, "/nothing")}
    assert panel.post("/appliances/auth/destroy", base_url=SITE, data=data).status_code == 404
    assert agent.operations == []


def test_the_log_is_readable_and_escaped(panel: FlaskClient, agent: FakeAgent) -> None:
    agent.lines.append("2026-11-22T10:00:01+0000 auth app[2]: <script>alert(1)</script>")
    text = page(panel, "/appliances/auth/logs?lines=1000")
    assert "Started asrbox-app@auth.service." in text
    assert "&lt;script&gt;" in text and "<script>alert" not in text


def test_a_stopped_container_has_no_log_and_says_why(panel: FlaskClient, agent: FakeAgent) -> None:
    agent.part("auth")["state"] = "stopped"
    assert "the container is not running" in page(panel, "/appliances/auth/logs")


def test_without_the_agent_the_panel_says_so_and_tries_again(panel: FlaskClient, agent: FakeAgent) -> None:
    agent.away = True
    answer = panel.get("/", base_url=SITE)
    assert answer.status_code == 503
    assert "Агент сервера не отвечает" in answer.text
    assert '<meta http-equiv="refresh" content="5">' in answer.text


def test_without_auth_the_panel_stays_closed(panel: FlaskClient, people: FakeAuthority) -> None:
    people.away = True
    answer = panel.get("/", base_url=SITE)
    assert answer.status_code == 503
    assert "Вход не отвечает" in answer.text


def test_healthz_asks_agent_and_auth(panel: FlaskClient, agent: FakeAgent, people: FakeAuthority) -> None:
    assert panel.get("/healthz", base_url=SITE).status_code == 200
    agent.away = people.away = True
    answer = panel.get("/healthz", base_url=SITE)
    assert answer.status_code == 503
    assert [check["ok"] for check in answer.json["checks"].values()] == [False, False]


def test_the_words_cover_every_state_and_action() -> None:

    states = set(agent_module.State.__args__)  # type: ignore[attr-defined]
    assert states == set(words.BY_STATE) | {"running"}
    healths = set(agent_module.Well.__args__)  # type: ignore[attr-defined]
    assert healths == set(words.BY_HEALTH)
    assert tuple(sorted(words.ACTIONS)) == tuple(sorted(agent_module.ACTIONS))
