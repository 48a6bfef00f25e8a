"""What Zabbix is told: taken by a real proxy, refused by it, and as it is on the wire."""

from __future__ import annotations

import datetime
import json
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliances.base.agent.alarms import Alarm, Alarms, Message
from appliances.base.agent.channels import WORDS
from appliances.base.agent.courier import Courier
from appliances.base.agent.reporter import Reporter
from appliances.base.agent.zabbix import Zabbix
from tests.services.web_daemons import free_port
from tests.services.zabbix_daemon import Item, ZabbixProxy, zabbix_proxy

AT = "2026-11-23T08:20:00+00:00"
SECONDS = int(datetime.datetime.fromisoformat(AT).timestamp())
ALARM = Alarm("storage pool", "97% of 19.6 GiB used", "2026-11-23T08:00:00+00:00")
CHECKS = [
    {"name": "storage pool", "ok": False, "detail": "97% of 19.6 GiB used"},
    {"name": "auth.web", "ok": True, "detail": "отвечает"},
]
OF_THE_TEMPLATE = [
    Item("asrbox.event"),
    Item("asrbox.alarms", "UNSIGNED"),
    Item("asrbox.checks.discovery", discovery=True),
]
DISCOVERED = [
    item
    for name in ("storage pool", "auth.web")
    for item in (Item(f"asrbox.alarm[{name}]", "UNSIGNED"), Item(f"asrbox.detail[{name}]"))
]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZabbixProxy]:
    with zabbix_proxy(tmp_path_factory.mktemp("zabbix"), "box", [*OF_THE_TEMPLATE, *DISCOVERED]) as running:
        yield running


def channel(server: str, known_as: str = "box", language: str = "en") -> Zabbix:
    return Zabbix(server, known_as, WORDS[language])


def kept(proxy: ZabbixProxy, count: int) -> list[tuple[str, str, int]]:
    """The newest values that the proxy keeps, once there are so many more than before."""
    until = time.monotonic() + 10
    while len(found := proxy.taken()) < count:
        assert time.monotonic() < until, found
        time.sleep(0.1)
    return found[-count:]


def test_a_real_proxy_takes_events_and_what_the_checks_found(proxy: ZabbixProxy) -> None:
    before = len(proxy.taken())
    channel(proxy.address).send(Message("zabbix", "raised", ALARM, AT))
    channel(proxy.address, language="ru").send(Message("zabbix", "cleared", ALARM, AT))
    assert kept(proxy, before + 2)[-2:] == [
        ("asrbox.event", "ALARM: storage pool: 97% of 19.6 GiB used", SECONDS),
        ("asrbox.event", "снова в порядке: storage pool: 97% of 19.6 GiB used", SECONDS),
    ]

    assert channel(proxy.address).report(CHECKS, ["storage pool"]) == 0
    values = {key: value for key, value, _ in kept(proxy, before + 8)[-6:]}
    assert json.loads(values.pop("asrbox.checks.discovery")) == [{"{#CHECK}": "storage pool"}, {"{#CHECK}": "auth.web"}]
    assert values == {
        "asrbox.alarms": "1",
        "asrbox.alarm[storage pool]": "1",
        "asrbox.alarm[auth.web]": "0",
        "asrbox.detail[storage pool]": "97% of 19.6 GiB used",
        "asrbox.detail[auth.web]": "отвечает",
    }


def test_a_host_that_zabbix_does_not_know_is_not_delivered_and_says_what_to_do(
    proxy: ZabbixProxy, tmp_path: Path
) -> None:
    alarms = Alarms(tmp_path / "alarms.json")
    said: list[str] = []
    courier = Courier(alarms, lambda: {"zabbix": channel(proxy.address, "nobody")}, said.append)
    alarms.try_out(["zabbix"])
    assert not courier.round()
    assert alarms.read()["waiting"] == 1
    assert alarms.read()["trouble"]["zabbix"] == (
        f"{proxy.address} did not take 1 of 1 values (asrbox.event) for the host 'nobody': make a host of that name in "
        "Zabbix and link the template to it that `asrctl alarms zabbix-template` prints; a proxy hears of it with its "
        "next configuration"
    )
    # when it is known there, what waited is delivered
    courier = Courier(alarms, lambda: {"zabbix": channel(proxy.address)}, said.append)
    assert courier.round()
    assert alarms.read() == {"standing": [], "waiting": 0, "trouble": {}}


