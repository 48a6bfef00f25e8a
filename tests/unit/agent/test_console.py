"""The text above the log-in prompt, and the preseed."""

from __future__ import annotations

import pytest

from appliances.base.agent import preseed
from appliances.base.agent.board import Board
from appliances.base.agent.console import issue_text
from appliances.base.agent.errors import AgentError
from appliances.base.agent.outside import Outside, url
from tests.unit.agent.examples import distribution


def test_during_the_first_start_the_screen_shows_progress_addresses_and_the_password() -> None:
    board = Board()
    board.introduce(distribution())
    board.progress("first-boot", 3, 12, "importing the image of auth")

    text = issue_text(distribution(), board.read(), Outside("box", ("192.0.2.7", "2001:db8::2")), "abcd-efgh")

    assert text == (
        "\n"
        "  asrbox 0.1.0 on box\n"
        "\n"
        "  First start: step 3 of 12, importing the image of auth\n"
        "  Open in a browser:\n"
        "    https://192.0.2.7/auth/          Example\n"
        "    https://192.0.2.7/billing/       Example\n"
        "  Log in there as administrator with the password abcd-efgh and change it.\n"
        "\n"
        "    asr_billing    absent    \n"
        "    auth           absent    \n"
        "\n"
    )


def test_a_failure_is_on_the_screen_and_agetty_reads_no_escapes_in_it() -> None:
    board = Board()
    board.introduce(distribution())
    board.fail(r"plan.yaml: C:\n is no path")

    text = issue_text(distribution(), board.read(), Outside("box", ()), None)

    assert r"NOT READY: plan.yaml: C:\\n is no path" in text
    assert "No network address yet" in text
    assert "password" not in text


def test_addresses_are_written_as_browsers_want_them() -> None:
    assert url("192.0.2.7", "/") == "https://192.0.2.7/"
    assert url("2001:db8::2", "/billing") == "https://[2001:db8::2]/billing/"


def test_the_preseed_uses_the_installers_volume_group() -> None:
    wanted = preseed.desired(distribution(), preseed.choose_storage(distribution(), "lvm"))

    [pool] = wanted["storage_pools"]
    assert pool["driver"] == "lvm"
    assert pool["config"]["source"] == pool["config"]["lvm.vg_name"] == "asrbox"
    assert pool["config"]["lvm.thinpool_name"] == "containers"
    [network] = wanted["networks"]
    assert network["config"]["ipv4.address"] == "198.18.80.1/20"
    values = [*pool["config"].values(), *network["config"].values(), *wanted["config"].values()]
    assert all(isinstance(value, str) for value in values), "the API takes strings only"


def test_an_unknown_storage_driver_is_refused() -> None:
    with pytest.raises(AgentError, match="ASRBOX_POOL_DRIVER: 'zfs' is not a storage driver"):
        preseed.choose_storage(distribution(), "zfs")
