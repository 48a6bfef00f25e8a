"""Neighbour discovery as it is on the wire (RFC 4861)."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from appliances.base.agent import ndp

OWN = bytes.fromhex("020000000001")
ADDRESS = IPv6Address("fd34:ed37:338c:3::2")
OWNER = "00:16:3e:00:00:02"
HEAD = "6000000000203aff"  # version 6, 32 bytes, ICMPv6, hop limit 255
# The owner tells everybody: from his address to ff02::1, flag "override", with his MAC address.
ADVERTISEMENT = bytes.fromhex(
    "333300000001" "00163e000002" "86dd" + HEAD + "fd34ed37338c00030000000000000002" "ff020000000000000000000000000001"
    "8800" "0000" "20000000" "fd34ed37338c00030000000000000002" "0201" "00163e000002"
)  # fmt: skip
# The owner asks for somebody else.
QUESTION = bytes.fromhex(
    "3333ff000005" "00163e000002" "86dd" + HEAD + "fd34ed37338c00030000000000000002" "ff0200000000000000000001ff000005"
    "8700" "0000" "00000000" "fd34ed37338c00020000000000000005" "0101" "00163e000002"
)  # fmt: skip
# Somebody asks from nowhere whether he may take it: 24 bytes, no MAC address inside.
TAKING = bytes.fromhex(
    "3333ff000002" "00163e000002" "86dd" "6000000000183aff" + "00" * 16 + "ff0200000000000000000001ff000002"
    "8700" "0000" "00000000" "fd34ed37338c00030000000000000002"
)  # fmt: skip


def test_a_probe_goes_to_those_who_may_have_the_address_and_names_none_of_the_asker() -> None:
    frame = ndp.probe(OWN, ADDRESS)
    assert frame.hex() == (
        "3333ff000002" "020000000001" "86dd" "6000000000183aff" + "00" * 16 + "ff0200000000000000000001ff000002"
        "8700" "5ca8" "00000000" "fd34ed37338c00030000000000000002"
    )  # fmt: skip


@pytest.mark.parametrize("frame", [ADVERTISEMENT, QUESTION, TAKING], ids=["an answer", "a question", "a probe"])
def test_who_claims_the_address(frame: bytes) -> None:
    assert ndp.claim(frame, OWN) == (ADDRESS, OWNER)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(ADVERTISEMENT[:77], id="cut off"),
        pytest.param(ADVERTISEMENT[:12] + b"\x08\x00" + ADVERTISEMENT[14:], id="not IPv6"),
        pytest.param(ADVERTISEMENT[:20] + b"\x06" + ADVERTISEMENT[21:], id="not ICMPv6"),
        pytest.param(ADVERTISEMENT[:21] + b"\x40" + ADVERTISEMENT[22:], id="from behind a router"),
        pytest.param(ADVERTISEMENT[:54] + b"\x86" + ADVERTISEMENT[55:], id="a router's advertisement"),
        pytest.param(ADVERTISEMENT[:6] + OWN + ADVERTISEMENT[12:], id="our own"),
    ],
)
def test_other_frames_claim_nothing(frame: bytes) -> None:
    assert ndp.claim(frame, OWN) is None


def test_without_the_option_the_sender_of_the_frame_is_the_owner() -> None:
    assert ndp.claim(ADVERTISEMENT[:78], OWN) == (ADDRESS, OWNER)
