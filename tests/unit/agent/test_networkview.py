"""The appliances' network as the API shows it."""

from __future__ import annotations

from appliances.base.agent.networkview import view
from appliances.base.agent.outside import Outside
from tests.unit.agent.examples import distribution, distribution_ipv6
from tests.unit.agent.test_entry import with_a_port

SEEN = Outside("box", ("192.0.2.7", "2001:db8::7"))


def test_addresses_passes_and_published_places_are_shown() -> None:
    shown = view(distribution(), SEEN, {"between": 3})

    assert (shown["hostname"], shown["addresses"]) == ("box", ["192.0.2.7", "2001:db8::7"])
    assert (shown["range"], shown["host"], shown["range6"], shown["host6"]) == (
        "198.18.80.0/20", "198.18.80.1", None, None,
    )  # fmt: skip
    assert shown["dropped"] == {"between": 3}
    assert {(one["appliance"], one["endpoint"], one["address6"]) for one in shown["passes"]} >= {
        ("asr_billing", "web.auth", None)
    }
    assert shown["published"] == [
        {"port": 443, "path": "/auth", "client_certificate": False, "endpoint": "web.auth"},
        {"port": 443, "path": "/billing", "client_certificate": False, "endpoint": "web.asr_billing"},
    ]


def test_a_port_of_its_own_has_no_path_and_says_whether_it_asks_for_a_certificate() -> None:
    (asks,) = [one for one in view(with_a_port("required"), SEEN, None)["published"] if one["path"] is None]
    (open_to_all,) = [one for one in view(with_a_port("none"), SEEN, None)["published"] if one["path"] is None]

    assert (asks["client_certificate"], open_to_all["client_certificate"]) == (True, False)
    assert asks["port"] == open_to_all["port"] != 443


def test_second_addresses_are_shown_where_ipv6_is_on() -> None:
    shown = view(distribution_ipv6(), SEEN, None)

    assert (shown["range6"], shown["host6"]) == ("fd34:ed37:338c::/56", "fd34:ed37:338c::1")
    assert [one["address6"] for one in shown["passes"] if one["endpoint"] == "web.auth"] != [None]
    assert shown["dropped"] is None
