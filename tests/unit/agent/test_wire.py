"""ARP frames as they are on the wire (RFC 826, RFC 5227)."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from appliances.base.agent import arp

OWN = bytes.fromhex("020000000001")
REPLY = bytes.fromhex("020000000001" "00163e000002" "0806" "0001" "0800" "06" "04" "0002"
                      "00163e000002" "c6125302" "020000000001" "00000000")  # fmt: skip


def test_a_probe_names_the_address_and_none_of_the_asker() -> None:
    assert arp.probe(OWN, IPv4Address("198.18.83.2")).hex() == (
        "ffffffffffff" "020000000001" "0806" "0001" "0800" "06" "04" "0001"
        "020000000001" "00000000" "000000000000" "c6125302"
    )  # fmt: skip


@pytest.mark.parametrize("padding", [b"", b"\0" * 18])
def test_an_answer_claims_the_address(padding: bytes) -> None:
    assert arp.claim(REPLY + padding, OWN) == (IPv4Address("198.18.83.2"), "00:16:3e:00:00:02")


def test_a_neighbours_own_question_claims_it_too() -> None:
    question = REPLY[:21] + b"\x01" + REPLY[22:]
    assert arp.claim(question, OWN) == (IPv4Address("198.18.83.2"), "00:16:3e:00:00:02")


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(REPLY[:41], id="cut off"),
        pytest.param(REPLY[:12] + b"\x08\x00" + REPLY[14:], id="not ARP"),
        pytest.param(REPLY[:22] + OWN + REPLY[28:], id="our own"),
        pytest.param(REPLY[:28] + b"\0" * 4 + REPLY[32:], id="a probe of somebody"),
    ],
)
def test_other_frames_claim_nothing(frame: bytes) -> None:
    assert arp.claim(frame, OWN) is None
