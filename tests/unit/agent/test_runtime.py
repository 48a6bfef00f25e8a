"""What containers are told: files, modes, contents."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import pytest
from cryptography import x509

from appliances.base.agent import ca, secretstore, tokens
from appliances.base.agent.distribution import Distribution
from appliances.base.agent.paths import Paths
from appliances.base.agent.runtime import Renderer
from appliances.base.agent.settings import Setting
from tests.unit.agent.examples import distribution, distribution_ipv6, installed

NOW = datetime.datetime.now(datetime.UTC)


DEFAULTS: dict[str, bool | int | str] = {"session_hours": 12, "strict": False}


def renderer(paths: Paths, shipped: Distribution | None = None) -> Renderer:
    shipped = shipped or distribution()
    released = datetime.date(2025, 1, 1)
    return Renderer(
        paths,
        shipped,
        ca.Authority(paths.ca, "CA", released, NOW),
        tokens.ensure_all(paths.tokens, shipped),
    )


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return installed(tmp_path)


def test_the_folder_of_an_appliance_holds_exactly_what_the_contract_says(paths: Paths) -> None:
    renderer(paths).render(distribution().appliance("asr_billing"), {})

    top = paths.runtime / "asr_billing"
    assert sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()) == [
        "appliance.json",
        "daemons/firebird.env",
        "daemons/web.env",
        "hosts",
        "secrets/sysdba-password",
        "settings.json",
        "tls/ca.crt",
        "tls/firebird.crt",
        "tls/firebird.key",
        "tls/web.crt",
        "tls/web.key",
        "tokens/agent.host",
        "tokens/web.auth",
    ]
    for private in ("secrets/sysdba-password", "tls/web.key", "tokens/web.auth"):
        status = (top / private).stat()
        assert status.st_mode & 0o7777 == 0o640
        if os.geteuid() == 0:
            assert (status.st_uid, status.st_gid) == (0, 900)
    assert "\n" not in (top / "secrets/sysdba-password").read_text()


def test_appliance_json_names_own_and_consumed_endpoints(paths: Paths) -> None:
    renderer(paths).render(distribution().appliance("asr_billing"), {})

    told = json.loads((paths.runtime / "asr_billing/appliance.json").read_text())
    assert sorted(told["endpoints"]) == ["agent.host", "firebird.asr_billing", "web.asr_billing", "web.auth"]
    assert told["endpoints"]["agent.host"]["hostname"] == "agent.host.asrbox.internal"
    assert told["daemons"]["firebird"]["port"] == 3050
    assert told["published"] == {"asr_billing": "/billing", "auth": "/auth"}
    assert told["host"] == "198.18.80.1"
    assert set(told["titles"]["auth"]) == {"en", "ru"}


def test_auth_recognises_the_tokens_of_others_but_not_those_for_the_agent(paths: Paths) -> None:
    one = renderer(paths)
    for appliance in distribution().appliances:
        one.render(appliance, DEFAULTS if appliance.settings else {})

    known = json.loads((paths.runtime / "auth/service-tokens.json").read_text())
    token = (paths.runtime / "asr_billing/tokens/web.auth").read_text()
    assert known == {tokens.digest(token): {"appliance": "asr_billing", "scopes": ["introspect"]}}
    for_agent = (paths.runtime / "asr_billing/tokens/agent.host").read_text()
    assert tokens.Verifier(one.service_tokens).caller(for_agent) == "asr_billing"
    assert tokens.Verifier(one.service_tokens).caller(token) is None


def test_rendering_again_changes_nothing(paths: Paths) -> None:
    billing = distribution().appliance("asr_billing")
    assert renderer(paths).render(billing, {}) == {"firebird", "web"}
    before = {path: path.stat().st_mtime_ns for path in paths.runtime.rglob("*")}

    assert renderer(paths).render(billing, {}) == set()
    assert {path: path.stat().st_mtime_ns for path in paths.runtime.rglob("*")} == before


def test_with_ipv6_an_appliance_is_told_two_addresses_and_without_it_none_is_left(paths: Paths) -> None:
    on, off = distribution_ipv6(), distribution_ipv6().with_ipv6(False)
    top = paths.runtime / "asr_billing"
    renderer(paths).render(distribution().appliance("asr_billing"), {})
    before = {path.relative_to(top): path.read_text() for path in top.rglob("*") if path.is_file()}

    assert renderer(paths, shipped=on).render(on.appliance("asr_billing"), {}) == {"web"}, "Firebird has no second one"

    told = json.loads((top / "appliance.json").read_text())
    assert {name: endpoint.get("address6") for name, endpoint in told["endpoints"].items()} == {
        "agent.host": "fd34:ed37:338c::1",
        "firebird.asr_billing": None,
        "web.asr_billing": "fd34:ed37:338c:3::3",
        "web.auth": "fd34:ed37:338c:2::2",
    }
    assert (top / "hosts").read_text() == (
        "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
        "198.18.80.1 agent.host.asrbox.internal\nfd34:ed37:338c::1 agent.host.asrbox.internal\n"
        "198.18.83.2 firebird.example.asrbox.internal asr-billing\n"
        "198.18.83.3 web.example.asrbox.internal\nfd34:ed37:338c:3::3 web.example.asrbox.internal\n"
        "198.18.82.2 web.example.asrbox.internal\nfd34:ed37:338c:2::2 web.example.asrbox.internal\n"
    )
    assert (top / "daemons/web.env").read_text() == (
        "ASRBOX_APPLIANCE=asr_billing\nASRBOX_DAEMON=web\n"
        "ASRBOX_ADDRESS=198.18.83.3\nASRBOX_ADDRESS6=fd34:ed37:338c:3::3\nASRBOX_PORT=443\n"
    )
    assert "ADDRESS6" not in (top / "daemons/firebird.env").read_text()
    assert sans(top / "tls/web.crt") == ["198.18.83.3", "fd34:ed37:338c:3::3"]

    assert renderer(paths, shipped=off).render(off.appliance("asr_billing"), {}) == {"web"}
    assert sans(top / "tls/web.crt") == ["198.18.83.3"]
    after = {path.relative_to(top): path.read_text() for path in top.rglob("*") if path.is_file()}
    made_anew = {Path("tls/web.crt"), Path("tls/web.key")}
    assert {path for path in after if after[path] != before[path]} == made_anew


def sans(certificate: Path) -> list[str]:
    """The addresses that a certificate is for."""
    held = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(address) for address in names.get_values_for_type(x509.IPAddress)]


def test_a_file_that_no_longer_belongs_there_is_taken_away(paths: Paths) -> None:
    billing = distribution().appliance("asr_billing")
    renderer(paths).render(billing, {})
    stale = paths.runtime / "asr_billing/tokens/web.mail"
    stale.write_text("old")

    renderer(paths).render(billing, {})

    assert not stale.exists()


def test_the_administrators_password_can_be_read_from_a_screen(paths: Paths) -> None:
    renderer(paths).render(distribution().appliance("auth"), DEFAULTS)

    password = (paths.runtime / "auth/secrets/administrator-password").read_text()
    assert [len(group) for group in password.split("-")] == [4, 4, 4, 4]
    assert not set(password) & set("0O1lIoi")


def test_settings_are_written_and_who_has_to_restart_is_noted_first(tmp_path: Path) -> None:
    paths = installed(tmp_path)
    auth = distribution().appliance("auth")
    file = paths.runtime / "auth/settings.json"

    renderer(paths).render(auth, DEFAULTS)
    assert json.loads(file.read_text()) == DEFAULTS
    assert list(paths.restarts.glob("*")) == [], "nothing ran with others"

    renderer(paths).render(auth, {**DEFAULTS, "strict": True})
    assert list(paths.restarts.glob("*")) == [], "nobody asks for a restart for that one"

    renderer(paths).render(auth, {**DEFAULTS, "session_hours": 8})
    assert [mark.name for mark in paths.restarts.glob("*")] == ["auth.web"]
    assert json.loads(file.read_text())["session_hours"] == 8


def test_a_secret_setting_has_a_file_of_its_own_and_restarts_who_reads_it(tmp_path: Path) -> None:
    paths = installed(tmp_path)
    words = {"en": "x", "ru": "x"}
    secret = Setting(key="api_key", kind="secret", title=words, help=words, default="", restart=["web"])
    auth = distribution().appliance("auth").model_copy(update={"settings": [secret]})
    top = paths.runtime / "auth"

    renderer(paths).render(auth, {"api_key": ""})
    assert json.loads((top / "settings.json").read_text()) == {"api_key": False}
    assert not (top / "secrets/api_key").exists()

    reference = secretstore.enter(paths.secrets, "auth", "hunter2")
    renderer(paths).render(auth, {"api_key": reference})
    assert json.loads((top / "settings.json").read_text()) == {"api_key": True}
    assert (top / "secrets/api_key").read_text() == "hunter2"
    assert (top / "secrets/api_key").stat().st_mode & 0o7777 == 0o640
    assert [mark.name for mark in paths.restarts.glob("*")] == ["auth.web"]

    renderer(paths).render(auth, {"api_key": ""})
    assert not (top / "secrets/api_key").exists()
