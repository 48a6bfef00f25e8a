"""Which certificate browsers see, and how it changes: brought, by ACME, given up, killed in between."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliances.base.agent import acme, checks, outsidecert
from appliances.base.agent.acme import Wanted
from appliances.base.agent.certificates import Certificates
from appliances.base.agent.errors import AgentError
from appliances.base.agent.operations import Operations
from appliances.base.agent.paths import Paths
from tests.services.web_daemons import Authority

NAME = "isp.example"
DIRECTORY = "https://acme.example/directory"
ON = {"acme_names": NAME, "acme_terms_agreed": True, "acme_mail": "", "acme_directory": DIRECTORY}
OFF = {**ON, "acme_names": ""}


class Busy(AgentError):
    wish = 7200.0


class Host:
    """Certificates with a clock that can be moved, and an authority that signs at once, or fails as it is told to."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root)
        self.settings: dict[str, Any] = dict(ON)
        self.time = datetime.datetime.now(datetime.UTC)
        self.asked: list[Wanted] = []
        self.changes = 0
        self.name = NAME
        self.fault: Exception | None = None
        self.meanwhile: Callable[[], None] = lambda: None
        self.operations = Operations(self.paths.operations)
        self.begin()

    def begin(self) -> None:
        """The agent starts; what was kept in memory is gone."""

        def count() -> None:
            self.changes += 1

        self.certificates = Certificates(
            self.paths,
            self.operations,
            lambda: self.settings,
            count,
            lambda text: None,
            clock=lambda: self.time,
            obtain=self.sign,
        )

    def sign(self, what: Wanted, folder: Path, tokens: Path, say: Callable[[str], None]) -> tuple[str, str]:
        self.asked.append(what)
        say("asking")
        (folder / acme.ORDER).write_text("{}")
        self.meanwhile()
        if self.fault is not None:
            raise self.fault
        return pair(self.paths.root / f"signed{len(self.asked)}", self.name)

    def look(self) -> dict[str, Any]:
        self.certificates.look()
        return self.certificates.read()

    def wait(self, **more: float) -> None:
        self.time += datetime.timedelta(**more)


def pair(folder: Path, name: str) -> tuple[str, str]:
    """A chain and its key."""
    folder.mkdir()
    Authority().equip(folder, "web", name)
    return (folder / "web.crt").read_text(), (folder / "web.key").read_text()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_what_the_settings_name_is_asked_for_once(host: Host) -> None:
    assert host.certificates.read()["way"] == "own"

    found = host.look()

    assert host.asked == [Wanted((NAME,), "", DIRECTORY)]
    assert (found["way"], found["names"][0], found["acme"]["error"]) == ("acme", NAME, None)
    assert found["since"] == host.time.replace(microsecond=0).isoformat()
    assert host.changes == 1
    (operation,) = host.operations.newest_first()
    assert (operation.action, operation.target, operation.author, operation.status) == (
        "renew", "certificate", "agent", "done",
    )  # fmt: skip
    assert operation.arguments == {"names": [NAME], "directory": DIRECTORY}
    assert operation.log[0] == "asking" and operation.log[-1].startswith("the certificate for isp.example")
    host.look()
    assert len(host.asked) == 1
    assert found["acme"]["next_at"] < found["ends"]


def test_it_is_renewed_in_time_and_the_old_one_is_shown_until_then(host: Host) -> None:
    before = host.look()
    left = datetime.datetime.fromisoformat(before["acme"]["next_at"]) - host.time
    host.wait(seconds=left.total_seconds() - 60)
    assert host.look() == before
    host.fault = AgentError("acme.example does not answer")
    host.wait(seconds=120)
    failing = host.look()
    assert (failing["way"], failing["ends"], failing["acme"]["failures"]) == ("acme", before["ends"], 1)
    assert failing["acme"]["error"] == "acme.example does not answer"
    host.look()
    assert len(host.asked) == 2, "not before the pause is over"
    host.fault = None
    host.wait(minutes=16)
    renewed = host.look()
    assert (renewed["acme"]["error"], renewed["acme"]["failures"], len(host.asked)) == (None, 0, 3)


def test_a_failure_lasts_over_restarts_and_is_told_by_a_check(host: Host) -> None:
    host.fault = AgentError("the authority did not find this host", hint="open port 80")
    found = host.look()
    assert (found["way"], found["acme"]["failures"]) == ("own", 1)
    (check,) = checks._outside(host.paths)
    assert check == {
        "name": "outside certificate",
        "ok": False,
        "detail": "for isp.example: none yet; the authority did not find this host (open port 80)",
    }
    host.begin()
    assert host.look() == found
    host.wait(minutes=16)
    assert host.look()["acme"]["failures"] == 2
    host.settings["acme_names"] = "other.example"
    host.look()
    assert [one.names for one in host.asked] == [(NAME,), (NAME,), ("other.example",)], "other names do not wait"


def test_an_order_that_fails_again_and_again_is_not_gone_on_with(host: Host) -> None:
    host.fault = OSError(28, "No space left on device")
    order = host.paths.acme / acme.ORDER
    for failures in (1, 2, 3):
        assert "No space left on device" in host.look()["acme"]["error"]
        assert order.exists() is (failures < 3)
        host.wait(hours=13)


