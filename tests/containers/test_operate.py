"""docs/operate.md, followed: the commands that it names do on a host what it says (tests/containers/operate.py)."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.containers.asking import appliance, until
from tests.containers.incus_host import IncusHost
from tests.containers.operate import DOCUMENT, NOT_RUN, TRIES
from tests.services.web_daemons import Authority

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDlJlG30cr0RlLwKVjkJceFro2tt9aQ0gCPOYsleNZOX anna\n"


@pytest.mark.timeout(300)
def test_the_commands_of_the_document_do_what_it_says(host: IncusHost, tmp_path: Path) -> None:
    Authority().equip(tmp_path, "web", "isp.example")
    for name, source in (("fullchain.pem", "web.crt"), ("privkey.pem", "web.key")):
        host.run(["sh", "-c", f"cat > /{name}"], input=(tmp_path / source).read_text())
    host.run(["sh", "-c", "cat > /anna.pub"], input=KEY)
    for one in TRIES:
        began = time.monotonic()
        ran = host.run(["sh", "-c", one.line], check=False, input=one.typed)
        said = ran.stdout + ran.stderr
        print(f"{time.monotonic() - began:.1f} s  {one.line}")
        assert ran.returncode == one.code, f"{one.line}: {said}"
        for words in one.says:
            assert re.search(words, said, re.MULTILINE), f"{one.line} does not say {words!r}: {said}"
    until(lambda: {found["health"] for found in host.status()["appliances"]} == {"ok"})
    assert appliance(host, "base")["state"] == "running"


def test_what_cannot_be_run_here_exists_on_the_host(host: IncusHost) -> None:
    programs = sorted({command.split()[0] for command in NOT_RUN})
    looked = host.run(["sh", "-c", 'for one in "$@"; do command -v "$one" || echo "no $one"; done', "sh", *programs])
    assert "no " not in looked.stdout

    units = {
        word for command in NOT_RUN if command.startswith(("systemctl ", "journalctl ")) for word in command.split()[2:]
    }
    for unit in units:
        name = unit if "." in unit else f"{unit}.service"
        host.run(["sh", "-c", f"ls /etc/systemd/system/{name} /usr/lib/systemd/system/{name} 2>&1 | grep -v ^ls:"])


def test_files_that_the_document_names_exist_on_the_host(host: IncusHost) -> None:
    named = {one for one in re.findall(r"`(/[a-z/.-]+)`", DOCUMENT.read_text()) if "<" not in one}
    looked = host.run(["sh", "-c", 'for one in "$@"; do [ -e "$one" ] || echo "$one"; done', "sh", *sorted(named)])
    assert looked.stdout.split() == []
