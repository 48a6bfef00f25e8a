"""The answer file: pairs of a text and what is wrong with it."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from appliances.base.installer.seed import SeedError, check_text
from appliances.base.installer.tomllines import key_lines

DATA = Path(__file__).parent / "data" / "seed"
EXAMPLE = Path(__file__).parents[3] / "kickstart" / "seed.example.toml"
APPLIANCES = ["base", "auth", "asr_billing"]


def test_the_example_that_we_ship_is_valid() -> None:
    seed = check_text(EXAMPLE.read_text(encoding="utf-8"), APPLIANCES)
    assert seed.network.address == ipaddress.IPv4Interface("192.0.2.10/24")
    assert seed.disk.size_min == 100 * 10**9


@pytest.mark.parametrize("case", sorted(DATA.glob("*.toml")), ids=lambda path: path.stem)
def test_exact_messages(case: Path) -> None:
    # given a wrong answer file; when it is checked
    with pytest.raises(SeedError) as caught:
        check_text(case.read_text(encoding="utf-8"), APPLIANCES)
    # then line, key, mistake and remedy are told, all at once
    assert str(caught.value) + "\n" == case.with_suffix(".txt").read_text(encoding="utf-8")


def test_the_least_that_is_needed() -> None:
    # given only a way to log in; then all the rest has defaults
    seed = check_text("[admin]\npassword_hash = '$y$j9T$abcdefgh$ijklmnop'\n", APPLIANCES)
    assert (seed.hostname, seed.network.method, seed.disk.empty, seed.unattended) == ("asrbox", "dhcp", True, True)


def test_ipv6_is_off_unless_asked_for_and_needs_a_distribution_that_has_it() -> None:
    login = "[admin]\npassword_hash = '$y$j9T$abcdefgh$ijklmnop'\n"
    assert check_text(login, APPLIANCES).ipv6 is False
    assert check_text(f"ipv6 = true\n{login}", APPLIANCES).ipv6 is True
    with pytest.raises(SeedError) as caught:
        check_text(f"\nipv6 = true\n{login}", APPLIANCES, has_ipv6=False)
    assert str(caught.value) == (
        "line 2, ipv6: this distribution has no IPv6 addresses — leave it out, or build the ISO with a network.range6"
    )


def test_lines_of_keys() -> None:
    text = 'a = 1\n[t]\nb = [\n  "x = 1",\n]\nc.d = """\ne = 2\n"""\n"f" = {g = 1}\n[t.u]\nh = 3\n'
    assert key_lines(text) == {
        ("a",): 1,
        ("t",): 2,
        ("t", "b"): 3,
        ("t", "c", "d"): 6,
        ("t", "f"): 9,
        ("t", "u"): 10,
        ("t", "u", "h"): 11,
    }
