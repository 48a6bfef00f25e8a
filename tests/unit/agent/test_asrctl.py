"""asrctl as a person sees it: what it prints for what the agent answers, over a real unix socket."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import pkcs12

from appliances.base.agent import secretstore
from appliances.base.agent.asrctl import show
from appliances.base.agent.asrctl.commands import main
from appliances.base.agent.board import ApplianceStatus, daemon_status
from appliances.base.agent.ca import Authority
from appliances.base.agent.clientcerts import ClientCertificates
from appliances.base.agent.operations import Operation
from appliances.base.agent.paths import Paths
from tests.unit.agent.conftest import Serve
from tests.unit.agent.examples import acme_json, certificate_json, distribution_ipv6
from tests.unit.agent.test_api import Backend
from tests.unit.agent.typing_asrctl import asrctl


class Doing(Backend):
    """An agent that has carried out an order as soon as it is given."""

    failing = False

    def request(self, action: str, target: str, author: str) -> Operation:
        operation = super().request(action, target, author)
        self.known.say(operation, f"{action} of {target}")
        if self.failing:
            self.known.fail(operation, "auth: start: out of memory")
        else:
            self.known.finish(operation)
        return operation

    def check(self) -> list[dict[str, Any]]:
        return [
            {"name": "agent", "ok": True, "detail": "running"},
            {"name": "auth.web", "ok": not self.failing, "detail": "198.18.82.2:443 does not answer"},
        ]


@pytest.fixture
def agent(paths: Paths, serve: Serve) -> Doing:
    backend = Doing(paths.operations)
    serve(backend, paths.socket)
    return backend


def test_status_is_a_table_of_appliances_daemons_addresses_and_health(agent: Doing) -> None:
    billing = agent.shipped.appliance("asr_billing")
    firebird, web = billing.daemons
    daemons = (
        daemon_status(firebird, "running", True, "ok", "answers"),
        daemon_status(web, "disabled", False, "unknown", ""),
    )
    agent.board.show(ApplianceStatus("asr_billing", "asr-billing", billing.title, "running", True, "ok", "", daemons))
    auth = agent.shipped.appliance("auth")
    failing = daemon_status(auth.daemons[0], "starting", True, "failing", "does not answer")
    agent.board.show(
        ApplianceStatus("auth", "auth", auth.title, "starting", True, "failing", "web: does not answer", (failing,))
    )
    agent.board.progress("first-boot", 3, 12, "starting auth")

    assert asrctl("status").output == (
        "asrbox 0.1.0: first-boot, step 3 of 12: starting auth\n"
        "\n"
        "APPLIANCE    STATE     HEALTH   ADDRESS           DETAIL\n"
        "asr_billing  running   ok\n"
        "  firebird   running   ok       198.18.83.2:3050\n"
        "  web        disabled  -        198.18.83.3:443\n"
        "auth         starting  failing                    web: does not answer\n"
        "  web        starting  failing  198.18.82.2:443\n"
    )


def test_status_shows_the_second_address_below_the_first(agent: Doing) -> None:
    (web,) = distribution_ipv6().appliance("auth").daemons
    shown = (daemon_status(web, "running", True, "ok", "answers"),)
    agent.board.show(ApplianceStatus("auth", "auth", web.title, "running", True, "ok", "", shown))

    assert asrctl("status").output.endswith(
        "auth         running  ok\n"
        "  web        running  ok      198.18.82.2:443\n"
        "                              [fd34:ed37:338c:2::2]:443\n"
    )


def test_an_order_shows_what_happens_and_that_it_is_done(agent: Doing) -> None:
    assert asrctl("restart", "asr_billing.web").output == (
        "  restart of asr_billing.web\nrestart asr_billing.web: done\n"
    )
    assert agent.operations()[0].target == "asr_billing.web"


def test_a_failed_order_ends_with_the_reason(agent: Doing) -> None:
    agent.failing = True

    result = asrctl("start", "auth")

    assert result.exit_code == 1
    assert "Error: auth: start: out of memory" in result.output


def test_check_tells_by_its_exit_code(agent: Doing) -> None:
    assert asrctl("check").exit_code == 0
    agent.failing = True
    failed = asrctl("check")
    assert failed.exit_code == 1
    assert "FAILING  auth.web  198.18.82.2:443 does not answer" in failed.output


def test_usage_stands_beside_the_limits(agent: Doing) -> None:
    assert asrctl("usage").output.splitlines() == [
        "APPLIANCE    MEMORY              PROCESSORS  PROCESSES",
        "auth         120 MiB of 384 MiB  0.05 of 1   31 of 200",
        "asr_billing  - of 384 MiB        - of 1      - of 200",
    ]


def test_alarms_are_shown_with_who_is_told_and_what_does_not_get_through(agent: Doing) -> None:
    assert asrctl("alarms").output == "nothing is wrong\ntold: nobody (see: asrctl config base alarm_mail)\n"

    agent.standing = [{"name": "disk", "detail": "96% of 20.0 GiB used", "since": "2026-11-23T08:00:00+00:00"}]
    agent.channels, agent.trouble, agent.waiting = ["mail"], {"mail": "Connection refused"}, 1
    told = asrctl("alarms")
    assert told.exit_code == 1
    assert told.output.splitlines() == [
        "SINCE                      ALARM  DETAIL",
        "2026-11-23T08:00:00+00:00  disk   96% of 20.0 GiB used",
        "told: mail",
        "does not get through by mail: Connection refused",
        "waiting to be told: 1",
    ]


def test_a_test_of_the_alarms_says_whether_it_was_taken(agent: Doing) -> None:
    refused = asrctl("alarms", "test")
    assert (refused.exit_code, "name somebody first" in refused.output) == (1, True)

    agent.channels = ["mail"]
    assert asrctl("alarms", "test").output == "sending by mail …\ntaken\n"

    agent.trouble = {"mail": "Connection refused"}
    failed = asrctl("alarms", "test")
    assert (failed.exit_code, "mail: Connection refused" in failed.output) == (1, True)


def test_plan_shows_what_the_file_would_change_and_how_to_go_on(agent: Doing) -> None:
    assert asrctl("plan").output == (
        "plan 3 is in force since 2026-11-23T07:00:00Z (by anna)\n\n/etc/asrbox/plan.yaml says the same\n"
    )

    agent.planned |= {
        "changes": ["auth: disabled"],
        "actions": ["stopping auth"],
        "drift": ["changing limits.cpu of auth"],
    }
    assert asrctl("plan").output == (
        "plan 3 is in force since 2026-11-23T07:00:00Z (by anna)\n"
        "\n"
        "this host differs from it, and the agent is about to do:\n"
        "  changing limits.cpu of auth\n"
        "\n"
        "/etc/asrbox/plan.yaml says otherwise:\n"
        "  auth: disabled\n"
        "\n"
        "which means:\n"
        "  stopping auth\n"
        "\n"
        "bring it into force: asrctl apply\n"
        "forget it:           asrctl plan restore\n"
    )


def test_a_wrong_plan_file_is_told_and_gives_exit_code_1(agent: Doing) -> None:
    agent.planned["error"] = "/etc/asrbox/plan.yaml: appliances.mail: there is no such appliance"

    shown, refused = asrctl("plan"), asrctl("apply")

    assert (shown.exit_code, refused.exit_code) == (1, 1)
    assert "the plan file cannot be applied: /etc/asrbox/plan.yaml: appliances.mail" in shown.output
    assert "Error: /etc/asrbox/plan.yaml: appliances.mail" in refused.output


def test_apply_history_and_restore(agent: Doing, paths: Paths) -> None:
    assert asrctl("apply").output.endswith("apply: done\n")
    assert asrctl("plan", "history").output == "PLAN  APPLIED               BY\n3     2026-11-23T07:00:00Z  anna\n"
    assert asrctl("plan", "restore").output == f"{paths.plan} is plan 3 again. See the difference: asrctl plan\n"
    assert "there is no plan 9" in asrctl("plan", "restore", "9").output


def test_config_shows_all_settings_or_one_and_changes_it(agent: Doing) -> None:
    assert asrctl("config", "auth").output == (
        "SETTING        VALUE  DEFAULT  WHAT\n"
        "session_hours  12     12       Example\n"
        "strict         no     no       Example\n"
    )
    assert asrctl("config", "auth", "session_hours").output == (
        "session_hours = 12\n\nExample. Example\nIt takes a number from 1 to 168; the default is 12.\n"
    )
    assert asrctl("config", "auth", "session_hours", "8").output.endswith("auth session_hours: done\n")
    assert agent.configured == {"session_hours": "8"}
    asrctl("config", "auth", "session_hours", "--default")
    assert agent.configured == {"session_hours": None}
    assert asrctl("config", "asr_billing").output == "asr_billing has no settings\n"
    assert "auth has no setting 'colour' (it has: session_hours, strict)" in asrctl("config", "auth", "colour").output


def test_a_choice_is_shown_as_it_is_typed_and_as_people_call_it() -> None:
    choices = {"ru": {"en": "Русский", "ru": "Русский"}, "en": {"en": "English", "ru": "English"}}
    words = {"en": "Language of mails", "ru": "Язык писем"}
    one = {"key": "language", "kind": "choice", "title": words, "help": {"en": "So."}, "choices": choices}
    one |= {"default": "ru", "value": "en"}
    assert show.settings("base", [one]).splitlines()[1] == "language  en (English)  ru (Русский)  Language of mails"
    assert "It takes one of: ru (Русский), en (English); the default is ru (Русский)." in show.setting(one)


@pytest.mark.parametrize("words", [["auth", "--default"], ["auth", "session_hours", "8", "--default"]])
def test_a_default_is_of_one_setting_and_has_no_value(agent: Doing, words: list[str]) -> None:
    refused = asrctl("config", *words)
    assert refused.exit_code == 2
    assert "--default brings the default of one KEY back" in refused.output


def test_an_unknown_name_is_told_with_those_that_exist(agent: Doing) -> None:
    assert "there is no appliance 'mail' (this distribution has: asr_billing, auth)" in asrctl("stop", "mail").output


def test_without_an_agent_it_says_where_to_look(paths: Paths) -> None:
    result = asrctl("status")

    assert result.exit_code == 1
    assert "the agent does not answer. Look at: systemctl status asrbox-agent" in result.output


def test_the_first_password_is_shown_until_it_has_been_changed(paths: Paths) -> None:
    assert "the first start has not come so far" in asrctl("password").output
    file = paths.secrets / "auth/administrator-password"
    file.parent.mkdir(parents=True)
    secret = secretstore.once(file, readable=True)

    assert f"Password:  {secret}" in asrctl("password").output

    paths.state.mkdir(parents=True)
    paths.password_changed.touch()
    assert "no longer valid" in asrctl("password").output
    assert secret not in asrctl("password").output


def test_the_socket_is_for_root_alone(agent: Doing, paths: Paths) -> None:
    assert paths.socket.stat().st_mode & 0o777 == 0o600
    assert paths.socket.parent.stat().st_mode & 0o777 == 0o700


def completed(words: str) -> list[str]:
    """What the shell offers for the last of these words."""
    given = {"_ASRCTL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    result = CliRunner().invoke(main, [], prog_name="asrctl", env=given)
    return [line.removeprefix("plain,") for line in result.output.split()]


def test_the_shell_completes_commands_appliances_and_daemons(agent: Doing) -> None:
    assert completed("asrctl re") == ["restart"]
    assert completed("asrctl plan r") == ["restore"]
    assert completed("asrctl stop asr_billing.") == ["asr_billing.firebird", "asr_billing.web"]
    assert completed("asrctl shell a") == ["asr_billing", "auth"]


def test_completion_is_silent_without_an_agent(paths: Paths) -> None:
    assert completed("asrctl stop a") == []


class Issuing(Doing):
    """An agent that issues real client certificates."""

    folder: Path

    def issue_client_certificate(self, name: str, days: int, author: str) -> dict[str, Any]:
        made = ClientCertificates(self.folder, self.authority).issue(name, days, author)
        return {**made.issued.model_dump(), **made.model_dump(exclude={"issued"})}

    def authority(self) -> Authority:
        return Authority(self.folder, "clients", datetime.date(2026, 1, 1), datetime.datetime.now(datetime.UTC))


@pytest.fixture
def issuing(paths: Paths, serve: Serve, tmp_path: Path) -> Issuing:
    backend = Issuing(paths.operations)
    backend.folder = tmp_path / "clients"
    serve(backend, paths.socket)
    return backend


def test_a_client_certificate_is_written_as_pkcs12_with_a_password(issuing: Issuing, tmp_path: Path) -> None:
    target = tmp_path / "payments.p12"
    done = asrctl("client-certificate", "issue", "payments", "--days", "30", "--output", str(target))
    assert done.exit_code == 0, done.output
    password = done.output.splitlines()[-1].removeprefix("Password:").strip()
    key, certificate, others = pkcs12.load_key_and_certificates(target.read_bytes(), password.encode())
    assert key is not None
    assert certificate is not None
    certificate.verify_directly_issued_by(others[0])
    assert target.stat().st_mode & 0o777 == 0o600

    again = asrctl("client-certificate", "issue", "payments", "--output", str(target))
    assert again.exit_code == 1
    assert "is there already" in again.output


def test_a_client_certificate_is_written_as_pem(
    issuing: Issuing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = asrctl("client-certificate", "issue", "payments", "--pem")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "payments.pem").read_text()
    assert re.findall(r"-----BEGIN ([A-Z ]+)-----", text) == ["PRIVATE KEY", "CERTIFICATE", "CERTIFICATE"]
    assert "Password" not in done.output
    refused = asrctl("client-certificate", "issue", "../x", "--pem")
    assert "is no name for a client certificate" in refused.output


def test_client_certificates_are_listed_and_revoked(agent: Doing) -> None:
    for command in (("client-certificate",), ("client-certificate", "list")):
        assert re.search(r"^payments +1f +2026-11-23 +2027-11-23 +-$", asrctl(*command).output, re.MULTILINE)
    assert asrctl("client-certificate", "revoke", "payments").output == "payments, serial 1f: revoked\n"
    unknown = asrctl("client-certificate", "revoke", "bank")
    assert (unknown.exit_code, "was issued for 'bank'" in unknown.output) == (1, True)


def test_certificate_says_which_way_is_in_force_and_how_acme_goes(agent: Doing) -> None:
    assert asrctl("certificate").output == (
        "Browsers see certificates that the CA of this host signs, valid until 2046-11-15.\n"
        "ACME is on: https://acme.example/directory is asked for billing.isp.example.\n"
        "It failed 2026-11-23 08:00 UTC: certificate by ACME: acme.example does not answer"
        " (it is asked again by itself)\n"
        "Next attempt: 2026-11-23 08:15 UTC. Now: asrctl certificate renew\n"
    )
    agent.acme = None
    assert "To bring another: asrctl certificate install. By ACME: asrctl config base acme_names NAME" in (
        asrctl("certificate").output
    )
    found = {**certificate_json(acme_json(error=None, failed_at=None)), "own": False, "names": ["a.example"]}
    obtained = show.certificate({**found, "way": "acme", "issuer": "R3"})
    assert obtained.splitlines()[0] == (
        "Browsers see the certificate for a.example, obtained by ACME 2026-11-20, signed by R3, valid until 2046-11-15."
    )
    brought = show.certificate({**found, "way": "brought", "issuer": "R3", "acme": None})
    assert brought == obtained.splitlines()[0].replace("obtained by ACME", "brought")


def test_certificate_renew_follows_the_attempt(agent: Doing) -> None:
    assert "operation " in asrctl("certificate", "renew", "--no-wait").output
    agent.acme = None
    assert "Error: ACME is off (name what to ask a certificate for)" in asrctl("certificate", "renew").output
