"""The journal of what was done, of a real agent: nothing that was promised is lost, and a change shows."""

from __future__ import annotations

import json

from tests.containers.asking import until
from tests.containers.incus_host import IncusHost


def entries(host: IncusHost, *filters: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(host.asrctl("audit", "--json", *filters).stdout)
    return found


def test_what_was_done_stands_there_with_before_and_after(host: IncusHost) -> None:
    host.asrctl("config", "base", "alarm_after_minutes", "7")
    host.asrctl("config", "base", "alarm_mail_password", "-", input="correct horse\n")
    try:
        asked = [one for one in entries(host, "--part", "base", "--kind", "settings") if one["result"] == "asked"][:2]
        secret, minutes = (one["details"] for one in asked)
        assert isinstance(secret, dict) and isinstance(minutes, dict)
        assert minutes["settings"] == {"alarm_after_minutes": {"before": 5, "after": 7}}
        assert secret["settings"] == {"alarm_mail_password": {"before": "", "after": "•••"}}
        assert [one["result"] for one in entries(host, "--part", "base")[:2]] == ["done", "asked"]
        assert entries(host, "--kind", "plan")[0]["what"] == "in force"
        assert "correct horse" not in "".join(path.read_text() for path in host.path("/var/lib/asrbox/audit").glob("*"))
    finally:
        host.asrctl("config", "base", "alarm_after_minutes", "--default")
        host.asrctl("config", "base", "alarm_mail_password", "--default")


def test_an_agent_that_is_killed_goes_on_with_its_journal_and_tampering_is_named(host: IncusHost) -> None:
    before = int(str(entries(host)[0]["number"]))
    assert host.agent is not None
    host.agent.kill()
    journal = sorted(host.path("/var/lib/asrbox/audit").glob("*.jsonl"))[-1]
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"number":')
    host.forget_console()
    host.start_agent()
    until(lambda: int(str(entries(host)[0]["number"])) > before)
    assert "entries are as they were written" in host.asrctl("audit", "verify").stdout
    assert entries(host, "--kind", "journal")[0]["details"] == {"bytes": 10}

    kept = journal.read_bytes()
    journal.write_bytes(kept.replace(b'"who":"', b'"who":"x', 1))
    refused = host.asrctl("audit", "verify", check=False)
    assert refused.returncode == 1
    assert f"{journal.name}:1: entry 1 was changed after it was written" in refused.stdout
    journal.write_bytes(kept)
    host.wait_ready()
