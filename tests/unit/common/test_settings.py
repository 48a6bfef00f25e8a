"""What the host tells an appliance, and how exactly a mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliances.common.settings import Settings, SettingsError
from tests.unit.common import etc_asrbox


def test_reads_what_the_agent_rendered(tmp_path: Path) -> None:
    settings = Settings.load(etc_asrbox.write(tmp_path, "base", endpoints={"web.auth": 8441}))

    assert settings.appliance == "base"
    assert settings.daemon("web").port == 443
    assert settings.endpoint("web.auth").url == "https://127.0.0.1:8441"
    assert settings.token("web.auth") == "token-of-base"
    assert settings.ca == tmp_path / "tls" / "ca.crt"
    assert settings.published["auth"] == "/auth"


def test_the_environment_names_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASRBOX_CONFIG", str(etc_asrbox.write(tmp_path, "auth")))
    assert Settings.load().appliance == "auth"


def test_an_ipv6_address_is_bracketed_in_the_url(tmp_path: Path) -> None:
    etc_asrbox.write(tmp_path)
    file = tmp_path / "appliance.json"
    file.write_text(file.read_text().replace("127.0.0.1", "fd00::5"))
    assert Settings.load(tmp_path).daemon("web").url == "https://[fd00::5]:443"


def test_where_ipv6_is_on_an_endpoint_has_two_urls(tmp_path: Path) -> None:
    etc_asrbox.write(tmp_path)
    file = tmp_path / "appliance.json"
    file.write_text(file.read_text().replace('"address": "127.0.0.1"', '"address": "127.0.0.1", "address6": "fd00::5"'))
    assert Settings.load(tmp_path).daemon("web").urls == ("https://127.0.0.1:443", "https://[fd00::5]:443")


def test_an_endpoint_that_is_not_consumed_is_named_with_the_remedy(tmp_path: Path) -> None:
    settings = Settings.load(etc_asrbox.write(tmp_path, "base"))
    with pytest.raises(SettingsError) as caught:
        settings.endpoint("web.asr_billing")
    assert str(caught.value) == (
        f"{tmp_path}/appliance.json: endpoints.web.asr_billing: not there (known: web.base); "
        "name it in `consumes` or `daemons` of appliances/base/appliance.yaml"
    )


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ("{", "appliance.json:1: not JSON: Expecting property name enclosed in double quotes"),
        ("{}", "appliance.json: appliance: Field required"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, contents: str, expected: str) -> None:
    (tmp_path / "appliance.json").write_text(contents)
    with pytest.raises(SettingsError, match=expected.replace("{", r"\{")):
        Settings.load(tmp_path)


def test_a_port_out_of_range_is_named_by_its_key(tmp_path: Path) -> None:
    etc_asrbox.write(tmp_path, port=443)
    file = tmp_path / "appliance.json"
    file.write_text(file.read_text().replace('"port": 443', '"port": 70000'))
    with pytest.raises(SettingsError, match=r"appliance\.json: daemons\.web\.port: Input should be less than"):
        Settings.load(tmp_path)


def test_a_missing_or_empty_secret_is_named(tmp_path: Path) -> None:
    settings = Settings.load(etc_asrbox.write(tmp_path, secrets={"empty": "\n"}))
    with pytest.raises(SettingsError, match="secrets/nothing: No such file or directory"):
        settings.secret("nothing")
    with pytest.raises(SettingsError, match="secrets/empty: expected one line that is not empty"):
        settings.secret("empty")


def test_missing_directory_says_who_writes_it(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match="appliance.json: No such file or directory; the agent of the host writes it"
    ):
        Settings.load(tmp_path / "none")
