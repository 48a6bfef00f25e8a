"""What is published, seen from outside: one TLS entry before real containers."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from tests.containers.asking import appliance, until
from tests.containers.incus_host import IncusHost
from tests.services.web_daemons import Authority

CA = "/var/lib/asrbox/ca/ca.crt"
FORGE = """
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile="/etc/asrbox/tls/ca.crt")
request = urllib.request.Request("https://web.auth.asrbox.internal/login",
                                 headers={"X-Forwarded-For": "203.0.113.99", "X-Forwarded-Prefix": "/evil"})
print(urllib.request.urlopen(request, context=context, timeout=20).read().decode())
"""


def browse(host: IncusHost, path: str, *options: str) -> str:
    """What curl on the host gets for a path of the entry: the body, then the status on a line of its own."""
    asked = ["curl", "--silent", "--max-time", "20", "--write-out", "\n%{http_code}", *options]
    if not any(option in ("--cacert", "--insecure") for option in options):
        asked += ["--cacert", CA]
    return host.run([*asked, path if "://" in path else f"https://127.0.0.1{path}"], check=False).stdout


def test_every_appliance_answers_at_its_path_with_a_certificate_of_the_host(host: IncusHost) -> None:
    for path in ("/", "/auth/", "/billing/"):
        body, _, status = browse(host, f"{path}healthz").rpartition("\n")
        assert (path, status, json.loads(body)["status"]) == (path, "200", "ok")
    page = browse(host, "/billing/login")
    assert 'action="/billing/login"' in page
    sent = browse(host, "/billing/", "--output", "/dev/null", "--write-out", "%{redirect_url}")
    assert sent.strip() == "https://127.0.0.1/billing/login?next=/billing/"
    stylesheet = re.search(r'href="(/billing/ui/static/ui\.css[^"]*)"', page)
    assert stylesheet
    assert browse(host, stylesheet[1]).endswith("\n200")


def test_port_80_leads_to_https(host: IncusHost) -> None:
    sent = browse(host, "http://127.0.0.1/billing/", "--output", "/dev/null", "--write-out", "%{redirect_url}")
    assert sent.strip() == "https://127.0.0.1/billing/"
    host.path("/var/lib/asrbox/acme/challenges/token").write_text("thumb")
    assert browse(host, "http://127.0.0.1/.well-known/acme-challenge/token") == "thumb\n200"


def test_an_appliance_believes_the_entry_and_not_its_neighbours(host: IncusHost) -> None:
    browse(host, "/auth/login", "--header", "X-Forwarded-For: 203.0.113.99")
    page = host.in_container("base", "/opt/asrbox/bin/python", "-c", FORGE)

    assert "/evil/" not in page
    log = host.asrctl("logs", "auth.web", "-n", "50").stdout
    assert '"address": "127.0.0.1"' in log, "the browser of the first call"
    assert '"address": "198.18.81.2"' in log, "base"
    assert "203.0.113.99" not in log


def test_who_meets_a_stopped_appliance_reads_what_to_do(host: IncusHost) -> None:
    host.asrctl("stop", "asr_billing")
    try:
        until(lambda: "sudo asrctl start asr_billing" in browse(host, "/billing/subscribers"))
        page = browse(host, "/billing/subscribers", "--header", "Accept-Language: en")
        assert "“Billing” is stopped" in page
        assert page.endswith("\n503")
        problem = browse(host, "/billing/api/v1/subscribers").rpartition("\n")[0]
        assert json.loads(problem)["status"] == 503
    finally:
        host.asrctl("start", "asr_billing")
    until(lambda: browse(host, "/billing/healthz").endswith("\n200"))


def test_an_entry_that_was_killed_comes_back(host: IncusHost) -> None:
    before = host.path("/run/asrbox-entry/nginx.pid").read_text()
    host.run(["sh", "-c", f"kill -9 -{before.strip()}"])

    assert "it does not answer" in host.asrctl("check", check=False).stdout
    until(lambda: browse(host, "/healthz").endswith("\n200"))

    assert host.path("/run/asrbox-entry/nginx.pid").read_text() != before
    assert "restarting the entry: it does not answer" in host.agent_log()
    until(lambda: "FAILING  entry" not in host.asrctl("check", check=False).stdout)


def test_browsers_see_the_certificate_that_people_bring(host: IncusHost, tmp_path: Path) -> None:
    Authority().equip(tmp_path, "web", "isp.example")
    for name in ("ca.crt", "web.crt", "web.key"):
        shutil.copyfile(tmp_path / name, host.path(f"/etc/asrbox/{name}"))

    assert "isp.example" in host.asrctl("certificate", "install", "/etc/asrbox/web.crt", "/etc/asrbox/web.key").stdout

    brought = ["--cacert", "/etc/asrbox/ca.crt", "--resolve", "isp.example:443:127.0.0.1", "--head"]
    until(lambda: "max-age=31536000" in browse(host, "https://isp.example/billing/healthz", *brought))
    refused = host.asrctl("certificate", "install", "/etc/asrbox/ca.crt", "/etc/asrbox/web.key", check=False)
    assert "the key is not that of asrbox tests" in refused.stderr
    assert "CA of this host" in host.asrctl("certificate", "remove").stdout
    until(lambda: browse(host, "/healthz").endswith("\n200"))
    assert "trict-" not in browse(host, "/healthz", "--head"), "with the own CA nobody has to insist"
    assert {one["health"] for one in host.status()["appliances"]} == {"ok"}


def test_a_port_of_its_own_lets_in_who_shows_a_certificate(host: IncusHost) -> None:
    file = host.path("/var/lib/asrbox/images/distribution.json")
    shipped = file.read_text()
    told = json.loads(shipped)
    auth = next(one for one in told["appliances"] if one["name"] == "auth")
    auth["daemons"][0]["publish"] = {"port": 9443, "client_certificate": "required"}
    address = "https://127.0.0.1:9443/healthz"
    try:
        replace(file, json.dumps(told))
        until(lambda: "shows /, /billing, 9443" in host.asrctl("check", check=False).stdout)
        assert browse(host, address).endswith("\n403")

        told_where = host.asrctl(
            "client-certificate", "issue", "payments", "--pem", "--output", "/etc/asrbox/p.pem"
        ).stdout
        assert "client certificate of payments" in told_where
        assert host.path("/etc/asrbox/p.pem").stat().st_mode & 0o777 == 0o600
        assert browse(host, address, "--cert", "/etc/asrbox/p.pem").endswith("\n200")
        assert "payments" in host.asrctl("client-certificate", "list").stdout

        host.asrctl("client-certificate", "revoke", "payments")
        until(lambda: browse(host, address, "--cert", "/etc/asrbox/p.pem").endswith("\n403"))
    finally:
        replace(file, shipped)
    until(lambda: "shows /, /auth, /billing" in host.asrctl("check", check=False).stdout)
    until(lambda: appliance(host, "auth")["health"] == "ok")


START = """
set -e
grep -q asrbox-entry /etc/passwd || echo asrbox-entry:x:901:901::/nonexistent:/usr/sbin/nologin >> /etc/passwd
grep -q asrbox-entry /etc/group || echo asrbox-entry:x:901: >> /etc/group
mkdir -p /var/lib/asrbox/entry
rm -rf /var/lib/asrbox/entry/current
mv /root/current /var/lib/asrbox/entry/
chown -R root:asrbox-entry /var/lib/asrbox/entry
sed -i 's/listen 443/listen 444/; s/listen 80/listen 81/' /var/lib/asrbox/entry/current/nginx.conf
systemctl daemon-reload
systemctl start asrbox-entry.service
"""
END = """
systemctl stop asrbox-entry.service
rm -rf /etc/systemd/system/asrbox-entry.service /usr/sbin/nginx /var/lib/asrbox/entry
"""
ASK = """
import ssl, sys, urllib.request
context = ssl._create_unverified_context()
print(urllib.request.urlopen("https://127.0.0.1:444/.asrbox/health", context=context, timeout=20).read().decode())
"""


def test_nginx_works_as_confined_as_the_unit_wants_it(host: IncusHost) -> None:
    """The test host has no systemd, but its containers do: the same nginx, unit and configuration, on other ports."""
    mark = host.path("/var/lib/asrbox/entry/current").readlink()
    host.incus("file", "push", "/usr/sbin/nginx", "auth/usr/sbin/nginx")
    host.incus(
        "file", "push", "/etc/systemd/system/asrbox-entry.service", "auth/etc/systemd/system/asrbox-entry.service"
    )
    host.incus("file", "push", "--recursive", "--create-dirs", f"/var/lib/asrbox/entry/{mark}", "auth/root/")
    try:
        host.in_container("auth", "mv", f"/root/{mark}", "/root/current")
        host.incus("exec", "auth", "--", "sh", "-c", START)
        assert host.in_container("auth", "/opt/asrbox/bin/python", "-c", ASK).strip() == str(mark)
        pid = host.in_container("auth", "systemctl", "show", "--property=MainPID", "--value", "asrbox-entry").strip()
        confined = host.in_container("auth", "cat", f"/proc/{pid}/status")
        assert re.search(r"^NoNewPrivs:\s+1$", confined, re.MULTILINE)
        assert re.search(r"^Seccomp:\s+2$", confined, re.MULTILINE)
        assert re.search(r"^CapBnd:\s+0+400$", confined, re.MULTILINE), "to listen below 1024, and nothing else"
        assert re.search(r"^Uid:\s+901\s", confined, re.MULTILINE)

        # what its ExecReload does, by a program that containers have not
        host.in_container("auth", "systemctl", "kill", "--kill-whom=main", "--signal=HUP", "asrbox-entry.service")
        until(lambda: host.in_container("auth", "/opt/asrbox/bin/python", "-c", ASK).strip() == str(mark))
        now = host.in_container("auth", "systemctl", "show", "--property=MainPID", "--value", "asrbox-entry").strip()
        assert now == pid
    finally:
        host.incus("exec", "auth", "--", "sh", "-c", END)


def replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)
