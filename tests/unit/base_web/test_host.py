"""The pages that change the server's own network and people, on a small agent."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from tests.unit.base_web.fake_agent import FakeAgent
from tests.unit.base_web.test_pages import act, page
from tests.unit.common.people import SITE, FakeAuthority, form_token, sign_in

UNCHANGED = {
    "method": "dhcp",
    "interface": "",
    "address": "",
    "gateway": "",
    "dns": "",
    "hostname": "box",
    "time_servers": "",
}
FIXED = {
    **UNCHANGED,
    "method": "static",
    "address": "192.0.2.10/24",
    "gateway": "192.0.2.1",
    "dns": "192.0.2.53, 192.0.2.54",
}


def refused(panel: FlaskClient, path: str, **form: str) -> str:
    answer = panel.post(path, base_url=SITE, data=form | {"csrf_token": form_token(panel, "/nothing")})
    assert answer.status_code == 422, answer.text
    return answer.text


def test_only_what_was_changed_is_asked_for(panel: FlaskClient, agent: FakeAgent) -> None:
    act(panel, "/server/network", **FIXED)
    assert agent.host_orders == [
        (
            ("network",),
            {
                "method": "static",
                "address": "192.0.2.10/24",
                "gateway": "192.0.2.1",
                "dns": ["192.0.2.53", "192.0.2.54"],
            },
        )
    ]
    assert "Ничего не изменилось" in act(panel, "/server/network", **UNCHANGED)
    assert len(agent.host_orders) == 1


def test_going_back_to_dhcp_leaves_the_old_address_behind(panel: FlaskClient, agent: FakeAgent) -> None:
    agent.host_network |= {"method": "static", "address": "192.0.2.10/24", "gateway": "192.0.2.1"}
    act(panel, "/server/network", **{**FIXED, "method": "dhcp", "dns": "", "gateway": "192.0.2.9"})
    assert agent.host_orders == [(("network",), {"method": "dhcp"})]


def test_wrong_fields_are_named_and_keep_what_was_typed(panel: FlaskClient, agent: FakeAgent) -> None:
    agent.refusal = {"detail": "x", "errors": {"gateway": "the gateway 10.0.0.1 is not in the network"}}
    text = refused(panel, "/server/network", **{**FIXED, "gateway": "10.0.0.1"})
    assert 'value="10.0.0.1"' in text and "Адрес той же сети, например 192.0.2.1" in text
    agent.refusal = {"detail": "a change of the network is on trial already"}
    assert "on trial already" in refused(panel, "/server/network", **FIXED)


def test_a_trial_says_how_long_where_to_go_and_how_to_end_it(panel: FlaskClient, agent: FakeAgent) -> None:
    assert "на испытании" not in page(panel, "/server/network")
    agent.host_network["trial"] = {
        "wanted": {"address": "192.0.2.99/24"}, "author": "anna", "applied": True, "seconds": 71,
    }  # fmt: skip
    text = page(panel, "/server/network")
    assert "за 71 с" in text and 'href="https://192.0.2.99/server/network"' in text
    assert re.search(r"<button class=\"btn btn-primary\" disabled>Опробовать", text)
    fragment = page(panel, "/server/network", HX_Request="true")
    assert "<html" not in fragment and 'hx-get="/server/network"' in fragment
    assert "Сеть остаётся такой." in act(panel, "/server/network/confirm")
    assert "Сеть снова такая, как прежде." in act(panel, "/server/network/revert")
    assert [path for path, _ in agent.host_orders] == [("network", "confirm"), ("network", "revert")]
    agent.refusal = {"detail": "no change of the network waits to be confirmed"}
    assert "waits to be confirmed" in act(panel, "/server/network/confirm")


def test_what_could_not_be_tried_and_what_was_set_up_by_hand_is_said(panel: FlaskClient, agent: FakeAgent) -> None:
    agent.host_network["trouble"] = "networkctl reload: no <b>"
    assert "networkctl reload: no &lt;b&gt;" in page(panel, "/server/network")
    agent.host_network["by_hand"] = "10-asrbox.network:8: 'VLAN=eth0.7' was written by somebody else"
    text = page(panel, "/server/network")
    assert "Сеть настроена вручную" in text and 'name="method"' not in text


def test_somebody_is_added(panel: FlaskClient, agent: FakeAgent) -> None:
    form = {
        "name": "clara",
        "keys": "# mine\r\nssh-ed25519 AAAA clara\r\n",
        "password_hash": "",
        "administrator": "yes",
    }
    assert "Теперь clara может входить на сервер." in act(panel, "/server/people", **form)
    body = {"name": "clara", "keys": ["ssh-ed25519 AAAA clara"], "password_hash": None, "administrator": True}
    assert agent.host_orders == [(("people",), body)]

    agent.refusal = {"detail": "x", "errors": {"keys": "…", "name": "…"}}
    text = refused(panel, "/server/people", **form)
    assert 'value="clara"' in text and "ssh-ed25519 AAAA clara" in text
    assert "который ещё не занят" in text and "Строки файлов .pub целиком" in text


def test_locking_removing_and_keys(panel: FlaskClient, agent: FakeAgent) -> None:
    text = page(panel, "/server/people")
    assert "built-in" not in text and "aria-invalid" not in text
    for expected in ("admin", "администратор", "…AARk3vZZ anna@laptop", 'popovertarget="lock-admin"', "паролю<br>"):
        assert expected in text
    act(panel, "/server/people/admin/lock")
    act(panel, "/server/people/admin/keys", keys="ssh-rsa BBBB x\n")
    assert "другое" in act(panel, "/server/people/admin/remove", typed="anna")
    act(panel, "/server/people/admin/remove", typed="admin")
    assert agent.host_orders == [
        (("people", "admin", "lock"), None),
        (("people", "admin", "keys"), {"keys": ["ssh-rsa BBBB x"]}),
        (("people", "admin", "remove"), None),
    ]
    agent.refusal = {"detail": "admin is the last who can look after this host"}
    assert "is the last who can" in act(panel, "/server/people/admin/lock")
    agent.people = []
    assert "Входить некому" in page(panel, "/server/people")


@pytest.mark.parametrize("path", ["/server/network", "/server/people"])
def test_only_administrators_change_the_server(panel: FlaskClient, people: FakeAuthority, path: str) -> None:
    assert f'href="{path}"' in page(panel, "/server")
    sign_in(panel, "oleg")
    assert panel.get(path, base_url=SITE).status_code == 403
    assert f'href="{path}"' not in page(panel, "/server")
