"""The rules between containers: what is declared passes, and nothing else is mentioned."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from appliances.base.agent import firewall
from appliances.base.agent.distribution import Distribution
from tests.unit.agent.examples import distribution, distribution_ipv6

SHIPPED = distribution()
SHIPPED6 = distribution_ipv6()
DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize(
    ("shipped", "golden"),
    [
        pytest.param(SHIPPED, "firewall.nft", id="IPv4"),
        pytest.param(SHIPPED6.with_ipv6(False), "firewall.nft", id="IPv6 off"),
        pytest.param(SHIPPED6, "firewall_ipv6.nft", id="IPv6 on"),
    ],
)
def test_the_rules_are_exactly_these(shipped: Distribution, golden: str) -> None:
    assert firewall.rules(shipped) == (DATA / golden).read_text()


def test_who_has_no_ipv6_address_passes_by_ipv4_alone() -> None:
    described = SHIPPED6.model_copy(deep=True)
    billing = described.appliance("asr_billing")
    for daemon in billing.daemons:
        object.__setattr__(daemon, "address6", None)

    assert [(one.sources6, one.address6) for one in firewall.passes(described)] == [((), None)] * 2
    text = firewall.rules(described)
    assert "ip6 daddr" not in text
    assert 'iifname "asr0-3" ip6 saddr != { ::, fe80::3 } counter name "between" drop' in text


def test_a_consumer_reaches_the_endpoint_it_declares_and_gets_answers() -> None:
    text = firewall.rules(SHIPPED)

    assert "# asr_billing consumes web.auth\n" in text
    assert "ip saddr { 198.18.83.2, 198.18.83.3 } ip daddr 198.18.82.2 tcp dport 443 accept" in text
    assert (
        "ip saddr 198.18.82.2 ip daddr { 198.18.83.2, 198.18.83.3 } tcp sport 443 tcp flags & (syn | ack) != syn accept"
    ) in text


def test_only_who_consumes_the_agent_reaches_it() -> None:
    text = firewall.rules(SHIPPED)

    assert "ip saddr { 198.18.83.2, 198.18.83.3 } ip daddr 198.18.80.1 tcp dport 8443 accept" in text
    assert text.count("dport 8443") == 1


def test_nothing_is_accepted_that_nobody_declares() -> None:
    accepted = [line for line in firewall.rules(SHIPPED).splitlines() if line.endswith("accept")]

    assert len(accepted) == 5  # one endpoint and its answers, the agent and what is established, ARP


def test_everybody_keeps_to_his_own_addresses() -> None:
    text = firewall.rules(SHIPPED)

    for appliance in SHIPPED.appliances:
        cable = firewall.interface(SHIPPED.network, appliance)
        assert len(cable) <= 15
        addresses = ", ".join(str(one) for one in sorted({daemon.address for daemon in appliance.daemons}))
        assert f'iifname "{cable}" ip saddr != {{ {addresses} }} counter name "between" drop' in text
        assert f'iifname "{cable}" arp saddr ip != {{ 0.0.0.0, {addresses} }} counter name "between" drop' in text


def test_rules_are_loaded_again_when_the_kernel_has_others(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = {"bridge": "", "inet": ""}
    loads = []

    def load(text: str) -> None:
        loads.append(text)
        kernel.update(bridge=text, inet=text)

    monkeypatch.setattr(firewall, "_load", load)
    monkeypatch.setattr(firewall, "_nft", lambda *arguments: kernel[arguments[3]] or None)
    kept = firewall.Firewall()

    assert [kept.ensure("one"), kept.ensure("one")] == [True, False]
    kernel["inet"] = "somebody was here"
    assert [kept.ensure("one"), kept.ensure("one")] == [True, False]
    assert kept.ensure("two")
    assert loads == ["one", "one", "two"]


@pytest.mark.parametrize("shipped", [SHIPPED, SHIPPED6], ids=["IPv4", "IPv6 on"])
def test_nft_understands_the_rules(shipped: Distribution) -> None:
    if not (nft := shutil.which("nft")):
        pytest.fail("nft is missing: run make deps")
    checked = subprocess.run(
        ["unshare", "--net", "--map-root-user", nft, "--check", "--file", "-"],
        input=firewall.rules(shipped),
        text=True,
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
