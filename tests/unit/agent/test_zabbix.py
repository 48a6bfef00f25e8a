"""The template has an item for every value that Zabbix is sent, and is what Zabbix takes as far as its shape goes."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from appliances.base.agent import zabbix
from appliances.base.agent.alarms import Alarm, Message
from appliances.base.agent.asrctl.commands import main
from appliances.base.agent.channels import WORDS
from appliances.base.agent.zabbix import NotTaken, Zabbix

EXPORT = yaml.safe_load(zabbix.TEMPLATE.read_text(encoding="utf-8"))["zabbix_export"]
AT = "2026-11-23T08:00:00+00:00"
(TEMPLATE,) = EXPORT["templates"]
(RULE,) = TEMPLATE["discovery_rules"]


def keys_sent(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    sent: set[str] = set()
    monkeypatch.setattr(Zabbix, "_send", lambda _self, values: sent.update(one[0] for one in values) or 0)
    channel = Zabbix("127.0.0.1:1", "box", WORDS["en"])
    channel.report([{"name": "disk", "ok": True, "detail": ""}], [])
    channel.send(Message("zabbix", "raised", Alarm("disk", "", AT), AT))
    return sent


def test_every_value_has_an_item_and_every_item_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [*TEMPLATE["items"], RULE, *RULE["item_prototypes"]]
    assert {one["key"].replace("{#CHECK}", "disk") for one in items} == keys_sent(monkeypatch)
    assert {one["type"] for one in items} == {"TRAP"}


def test_every_part_has_an_identity_of_its_own() -> None:
    found: list[str] = []

    def gather(node: Any) -> None:
        if isinstance(node, dict):
            found.extend(value for name, value in node.items() if name == "uuid")
        for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
            gather(one)

    gather(EXPORT)
    assert len(found) == len(set(found)) == 10
    assert {uuid.UUID(one).version for one in found} == {4}  # Zabbix refuses others


def test_triggers_ask_items_of_the_template() -> None:
    triggers = [*TEMPLATE["items"][0]["triggers"], *RULE["trigger_prototypes"]]
    asked = {item for one in triggers for item in re.findall(r"\(/([^/]+)/([a-z.]+(?:\[[^\]]*\])?)", one["expression"])}
    assert asked == {
        (TEMPLATE["template"], key) for key in ("asrbox.alarms", "asrbox.alarm[{#CHECK}]", "asrbox.detail[{#CHECK}]")
    }


def test_it_is_printed() -> None:
    printed = CliRunner().invoke(main, ["alarms", "zabbix-template"])
    assert printed.exit_code == 0
    assert printed.output == zabbix.TEMPLATE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [("auth.web", "a[auth.web]"), ("storage pool", "a[storage pool]"), ("x,y", 'a["x,y"]'), ('[x"', 'a["[x\\""]')],
)
def test_a_key_is_quoted_where_zabbix_wants_it(parameter: str, expected: str) -> None:
    assert zabbix.key("a", parameter) == expected


def test_what_is_refused_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Zabbix, "_send", lambda _self, values: len(values))
    with pytest.raises(NotTaken, match=r"did not take 2 of 2 values \(asrbox.checks.discovery, asrbox.alarms\)"):
        Zabbix("z.example:10051", "box", WORDS["en"]).report([], [])
