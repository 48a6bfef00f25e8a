"""Health: what systemd and endpoints say becomes one word, and repairs that do not help get rarer."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import cast

import pytest

from appliances.base.agent import health
from appliances.base.agent import plan as plans
from appliances.base.agent.board import Board, daemon_status
from appliances.base.agent.distribution import Daemon
from appliances.base.agent.health import Answer, Unit, ask, failing_checks, parse_units
from appliances.base.agent.held import Held
from appliances.base.agent.hostsetup import id_base
from appliances.base.agent.incus import Incus, Ran
from appliances.base.agent.outside import addresses_of
from appliances.base.agent.safemode import SafeMode
from appliances.base.agent.watch import Backoff, Watch, judge, summary
from tests.unit.agent.examples import daemon, distribution


def test_a_daemon_is_well_when_both_of_its_addresses_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as plug:
        port = plug.getsockname()[1]
        told = daemon("db", "127.0.0.1", address6="::1", port=port, health={"kind": "tcp"})
        example = Daemon.model_validate(told, strict=False)
        answer = ask(example, Path("unused"))
        assert not answer.ok and answer.detail.startswith(f"[::1]:{port} does not answer")
        with socket.create_server(("::1", port), family=socket.AF_INET6):
            assert ask(example, Path("unused")).ok


def test_units_are_read_from_systemctl_show() -> None:
    shown = (
        "Result=success\nActiveState=active\nUnitFileState=enabled\n"
        "\nResult=exit-code\nActiveState=failed\nUnitFileState=disabled\n"
    )

    assert parse_units(shown) == [Unit("active", "success", "enabled"), Unit("failed", "exit-code", "disabled")]


def test_an_endpoint_that_listens_is_reached_and_one_that_is_gone_is_not() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    example = Daemon.model_validate(daemon("db", "127.0.0.1", port=port, health={"kind": "tcp"}), strict=False)
    accepting = threading.Thread(target=listener.accept)
    accepting.start()

    assert ask(example, Path("ca.crt")).ok
    accepting.join()
    listener.close()

    answer = ask(example, Path("ca.crt"))
    assert (answer.ok, answer.reached) == (False, False)
    assert f"127.0.0.1:{port} does not answer" in answer.detail


def test_repairs_that_do_not_help_get_rarer_and_success_forgets_them() -> None:
    now = 0.0
    backoff = Backoff(clock=lambda: now)
    moments = []
    for second in range(0, 400, 10):
        now = float(second)
        if backoff.due("auth.web"):
            moments.append(second)
    assert moments == [30, 90, 210]

    backoff.well("auth.web")
    assert not backoff.due("auth.web")


class Systemd:
    """An Incus with one running container, in which it counts who comes in to ask systemd."""

    def __init__(self) -> None:
        self.asked = 0

    def instance(self, name: str) -> dict[str, str]:
        return {"status": "Running"}

    def run(self, *_: object, **__: object) -> Ran:
        self.asked += 1
        block = "ActiveState=active\nResult=success\nUnitFileState=enabled\n"
        return Ran(0, f"{block}\n{block}", "")


def test_systemd_is_asked_only_about_what_does_not_say_that_it_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    billing, systemd, board = distribution().appliance("asr_billing"), Systemd(), Board()
    board.introduce(distribution())
    answers = {"firebird": Answer(True, True, "answers"), "web": Answer(True, True, "answers")}
    monkeypatch.setattr(health, "ask", lambda daemon, ca: answers[daemon.name])
    watch = Watch(
        cast(Incus, systemd), board, Held(tmp_path / "held"), SafeMode(tmp_path / "safe"), Path("ca.crt"), print
    )
    plan = plans.first(tmp_path / "seed.toml", distribution())

    assert watch.look(billing, plan)
    assert systemd.asked == 0

    answers["web"] = Answer(False, False, "does not answer")
    assert not watch.look(billing, plan)
    assert systemd.asked == 1

    answers["web"] = Answer(True, True, "answers")
    plan.switch_daemon("asr_billing", "web", False)
    watch.look(billing, plan)
    assert systemd.asked == 3, "it looks whether the daemon that was switched off runs, and stops it"


def test_the_worst_daemon_that_is_switched_on_decides() -> None:
    firebird, web = distribution().appliance("asr_billing").daemons
    off = daemon_status(firebird, "disabled", False, "unknown", "")
    well = daemon_status(web, "running", True, "ok", "answers")
    ill = daemon_status(web, "error", True, "failing", "web.service is failed")

    assert summary((off, well)) == ("running", "ok", "")
    assert summary((off, ill)) == ("error", "failing", "web: web.service is failed")


def test_a_daemon_that_lacks_only_what_was_switched_off_is_degraded_not_failing() -> None:
    body = b'{"checks": {"firebird": {"ok": true, "detail": "4.0"}, "web.auth": {"ok": false, "detail": "no answer"}}}'
    lacking = frozenset(failing_checks(body))
    answer = Answer(False, True, "web.auth: no answer", lacking)
    assert lacking == {"web.auth"}

    assert judge(answer, {"web.auth"}) == ("degraded", "without web.auth, switched off on purpose")
    assert judge(answer, set()) == ("failing", "web.auth: no answer")
    broken_too = Answer(False, True, "firebird: gone; web.auth: no answer", frozenset({"firebird", "web.auth"}))
    assert judge(broken_too, {"web.auth"})[0] == "failing"
    assert judge(Answer(False, True, "GET /healthz says 500"), {"web.auth"})[0] == "failing"


def test_an_appliance_with_a_degraded_daemon_is_degraded() -> None:
    firebird, web = distribution().appliance("asr_billing").daemons
    well = daemon_status(firebird, "running", True, "ok", "answers")
    lacking = daemon_status(web, "running", True, "degraded", "without web.auth")

    assert summary((well, lacking)) == ("running", "degraded", "web: without web.auth")


def test_outside_addresses_leave_out_the_bridge_and_put_ipv4_first() -> None:
    links = [
        {"ifname": "asr0", "addr_info": [{"family": "inet", "local": "198.18.80.1"}]},
        {
            "ifname": "ens3",
            "addr_info": [
                {"family": "inet6", "local": "2001:db8::2"},
                {"family": "inet6", "local": "2001:db8::99", "temporary": True},
                {"family": "inet", "local": "192.0.2.7"},
            ],
        },
    ]

    assert addresses_of(links, "asr0") == ("192.0.2.7", "2001:db8::2")


def test_the_id_map_of_containers_is_roots_largest_range(tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    file.write_text("anna:100000:65536\nroot:200000:65536\nroot:1000000:1000000000\n")

    assert id_base(file) == 1_000_000
