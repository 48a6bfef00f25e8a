"""The machine itself, out of what its files and `ip` say."""

from __future__ import annotations

from pathlib import Path

from appliances.base.agent import machine
from appliances.base.agent.machine import Interface, Person

LINKS = [
    {"ifname": "lo", "flags": ["LOOPBACK", "UP"], "addr_info": [{"local": "127.0.0.1", "prefixlen": 8}]},
    {
        "ifname": "ens3",
        "flags": ["BROADCAST", "UP"],
        "operstate": "UP",
        "address": "52:54:00:12:34:56",
        "addr_info": [{"local": "192.0.2.10", "prefixlen": 24}, {"local": "2001:db8::10", "prefixlen": 64}],
    },
    {"ifname": "ens4", "flags": ["BROADCAST"], "operstate": "DOWN", "address": "52:54:00:12:34:57", "addr_info": []},
    {"ifname": "asr0", "flags": ["UP"], "operstate": "UP", "addr_info": [{"local": "198.18.80.1", "prefixlen": 20}]},
    {"ifname": "asr0-2", "flags": ["UP"], "operstate": "UP", "master": "asr0", "addr_info": []},
]


def test_the_hosts_own_devices_without_those_of_the_appliances() -> None:
    assert machine.interfaces(LINKS, "asr0") == [
        Interface("ens3", "UP", "52:54:00:12:34:56", ("192.0.2.10/24", "2001:db8::10/64")),
        Interface("ens4", "DOWN", "52:54:00:12:34:57", ()),
    ]


def test_the_ways_out() -> None:
    assert machine.gateways([{"dst": "default", "gateway": "192.0.2.1", "dev": "ens3"}]) == ["192.0.2.1 by ens3"]
    assert machine.gateways([{"dst": "default", "dev": "ppp0"}]) == ["direct by ppp0"]
    assert machine.resolvers("# by DHCP\nnameserver 192.0.2.53\nsearch example.net\n") == ["192.0.2.53"]
    assert machine.system('NAME="x"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n') == "Debian GNU/Linux 13 (trixie)"
    assert machine.system("") == "Linux"


def test_who_may_log_in(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/bash\n"
        "daemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n"
        "sync:x:4:65534::/bin:/bin/sync\n"
        "admin:x:1000:1000::/home/admin:/bin/bash\n"
        "anna:x:1001:1001::/home/anna:/bin/bash\n"
        "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
    )
    (tmp_path / "etc/group").write_text("sudo:x:27:admin\nanna:x:1001:\n")
    (tmp_path / "etc/shadow").write_text("root:!:1::::::\nadmin:$6$x$y:1::::::\nanna:*:1::::::\n")
    keys = tmp_path / "home/anna/.ssh/authorized_keys"
    keys.parent.mkdir(parents=True)
    keys.write_text("# laptop\nssh-ed25519 AAAA anna\n\nssh-rsa BBBB anna\n")

    assert machine.people(tmp_path) == [Person("admin", True, True, 0), Person("anna", False, False, 2)]
    (tmp_path / "etc/shadow").write_text("root:$6$x$y:1::::::\n")
    assert machine.people(tmp_path)[0] == Person("root", True, True, 0)


def test_this_very_machine_can_be_looked_at() -> None:
    found = machine.look(Path("/"), "asr0")
    assert found["processors"] >= 1
    assert len(found["load"]) == 3
    assert found["kernel"]
