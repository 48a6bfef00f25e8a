"""The agent against a real Incus: orders, accidents, new images."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import time
from pathlib import Path

import yaml

from appliances.base.agent import imagestream
from tests.containers.asking import appliance, config_of, dropped, init_of, instances, until
from tests.containers.incus_host import PYTHON, IncusHost
from tests.services.web_daemons import Authority

AUTH_MARK = "/var/lib/asrbox/data/kept-by-the-test"


def test_first_start_ends_with_every_daemon_answering_on_its_own_address(host: IncusHost) -> None:
    status = host.status()

    assert status["phase"] == "running"
    daemons = [daemon for one in status["appliances"] for daemon in one["daemons"]]
    assert [daemon["health"] for daemon in daemons] == ["ok"] * len(daemons)
    addresses = [daemon["address"] for daemon in daemons]
    assert len(set(addresses)) == len(addresses)
    billing = appliance(host, "asr_billing")
    shown = host.in_container("asr-billing", "ip", "-4", "-brief", "address", "show", "eth0")
    assert all(f"{daemon['address']}/20" in shown for daemon in billing["daemons"])


def test_every_container_is_unprivileged_and_never_started_by_incus_itself(host: IncusHost) -> None:
    for one in instances(host):
        assert one["config"]["security.privileged"] == "false"
        assert one["config"]["boot.autostart"] == "false"
        assert host.in_container(one["name"], "cat", "/proc/self/uid_map").split()[1] != "0"


def test_a_container_reads_its_runtime_folder_and_cannot_change_it(host: IncusHost) -> None:
    secret = host.in_container("auth", "stat", "-c", "%u:%g %a", "/etc/asrbox/secrets/administrator-password")
    assert secret.strip() == "0:900 640"

    refused = host.run(["incus", "exec", "auth", "--", "touch", "/etc/asrbox/x"], check=False)
    assert "Read-only file system" in refused.stderr


def test_the_tls_api_wants_the_token_of_base(host: IncusHost) -> None:
    token = host.path("/var/lib/asrbox/runtime/base/tokens/agent.host").read_text()
    program = """
