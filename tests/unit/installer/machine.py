"""A machine, a distribution and answers: what the tests of the installer start from."""

from __future__ import annotations

import json

from appliances.base.installer.disks import Block, parse

GIB = 2**30
DISTRIBUTION = {
    "title": {"en": "asrbox", "ru": "asrbox"},
    "version": "0.1.0",
    "install": {
        "volume_group": "asrbox",
        "root_size": 6 * GIB,
        "minimum_disk": 16 * GIB,
        "pool": "containers",
        "timezone": "Etc/UTC",
        "language": "ru_RU.UTF-8",
    },
    "appliances": [{"name": "base"}, {"name": "auth"}],
}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEaQm1b8hJk0o0n6N1l0mFJ4lS8bG6pHk2y9QxWcVtZr operator"
SEED = f"""
hostname = "billing1.example.net"
timezone = "Europe/Moscow"
[network]
method = "static"
address = "192.0.2.10/24"
gateway = "192.0.2.1"
dns = ["192.0.2.53"]
[admin]
password_hash = "$6$saltsalt$0123456789abcdef"
ssh_keys = ["{KEY}"]
"""


def disk(name: str = "vda", size: int = 32 * GIB, **more: object) -> dict[str, object]:
    """One disk as lsblk tells it."""
    return {"name": name, "path": f"/dev/{name}", "type": "disk", "size": size, "ro": False, "rm": False, **more}


def blocks(*devices: dict[str, object]) -> list[Block]:
    return parse(json.dumps({"blockdevices": list(devices)}))
