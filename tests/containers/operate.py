"""The commands of docs/operate.md, and what is known of them: which are tried with what result, which are not and why.

A new command in the document has to be put into one of the lists below; one that is gone has to leave them.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/operate.md"
OPTIONS = (" --no-wait", " --default")  # named in the document beside the commands that take them


@dataclass(frozen=True)
class Try:
    """A command as a person would type it after reading: its exit code, and what it has to say (each a pattern)."""

    line: str
    code: int = 0
    says: tuple[str, ...] = ()
    typed: str = ""  # at its prompt, or at the shell that it opens


TRIES = (
    Try("openssl x509 -in /var/lib/asrbox/ca/ca.crt -noout -fingerprint -sha256", says=(r"=([0-9A-F]{2}:){31}",)),
    Try("asrctl status", says=("asrbox .*: running", r"asr_billing +running +ok", r"firebird +running +ok +198\.18\.")),
    Try("asrctl status --json", says=('"phase": "running"',)),
    Try(
        "asrctl check",
        says=tuple(
            rf"ok +{name} "
            for name in (
                "disk",
                "memory",
                "storage pool",
                "firewall",
                "routes",
                "certificate authority",
                "entry",
                "auth.web",
            )
        ),
    ),
    Try("asrctl usage", says=("APPLIANCE +MEMORY +PROCESSORS +PROCESSES", r"auth .* of 384 MiB .* of 1 .* of 200")),
    Try("asrctl usage --json", says=('"samples"',)),
    Try("asrctl alarms", says=("nothing is wrong", "told: nobody")),
    Try("asrctl alarms --json", says=('"standing"',)),
    Try("asrctl stop base.web", says=("stop base.web: done",)),
    Try("asrctl status", says=(r"web +stopped",)),
    Try("asrctl start base.web", says=("start base.web: done",)),
    Try("asrctl restart base.web --no-wait", says=("operation ",)),
    Try("asrctl disable base.web", says=("disable base.web: done",)),
    Try("asrctl status", says=(r"web +disabled",)),
    Try("asrctl start base.web", code=1, says=("asrctl enable base.web starts it too",)),
    Try("asrctl enable base.web", says=("enable base.web: done",)),
    Try("asrctl logs auth.web -n 200", says=("asrbox-app@auth|gunicorn|python",)),
    Try("asrctl logs auth"),
    Try("asrctl shell auth", code=3, says=("^auth$",), typed="cat /etc/hostname; exit 3\n"),
    Try("asrctl plan", says=(r"plan \d+ is in force since", "says the same")),
    Try("asrctl plan --json", says=('"drift"',)),
    Try("asrctl plan history", says=(r"PLAN +APPLIED +BY", r"1 +\S+Z +installation")),
    Try("asrctl plan restore 1", says=("plan.yaml is plan 1 again. See the difference: asrctl plan",)),
    Try("asrctl plan restore", says=(r"plan.yaml is plan \d+ again",)),
    Try("asrctl plan restore 999", code=1, says=(r"there is no plan 999 \(the newest are: ",)),
    Try("asrctl apply", says=("apply: done",)),
    Try("asrctl config auth", says=(r"session_hours +12 +12 ",)),
    Try("asrctl config auth session_hours", says=("It takes a number from 1 to 168; the default is 12",)),
    Try("asrctl config auth session_hours 8", says=("session_hours: done",)),
    Try("asrctl config auth session_hours --default", says=("session_hours: done",)),
    Try("asrctl config auth session_hours 900", code=1, says=("takes a number from 1 to 168, not 900",)),
    Try("asrctl config auth colour", code=1, says=(r"has no setting 'colour' \(it has: .*session_hours",)),
    Try("asrctl config mail colour", code=1, says=(r"no appliance 'mail' \(this distribution has: .*asr_billing",)),
    Try("asrctl config base alarm_mail_password -", says=("alarm_mail_password: done",), typed="correct horse\n"),
    Try("asrctl config base alarm_mail_password", says=(r"\(stored\)", "never shown")),
    Try("asrctl config base alarm_mail_password --default"),
    Try("nft list counters", says=("counter between", "counter host", "counter routed")),
    Try("asrctl alarms test", code=1, says=("name somebody first: asrctl config base alarm_mail",)),
    Try("asrctl config base alarm_mail noc@example.net", says=("done",)),
    Try("asrctl config base alarm_mail_server mail.example.net:25", says=("done",)),
    Try("asrctl config base alarm_webhook https://chat.example.net/hooks/noc", says=("done",)),
    Try("asrctl alarms test", code=1, says=("sending by mail and webhook", "It is tried again")),
    Try("asrctl config base alarm_mail --default"),
    Try("asrctl config base alarm_mail_server --default"),
    Try("asrctl config base alarm_webhook --default"),
    Try("asrctl alarms zabbix-template > asrbox.yaml"),
    Try("asrctl alarms zabbix-template", says=("zabbix_export:", "asrbox")),
    Try("asrctl config base alarm_zabbix zabbix.example.net:10051", says=("done",)),
    Try("asrctl config base alarm_zabbix_host billing-1", says=("done",)),
    Try("asrctl config base alarm_zabbix --default"),
    Try("asrctl config base alarm_zabbix_host --default"),
    Try("asrctl certificate install fullchain.pem privkey.pem", says=("Browsers see the certificate for isp.example",)),
    Try("asrctl certificate", says=("isp.example", r"valid until 20\d\d-")),
    Try("asrctl certificate remove", says=("the CA of this host signs",)),
    Try("asrctl certificate renew", code=1, says=("ACME is off",)),
    Try("asrctl config base acme_terms_agreed yes", says=("done",)),
    Try("asrctl config base acme_terms_agreed --default"),
    Try("asrctl config base acme_names --default"),
    Try("asrctl client-certificate issue payments --days 365", says=("^payments.p12: ", r"^Password: +\S+$")),
    Try("asrctl client-certificate issue payments", code=1, says=("payments.p12 is there already",)),
    Try("asrctl client-certificate list", says=(r"^NAME +SERIAL", r"^payments +[0-9a-f]+ ")),
    Try("asrctl client-certificate revoke payments", says=("^payments, serial [0-9a-f]+: revoked$",)),
    Try("asrctl operations", says=("STARTED +ACTION +TARGET +BY +STATUS", "configure +base +root +done")),
    Try("asrctl operations --json", says=('"author": "root"',)),
    Try("asrctl audit --who root --kind settings", says=("ENTRY +TIME", "root +settings: configure")),
    Try("asrctl audit --kind certificate", says=("certificate: ",)),
    Try("asrctl audit verify", says=("entries are as they were written",)),
    Try("asrctl audit export -", says=("root",)),
    Try("asrctl audit"),
    Try("asrctl host network", says=("host name:", "network cards:")),
    Try("openssl passwd -6 -stdin", says=(r"^\$6\$",), typed="correct horse\n"),
    Try("asrctl host people add anna --keys anna.pub --administrator", says=("anna +administrator +open +no",)),
    Try("asrctl host people add bruno", code=1, says=("key",)),
    Try("asrctl host people lock anna", says=("anna +administrator +locked",)),
    Try("asrctl host people unlock anna", says=("anna +administrator +open",)),
    Try("asrctl host people keys anna anna.pub", says=("anna +administrator +open",)),
    Try("asrctl host people remove anna", says=("LOGIN|nobody",), typed="y\n"),
    Try("asrctl host people"),
    Try("asrctl password", says=("User: +administrator", r"Password: +\S{4}-\S{4}-\S{4}-\S{4}")),
)

NOT_RUN = {
    "systemctl status asrbox-agent": "systemd does not run in the host of the tests",
    "systemctl status incus.socket incus.service": "systemd does not run in the host of the tests",
    "journalctl -u asrbox-entry": "systemd does not run in the host of the tests",
    "journalctl -u asrbox-agent": "systemd does not run in the host of the tests",
    "networkctl reload": "systemd does not run in the host of the tests",
    "timedatectl set-time '2026-11-23 12:00'": "its clock is that of this machine",
    **dict.fromkeys(
        (
            "asrctl host network --static 192.0.2.10/24 --gateway 192.0.2.1 --dns 192.0.2.53",
            "asrctl host network --hostname billing1 --time-servers ntp.example.net",
            "asrctl host network confirm",
            "asrctl host network revert",
        ),
        "tests/containers/test_host_admin.py does it, with a network card of its own",
    ),
    'asrctl config base acme_names "billing.isp.example cabinet.isp.example"': (
        "asks an authority of the Internet; tests/services/test_acme.py asks one of its own"
    ),
    "passwd": "asks questions of a person",
    "nft insert rule bridge asrbox containers log prefix asrbox": "writes into the log of this machine's kernel",
    "incus storage set asrbox size=40GiB": "tests/containers/test_full_pool.py runs it as the agent prints it",
    "incus storage volume set asrbox auth-data size=2GiB": "the pool of the tests is btrfs, whose volumes know no size",
    "vgextend asrbox /dev/sdb": "the pool of the tests is btrfs",
    "lvextend --extents +100%FREE asrbox/containers": "the pool of the tests is btrfs",
}

# Quoted messages and names that have a space in them.
NO_COMMANDS = {
    "the agent does not answer",
    "the container daemon does not run",
    "its fingerprint is …, the build recorded …",
    "the storage pool asrbox is btrfs, not lvm",
    "the storage pool asrbox is full",
    "bridge asrbox",
    "inet asrbox",
}
ALONE = {"passwd"}  # commands of a single word


def documented(text: str) -> list[str]:
    """Commands of the document in their order: lines of its shell blocks, and what stands in backquotes.

    In a row of its table, `… remove` goes on where the command before it stopped.
    """
    blocks = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
    lines = [line for kind, body in blocks.findall(text) if kind == "sh" for line in body.splitlines()]
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", blocks.sub("", text))]
    before = ""
    for span in spans:
        if span.startswith("… "):
            lines.append(f"{before} {span.removeprefix('… ')}")
        elif span in ALONE or (re.match(r"[a-z][a-z0-9.-]* ", span) and span not in NO_COMMANDS):
            lines.append(span)
            before = " ".join(itertools.takewhile(lambda word: re.fullmatch("[a-z]+", word), span.split()))
    return list(dict.fromkeys(lines))


def pattern(command: str) -> re.Pattern[str]:
    """What fits a documented command: WORDS in capitals stand for something, [parts] may be left out."""
    parts = [re.escape(part) for part in re.split(r"( ?\[| ?\]|\b[A-Z]+\b)", command)]
    text = "".join(
        {r"\ \[": "(?: ", r"\[": "(?:", r"\]": ")?"}.get(part, r"\S+" if re.fullmatch("[A-Z]+", part) else part)
        for part in parts
    )
    # Somewhere in the text a command may be named without what it takes.
    return re.compile(text + r"(?: .*)?" if "[" not in command and not re.search("[A-Z]{2}", command) else text)


def plain(line: str) -> str:
    for option in OPTIONS:
        line = line.removesuffix(option)
    return line