import http.client, ssl, sys
context = ssl.create_default_context(cafile="/var/lib/asrbox/ca/ca.crt")
context.check_hostname = False  # the name is not in this host's resolver; the chain is what is tried
connection = http.client.HTTPSConnection("198.18.80.1", 8443, context=context)
connection.request("GET", "/api/v1/status", headers={"Authorization": "Bearer " + sys.argv[1]})
print(connection.getresponse().status)
"""

    def answer(offered: str) -> str:
        return host.run(["/opt/asrbox/bin/python", "-c", program, offered]).stdout.strip()

    assert answer(token) == "200"
    assert answer(token[:-1]) == "401"


def test_a_published_page_answers_on_the_hosts_own_address(host: IncusHost) -> None:
    certificate = host.run(
        [
            "openssl",
            "s_client",
            "-connect",
            "127.0.0.1:8442",
            "-verify_return_error",
            "-CAfile",
            "/var/lib/asrbox/ca/ca.crt",
        ],
        check=False,
    ).stdout

    assert "Verify return code: 0 (ok)" in certificate


def test_browsers_see_the_certificate_that_people_bring(host: IncusHost, tmp_path: Path) -> None:
    Authority().equip(tmp_path, "web", "isp.example")
    for name in ("ca.crt", "web.crt", "web.key"):
        shutil.copyfile(tmp_path / name, host.path(f"/etc/asrbox/{name}"))

    assert "isp.example" in host.asrctl("certificate", "install", "/etc/asrbox/web.crt", "/etc/asrbox/web.key").stdout

    connect = ["openssl", "s_client", "-connect", "127.0.0.1:8442", "-verify_return_error", "-verify_hostname"]
    brought = [*connect, "isp.example", "-servername", "isp.example", "-CAfile", "/etc/asrbox/ca.crt"]
    until(lambda: "Verify return code: 0 (ok)" in host.run(brought, check=False).stdout)
    until(lambda: {one["health"] for one in host.status()["appliances"]} == {"ok"})
    refused = host.asrctl("certificate", "install", "/etc/asrbox/ca.crt", "/etc/asrbox/web.key", check=False)
    assert "the key is not that of asrbox tests" in refused.stderr
    # ACME excludes it, and nothing is asked for without agreement
    refused = host.asrctl("config", "base", "acme_names", "isp.example", check=False)
    assert "acme_names needs acme_terms_agreed to be yes" in refused.stderr
    host.asrctl("config", "base", "acme_terms_agreed", "yes")
    refused = host.asrctl("config", "base", "acme_names", "isp.example", check=False)
    assert "remove it first (asrctl certificate remove)" in refused.stderr
    host.asrctl("config", "base", "acme_terms_agreed", "--default")
    refused = host.asrctl("certificate", "renew", check=False)
    assert "ACME is off (name what to ask a certificate for" in refused.stderr
    assert "CA of this host" in host.asrctl("certificate", "remove").stdout
    until(lambda: "Verify return code: 0 (ok)" not in host.run(brought, check=False).stdout)


def test_check_passes_and_says_what_was_checked(host: IncusHost) -> None:
    checked = host.asrctl("check").stdout

    assert "asr_billing.firebird" in checked
    assert "storage pool" in checked
    assert "FAILING" not in checked


CONNECT = (
    "import socket, sys; s = socket.socket(); s.settimeout(3); "
    "sys.argv[3] and s.bind((sys.argv[3], 0)); s.connect((sys.argv[1], int(sys.argv[2])))"
)


def reaches(host: IncusHost, instance: str, target: tuple[str, int], source: str = "") -> bool:
    """Whether a program in the container (or on the "host") can open a connection, perhaps from an address it chose."""
    entering = [] if instance == "host" else ["incus", "exec", instance, "--"]
    command = [*entering, "python3", "-c", CONNECT, target[0], str(target[1]), source]
    return host.run(command, check=False).returncode == 0


AUTH, FIREBIRD = ("198.18.82.2", 443), ("198.18.83.2", 3050)


def test_only_what_is_declared_passes_between_containers(host: IncusHost) -> None:
    before = dropped(host, "between")

    assert reaches(host, "base", AUTH), "base consumes web.auth"
    assert not reaches(host, "base", FIREBIRD), "nobody but the billing itself"
    assert not reaches(host, "auth", ("198.18.83.3", 443)), "auth consumes nothing"
    assert not reaches(host, "auth", ("198.18.80.1", 8443)), "nor the agent"

    assert dropped(host, "between") > before
    assert "packets dropped that no appliance declares" in host.asrctl("check").stdout


def test_a_container_cannot_take_the_address_of_another(host: IncusHost) -> None:
    host.incus("exec", "auth", "--", "ip", "address", "add", "198.18.81.2/20", "dev", "eth0")
    try:
        assert not reaches(host, "auth", ("198.18.80.1", 8443), "198.18.81.2"), "that is what base may do"
        assert reaches(host, "host", ("198.18.81.2", 443)), "base keeps its address"
    finally:
        host.incus("exec", "auth", "--", "ip", "address", "delete", "198.18.81.2/20", "dev", "eth0")
    until(lambda: appliance(host, "base")["health"] == "ok")


def test_rules_that_somebody_flushed_come_back(host: IncusHost) -> None:
    host.run(["nft", "flush", "chain", "bridge", "asrbox", "containers"])
    until(lambda: not reaches(host, "base", FIREBIRD))

    host.run(["nft", "flush", "ruleset"])
    until(lambda: host.run(["nft", "list", "table", "bridge", "asrbox"], check=False).returncode == 0)
    assert not reaches(host, "base", FIREBIRD)


def test_killing_the_agent_leaves_the_containers_alone(host: IncusHost) -> None:
    before = {one["name"]: init_of(host, one["name"]) for one in instances(host)}
    assert host.agent is not None

    host.agent.kill()
    host.forget_console()
    host.start_agent()
    host.wait_ready()

    assert {one["name"]: init_of(host, one["name"]) for one in instances(host)} == before


def test_stop_names_who_will_miss_it_and_lasts_over_a_restart_of_the_agent(host: IncusHost) -> None:
    said = host.asrctl("stop", "auth").stdout
    assert "auth is used by" in said
    assert host.agent is not None
    host.agent.kill()
    host.forget_console()
    host.start_agent()
    host.wait_ready()
    assert appliance(host, "auth")["state"] == "stopped"
    assert appliance(host, "asr_billing")["health"] == "degraded", "it lacks what was stopped on purpose"

    host.asrctl("start", "auth")

    assert appliance(host, "auth")["health"] == "ok"
    until(lambda: appliance(host, "asr_billing")["health"] == "ok")


def test_a_disabled_daemon_stays_off_when_its_container_restarts(host: IncusHost) -> None:
    host.asrctl("disable", "asr_billing.web")
    host.asrctl("restart", "asr_billing")
    web = next(one for one in appliance(host, "asr_billing")["daemons"] if one["name"] == "web")
    assert (web["state"], web["enabled"]) == ("disabled", False)

    refused = host.asrctl("start", "asr_billing.web", check=False)
    assert refused.returncode == 1
    assert "asrctl enable asr_billing.web" in refused.stderr

    host.asrctl("enable", "asr_billing.web")
    assert appliance(host, "asr_billing")["health"] == "ok"


def test_a_container_stopped_behind_the_agents_back_is_started_again(host: IncusHost) -> None:
    before = init_of(host, "auth")

    host.incus("stop", "--force", "auth")

    until(lambda: appliance(host, "auth")["health"] == "ok" and init_of(host, "auth") not in (0, before))


def test_an_edited_plan_is_shown_first_and_then_applied_to_running_containers(host: IncusHost) -> None:
    file = host.path("/etc/asrbox/plan.yaml")
    plan = yaml.safe_load(file.read_text())
    plan["appliances"]["auth"]["limits"] = {"memory": "700MiB", "disk": "6GiB"}
    file.write_text(yaml.safe_dump(plan))
    before = init_of(host, "auth")

    shown = host.asrctl("plan").stdout

    assert "→ 700MiB" in shown
    assert "changing limits.memory, root of auth" in shown
    assert config_of(host, "auth")["limits.memory"] != str(700 << 20)

    assert "apply: done" in host.asrctl("apply").stdout

    assert config_of(host, "auth")["limits.memory"] == str(700 << 20)
    assert init_of(host, "auth") == before, "limits change while it runs"
    assert f"{file.name} says the same" in host.asrctl("plan").stdout

    host.asrctl("plan", "restore", "1")
    host.asrctl("apply")
    assert config_of(host, "auth")["limits.memory"] != str(700 << 20)


def test_a_plan_with_a_mistake_is_refused_and_changes_nothing(host: IncusHost) -> None:
    file = host.path("/etc/asrbox/plan.yaml")
    good = file.read_text()
    file.write_text(good.replace("auth:", "mail:"))

    refused = host.asrctl("apply", check=False)

    assert refused.returncode == 1
    assert "appliances.mail: there is no such appliance" in refused.stderr
    assert appliance(host, "auth")["state"] == "running"
    host.asrctl("plan", "restore")
    assert yaml.safe_load(file.read_text()) == yaml.safe_load(good)


def test_a_setting_reaches_the_daemon_that_declares_it(host: IncusHost) -> None:
    assert re.search(r"^session_hours +12 +12 ", host.asrctl("config", "auth").stdout, re.MULTILINE)
    before = started(host, "auth", "asrbox-app@auth.service")

    host.asrctl("config", "auth", "session_hours", "8")

    assert json.loads(host.incus("exec", "auth", "--", "cat", "/etc/asrbox/settings.json"))["session_hours"] == 8
    assert started(host, "auth", "asrbox-app@auth.service") != before
    assert appliance(host, "auth")["health"] == "ok"
    refused = host.asrctl("config", "auth", "session_hours", "900", check=False)
    assert "session_hours takes a number from 1 to 168, not 900" in refused.stderr
    host.asrctl("config", "auth", "session_hours", "--default")


def test_a_setting_with_which_a_daemon_does_not_come_up_is_taken_back(host: IncusHost) -> None:
    folder = "/etc/systemd/system/asrbox-app@auth.service.d"
    refuse = """[Service]\nExecStartPre=/bin/sh -c '! grep -q "session_hours.: 9" /etc/asrbox/settings.json'\n"""
    write = f"mkdir -p {folder} && cat > {folder}/refuse.conf && systemctl daemon-reload"
    host.incus("exec", "auth", "--", "sh", "-c", write, input=refuse)
    try:
        failed = host.asrctl("config", "auth", "session_hours", "9", check=False)
        assert failed.returncode == 1
        assert "was taken back: auth is error: web: asrbox-app@auth.service is failed" in failed.stderr
        assert re.search(r"^session_hours +12 +12 ", host.asrctl("config", "auth").stdout, re.MULTILINE)
        until(lambda: appliance(host, "auth")["health"] == "ok")
    finally:
        host.incus("exec", "auth", "--", "sh", "-c", f"rm -r {folder} && systemctl daemon-reload")


def test_a_secret_reaches_its_file_and_stands_nowhere_else(host: IncusHost) -> None:
    host.asrctl("config", "base", "alarm_mail_password", "-", input="correct horse\n")

    assert re.search(r"^alarm_mail_password +\(stored\) ", host.asrctl("config", "base").stdout, re.MULTILINE)
    assert host.incus("exec", "base", "--", "cat", "/etc/asrbox/secrets/alarm_mail_password") == "correct horse"
    shown = host.asrctl("operations", "--json").stdout + host.asrctl("plan", "--json").stdout + host.agent_log()
    assert "alarm_mail_password entered anew" in shown
    assert "correct horse" not in shown
    found = host.run(["grep", "-rl", "correct horse", "/etc", "/var/lib/asrbox"], check=False).stdout.split()
    assert sorted(Path(name).parent.name for name in found) == ["entered", "secrets"]
    host.asrctl("config", "base", "alarm_mail_password", "--default")
    assert "correct horse" not in host.incus("exec", "base", "--", "sh", "-c", "cat /etc/asrbox/secrets/*")


def started(host: IncusHost, instance: str, unit: str) -> str:
    """When a unit was started, in microseconds since the boot."""
    return host.incus("exec", instance, "--", "systemctl", "show", "--property=ExecMainStartTimestampMonotonic", unit)


def test_what_somebody_changed_with_incus_is_set_back_and_recorded(host: IncusHost) -> None:
    wanted = config_of(host, "auth")["limits.processes"]
    host.incus("config", "set", "auth", "limits.processes=123")

    until(lambda: config_of(host, "auth")["limits.processes"] == wanted)

    done = json.loads(host.asrctl("operations", "--json").stdout)
    own = next(one for one in done if one["author"] == "agent" and one["target"] == "auth")
    assert own["action"] == "converge"
    assert "changing limits.processes of auth" in own["log"]


def test_a_container_of_somebody_else_is_left_alone(host: IncusHost) -> None:
    fingerprint = json.loads(host.incus("image", "list", "--format=json"))[0]["fingerprint"]
    host.incus("create", fingerprint, "mine", "--storage", "asrbox")

    host.asrctl("restart", "base")

    assert "mine" in [one["name"] for one in instances(host)]
    host.incus("delete", "mine")


def test_at_shutdown_containers_end_in_order_and_without_force(host: IncusHost) -> None:
    assert host.agent is not None
    host.agent.kill(signal.SIGTERM)
    began = time.monotonic()

    said = host.run([PYTHON, "-m", "appliances.base.agent.shutdown"]).stderr

    assert time.monotonic() - began < 60, "a container that does not end by itself is switched off after 60 s"
    assert sorted(said.split()) == ["asr_billing", "auth", "base", *["stopped"] * 3]
    assert said.rstrip().endswith("stopped auth"), "the others consume auth"
    assert {one["status"] for one in instances(host)} == {"Stopped"}
    host.forget_console()
    host.start_agent()
    host.wait_ready()


def test_after_a_power_cut_all_come_back_with_their_data(host: IncusHost) -> None:
    host.in_container("auth", "sh", "-c", f"echo precious > {AUTH_MARK}; sync")

    host.power_cut()
    host.forget_console()
    host.boot()
    assert [one["status"] for one in instances(host)] == ["Stopped"] * 3
    host.start_agent()
    host.wait_ready()

    assert host.in_container("auth", "cat", AUTH_MARK).strip() == "precious"
    milestones = [line for line in host.console() if "starting" in line]
    assert "starting auth" in milestones[0], "the others consume auth"


def test_a_new_image_replaces_the_container_and_keeps_its_volume(host: IncusHost) -> None:
    host.in_container("auth", "sh", "-c", f"echo precious > {AUTH_MARK}")
    old = next(one for one in instances(host) if one["name"] == "auth")["config"]["user.asrbox.image"]
    billing = init_of(host, "asr-billing")

    change_image(host, "auth", "/etc/changed-by-the-test")

    def replaced() -> bool:
        found = appliance(host, "auth")
        return found["health"] == "ok" and current_image(host) not in (None, old)

    until(replaced, 180)
    assert host.in_container("auth", "cat", AUTH_MARK).strip() == "precious"
    assert host.in_container("auth", "cat", "/etc/changed-by-the-test").strip() == "changed"
    assert init_of(host, "asr-billing") == billing
    assert old not in host.incus("image", "list", "--format=json")


def current_image(host: IncusHost) -> str | None:
    found = [one for one in instances(host) if one["name"] == "auth"]
    return (found[0]["config"] or {}).get("user.asrbox.image") if found else None


def change_image(host: IncusHost, name: str, path: str) -> None:
    """Put an image set in place in which one file of one appliance is new, as an update would."""
    tar = shlex.join(imagestream.tar("."))
    made = host.run(
        [
            "sh",
            "-ec",
            f"""
            rm -rf /run/change; mkdir /run/change; cd /run/change; mkdir old upper work new
            mount -t squashfs -o loop,ro /var/lib/asrbox/images/images.squashfs old
            mount -t overlay overlay -o lowerdir=old,upperdir=upper,workdir=work new
            echo changed > new/{name}/rootfs{path}
            mksquashfs new images.squashfs -comp zstd -Xcompression-level 1 -no-progress -quiet >&2
            umount new old; mount -t squashfs -o loop,ro images.squashfs new
            cd new/{name}; LC_ALL=C {tar} 2>/dev/null > ../../image.tar; cd ../..; umount new
            sha256sum < image.tar; stat -c %s image.tar images.squashfs; rm image.tar
            """,
        ]
    ).stdout.split()
    fingerprint, size, squashfs_size = made[0], int(made[2]), int(made[3])
    folder = host.path("/var/lib/asrbox/images")
    listed = json.loads((folder / "images.json").read_text())
    listed["size"] = squashfs_size
    for image in listed["images"]:
        if image["appliance"] == name:
            image.update(fingerprint=fingerprint, size=size)
    host.path("/run/change/images.squashfs").replace(folder / "images.squashfs")
    (folder / "images.new").write_text(json.dumps(listed))
    (folder / "images.new").replace(folder / "images.json")