def test_items_that_zabbix_has_not_made_yet_are_waited_for(proxy: ZabbixProxy, tmp_path: Path) -> None:
    now = [0.0]
    alarms = Alarms(tmp_path / "alarms.json")
    known = {"zabbix": channel(proxy.address)}
    said: list[str] = []
    reporter = Reporter(alarms, lambda: known, said.append, lambda: now[0])
    new = {"name": "fiscal.web", "ok": True, "detail": ""}
    reporter.see([*CHECKS, new])
    reporter.round()
    assert alarms.trouble == {}
    now[0] = 601.0
    reporter.round()
    (why,) = said
    assert f"does not get through by values:zabbix: {proxy.address} does not take 2 values" in why
    assert "whether the discovery rule" in alarms.read()["trouble"]["values:zabbix"]
    reporter.see(CHECKS)
    reporter.round()
    assert alarms.trouble == {}

    known["zabbix"] = channel(proxy.address, "nobody")
    reporter.round()
    assert "2 of 2 values (asrbox.checks.discovery, asrbox.alarms)" in alarms.trouble["values:zabbix"]
    known.clear()
    reporter.round()
    assert alarms.trouble == {}


class Peer(socketserver.TCPServer):
    """Reads one packet of Zabbix' protocol, and answers with `info`, or with `raw` bytes."""

    allow_reuse_address = True
    info = "processed: 1; failed: 0; total: 1; seconds spent: 0.000041"
    raw: bytes | None = None

    def __init__(self) -> None:
        self.packets: list[Any] = []
        super().__init__(("127.0.0.1", 0), Talk)


class Talk(socketserver.StreamRequestHandler):
    server: Peer

    def handle(self) -> None:
        magic, flags, length, reserved = struct.unpack("<4sBII", self.rfile.read(13))
        assert (magic, flags, reserved) == (b"ZBXD", 1, 0)
        self.server.packets.append(json.loads(self.rfile.read(length)))
        body = json.dumps({"response": "success", "info": self.server.info}).encode()
        header = struct.pack("<4sBII", b"ZBXD", 1, len(body), 0)
        self.wfile.write(header + body if self.server.raw is None else self.server.raw)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def address(peer: Peer) -> str:
    return f"localhost:{peer.server_address[1]}"


def test_the_values_on_the_wire(peer: Peer) -> None:
    channel(address(peer)).send(Message("zabbix", "test", Alarm("test", "", AT), AT))
    value = {"host": "box", "key": "asrbox.event", "value": "a test of the alarms", "clock": SECONDS}
    assert peer.packets == [{"request": "sender data", "data": [value]}]

    odd = {"name": 'a, "b"]', "ok": True, "detail": "x"}
    channel(address(peer)).report([odd], [])
    assert [one["key"] for one in peer.packets[-1]["data"]] == [
        'asrbox.alarm["a, \\"b\\"]"]',
        'asrbox.detail["a, \\"b\\"]"]',
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        struct.pack("<4sBII", b"ZBXD", 1, 2, 0) + b"{}",
        struct.pack("<4sBII", b"ZBXD", 1, 4, 0) + b"\xff\xfe\x00\x01",
        struct.pack("<4sBII", b"ZBXD", 3, 4, 9) + b"zzzz",
        struct.pack("<4sBII", b"ZBXD", 1, 36, 0) + b'{"response": "success", "info": "no"}'[:36],
        struct.pack("<4sBII", b"ZBXD", 1, 23, 0) + b'{"response": "failed" }',
    ],
)
def test_an_answer_of_something_else_is_trouble_and_nothing_worse(peer: Peer, raw: bytes) -> None:
    peer.raw = raw
    with pytest.raises(OSError):  # noqa: PT011  any of its kind: the courier keeps the message
        channel(address(peer)).send(Message("zabbix", "raised", ALARM, AT))


def test_nobody_there_and_an_unknown_name_are_trouble() -> None:
    port = free_port()
    with pytest.raises(OSError, match=f"127.0.0.1:{port} did not answer as Zabbix does: Couldn't connect"):
        channel(f"127.0.0.1:{port}").send(Message("zabbix", "raised", ALARM, AT))
    with pytest.raises(OSError, match="does-not-exist.invalid"):
        channel("does-not-exist.invalid:10051").send(Message("zabbix", "raised", ALARM, AT))