def test_somebody_may_have_it_asked_now_unless_the_authority_wants_to_be_left_alone(host: Host) -> None:
    host.look()
    operation = host.certificates.renew("anna")
    assert host.certificates.renew("boris") is operation, "it is asked already"
    assert host.certificates.read()["acme"]["operation"] == operation.id
    host.fault = Busy("too many orders")
    host.wait(seconds=1)
    host.look()
    assert (operation.author, operation.status, operation.error) == ("anna", "failed", "too many orders")
    with pytest.raises(AgentError, match="the authority wants to be left alone until .* UTC"):
        host.certificates.renew("anna")
    host.wait(hours=2)
    host.fault = None
    host.certificates.renew("anna")
    host.look()
    assert host.operations.newest_first()[0].status == "done"


def test_acme_and_a_certificate_that_was_brought_exclude_one_another(host: Host, tmp_path: Path) -> None:
    chain, key = pair(tmp_path / "brought", NAME)
    with pytest.raises(AgentError, match=r"ACME looks after .* isp.example .*acme_names --default"):
        host.certificates.bring(chain, key)
    with pytest.raises(AgentError, match="ACME looks after"):
        host.certificates.drop()
    host.settings = OFF
    host.certificates.bring(chain, key)
    found = host.certificates.read()
    assert (found["way"], found["acme"], host.changes) == ("brought", None, 1)
    with pytest.raises(AgentError, match="ACME is off"):
        host.certificates.renew("anna")
    with pytest.raises(AgentError, match=r"remove it first \(asrctl certificate remove\)"):
        host.certificates.refuse(ON)
    # an older plan has come back nevertheless
    host.settings = ON
    found = host.look()
    assert (found["way"], host.asked, found["acme"]["next_at"]) == ("brought", [], None)
    assert "remove it first" in found["acme"]["error"]
    with pytest.raises(AgentError, match="remove it first"):
        host.certificates.renew("anna")
    host.certificates.drop()
    assert host.look()["way"] == "acme"


def test_without_acme_the_own_certificates_are_back_and_the_obtained_one_is_kept(host: Host) -> None:
    obtained = host.look()
    host.settings = OFF
    found = host.look()
    assert (found["way"], found["acme"], host.changes) == ("own", None, 2)
    assert checks._outside(host.paths) == []
    host.settings = ON
    again = host.look()
    assert (again, len(host.asked)) == (obtained, 1), "it is shown again without asking"


def test_killed_before_it_is_shown_it_is_shown_later(host: Host) -> None:
    host.look()
    host.paths.outside_certificate.unlink()
    acme.write(host.paths.acme_record, acme.begun(acme.Record((NAME,), DIRECTORY), host.time))
    (host.paths.acme / acme.ORDER).write_text("{}")
    host.begin()
    found = host.look()
    assert (found["way"], found["acme"]["failures"], len(host.asked)) == ("acme", 0, 1)
    assert not (host.paths.acme / acme.ORDER).exists()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("rubbish", "rubbish"), "what the authority gave would not work: the certificate cannot be read"),
        (None, "the authority gave a certificate for other.example, localhost, 127.0.0.1 only"),
    ],
)
def test_what_the_authority_gives_is_checked(host: Host, given: tuple[str, str] | None, says: str) -> None:
    host.name = "other.example"
    if given:
        host.sign = lambda *_: given  # type: ignore[method-assign]
        host.begin()
    found = host.look()
    assert (found["way"], found["acme"]["error"]) == ("own", f"{says} (it is asked again by itself)")
    assert not host.paths.outside_certificate.exists()


def test_settings_that_change_meanwhile_count(host: Host) -> None:
    host.meanwhile = lambda: host.settings.update(acme_names="")
    found = host.look()
    assert (found["way"], found["acme"]) == ("own", None)
    assert "the settings were changed meanwhile" in (host.operations.newest_first()[0].error or "")
    host.look()
    assert not host.paths.outside_certificate.exists()


def test_a_certificate_that_is_not_renewed_is_told_in_good_time(host: Host) -> None:
    host.look()
    shown = outsidecert.shown(host.paths.outside_certificate)
    assert shown is not None
    life = shown.ends - shown.begins
    host.fault = AgentError("acme.example does not answer")
    for part, ok in ((0.70, True), (0.74, True), (0.76, False)):
        host.time = shown.begins + life * part
        host.look()
        (check,) = checks._outside(host.paths, host.time)
        assert (check["ok"], "it is not renewed: acme.example does not answer" in check["detail"]) == (ok, True)


def test_a_file_of_before_there_were_marks_was_brought(host: Host, tmp_path: Path) -> None:
    chain, key = pair(tmp_path / "brought", NAME)
    host.settings = OFF
    host.certificates.bring(chain, key)
    path = host.paths.outside_certificate
    mark, _, rest = path.read_text().partition("\n")
    assert json.loads(mark.removeprefix("# asrbox: "))["way"] == "brought"
    path.write_text(rest)
    found = host.certificates.read()
    assert (found["way"], found["since"][:10]) == ("brought", f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}")


def test_the_library_is_not_loaded_while_nothing_is_asked_for() -> None:
    code = "import sys, appliances.base.agent.agent; print([one for one in sys.modules if one in ('acme', 'josepy')])"
    ran = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert ran.stdout.strip() == "[]"
