"""`asrctl host` and `asrctl audit`, as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliances.base.agent.audit import Journal
from appliances.base.agent.paths import Paths
from tests.unit.agent.conftest import Serve
from tests.unit.agent.test_api import Backend
from tests.unit.agent.typing_asrctl import asrctl

KEY = "ssh-ed25519 " + "A" * 60 + " clara@one"


@pytest.fixture
def agent(paths: Paths, serve: Serve) -> Backend:
    backend = Backend(paths.operations)
    serve(backend, paths.socket)
    return backend


def test_the_network_is_shown_tried_and_kept(agent: Backend) -> None:
    assert asrctl("host", "network").output == (
        "host name:     box\naddress:       by DHCP, on all network cards\nname servers:  as the network says\n"
        "time servers:  those of the distribution\nnetwork cards: eth0\n"
    )
    tried = asrctl("host", "network", "--static", "192.0.2.10/24", "--gateway", "192.0.2.1", "--dns", "")
    assert "On trial. Within 90 seconds" in tried.output
    assert agent.host.given == {"method": "static", "address": "192.0.2.10/24", "gateway": "192.0.2.1", "dns": ""}
    assert "on trial for 90 more seconds" in asrctl("host", "network").output
    assert asrctl("host", "network", "confirm").output == "confirmed: the host stays like this\n"
    nothing = asrctl("host", "network", "revert")
    assert (nothing.exit_code, "waits to be confirmed" in nothing.output) == (1, True)


def test_what_does_not_fit_is_said(agent: Backend) -> None:
    assert "address needs its prefix length" in asrctl("host", "network", "--static", "192.0.2.10").output
    assert "exclude one another" in asrctl("host", "network", "--dhcp", "--static", "192.0.2.10/24").output


def test_people_are_added_and_acted_on(agent: Backend, tmp_path: Path) -> None:
    (tmp_path / "clara.pub").write_text(f"# mine\n{KEY}\n")
    added = asrctl("host", "people", "add", "clara", "--keys", str(tmp_path / "clara.pub"), "--administrator")
    assert added.output.splitlines()[0] == "LOGIN  RIGHTS         STATE  PASSWORD  KEYS"
    assert agent.host.persons["clara"]["keys"] == [KEY]
    asrctl("host", "people", "keys", "clara", "-", input="ssh-rsa x\n")
    assert agent.host.persons["clara"]["keys"] == ["ssh-rsa x"]
    asrctl("host", "people", "lock", "clara")
    assert asrctl("host", "people", "remove", "clara", input="n\n").exit_code == 1
    asrctl("host", "people", "remove", "clara", "--yes")
    assert [one[:2] for one in agent.host.done] == [("clara", "lock"), ("clara", "remove")]
    assert "there is no account 'nobody'" in asrctl("host", "people", "lock", "nobody").output


def test_the_journal_is_shown_filtered_and_verified(paths: Paths, tmp_path: Path) -> None:
    assert asrctl("audit").output == "nothing of that kind was done\n"
    assert asrctl("audit", "verify").output == "nothing has been written yet\n"
    journal = Journal(paths.audit)
    change = {"settings": {"session_hours": {"before": 12, "after": 8}}}
    journal.add("anna", "settings", "auth", "configure", "asked", change)
    journal.add("boris", "power", "auth.web", "restart", "failed", {"error": "auth: it did not"})
    lines = asrctl("audit").output.splitlines()
    assert lines[0].split() == ["ENTRY", "TIME", "(UTC)", "WHO", "WHAT", "PART", "RESULT", "DETAIL"]
    assert lines[1].endswith("boris  power: restart       auth.web  failed  auth: it did not")
    assert lines[2].endswith("anna   settings: configure  auth      asked   session_hours: 12 → 8")
    assert len(asrctl("audit", "--who", "anna").output.splitlines()) == 2
    assert "there is no 'colour'; it is one of: power, settings" in asrctl("audit", "--kind", "colour").output
    assert "'soon' is not a day such as 2026-11-23" in asrctl("audit", "--since", "soon").output
    assert asrctl("audit", "verify").output.startswith("all 2 entries are as they were written; the newest is 2, hash ")

    out = tmp_path / "out.csv"
    assert asrctl("audit", "export", "--who", "boris", str(out)).exit_code == 0
    assert out.read_text().splitlines()[1].split(",")[:1] == ["2"]
    assert len(asrctl("audit", "export", "--format", "json").output.splitlines()) == 2
    (file,) = paths.audit.glob("*.jsonl")
    file.write_bytes(file.read_bytes().replace(b"anna", b"olga"))
    wrong = asrctl("audit", "verify")
    assert wrong.exit_code == 1
    assert f"{file.name}:1: entry 1 was changed after it was written" in wrong.output
