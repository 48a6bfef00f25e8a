"""A small distribution of two appliances, as the builder would write it, and a host that has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from appliances.base.agent.distribution import Distribution
from appliances.base.agent.imagelist import ImageList
from appliances.base.agent.paths import Paths

AUTH_IMAGE = "a" * 64
BILLING_IMAGE = "b" * 64


def daemon(name: str, address: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "unit": f"{name}.service",
        "title": {"en": name, "ru": name},
        "address": address,
        "port": 443,
        "protocol": "https",
        "hostname": f"{name}.example.asrbox.internal",
        "after": [],
        "health": {"kind": "https", "path": "/healthz"},
        "publish": None,
        **more,
    }


def distribution_json() -> dict[str, Any]:
    limits = {"memory": 400 << 20, "cpu": 1, "processes": 200}
    title = {"en": "Example", "ru": "Пример"}
    return {
        "name": "asrbox",
        "version": "0.1.0",
        "base": "debian-13",
        "released": "2026-11-22",
        "title": {"en": "asrbox", "ru": "asrbox"},
        "network": {
            "range": "198.18.80.0/20",
            "bridge": "asr0",
            "host": "198.18.80.1",
            "domain": "asrbox.internal",
        },
        "install": {"volume_group": "asrbox", "pool": "containers", "root_size": 6 << 30},
        "appliances": [
            {
                "name": "asr_billing",
                "instance": "asr-billing",
                "block": "198.18.83.0/24",
                "title": title,
                "summary": title,
                "daemons": [
                    daemon("firebird", "198.18.83.2", port=3050, protocol="tcp", health={"kind": "tcp"}, critical=True),
                    daemon("web", "198.18.83.3", publish={"path": "/billing"}, after=["firebird"]),
                ],
                "volumes": [
                    {"name": "database", "path": "/var/lib/asrbox/database", "size": 4 << 30, "owner": "firebird"}
                ],
                "limits": limits,
                "consumes": ["web.auth", "agent.host"],
                "secrets": ["sysdba-password"],
            },
            {
                "name": "auth",
                "instance": "auth",
                "block": "198.18.82.0/24",
                "title": title,
                "summary": title,
                "daemons": [daemon("web", "198.18.82.2", publish={"path": "/auth"})],
                "volumes": [],
                "limits": limits,
                "consumes": [],
                "secrets": ["administrator-password"],
                "settings": [
                    {
                        "key": "session_hours",
                        "kind": "int",
                        "title": title,
                        "help": title,
                        "default": 12,
                        "minimum": 1,
                        "maximum": 168,
                        "restart": ["web"],
                    },
                    {"key": "strict", "kind": "bool", "title": title, "help": title, "default": False},
                ],
            },
        ],
    }


def images_json() -> dict[str, Any]:
    return {
        "squashfs": "images.squashfs",
        "sha256": "c" * 64,
        "size": 4096,
        "images": [
            {"appliance": "auth", "instance": "auth", "fingerprint": AUTH_IMAGE, "size": 10240},
            {"appliance": "asr_billing", "instance": "asr-billing", "fingerprint": BILLING_IMAGE, "size": 10240},
        ],
    }


def distribution() -> Distribution:
    return Distribution.model_validate_json(json.dumps(distribution_json()))


def distribution_json_ipv6() -> dict[str, Any]:
    """The same with an IPv6 range. Firebird has no address in it."""
    described = distribution_json()
    described["network"] |= {"range6": "fd34:ed37:338c::/56", "host6": "fd34:ed37:338c::1"}
    for appliance, block in zip(described["appliances"], (3, 2), strict=True):
        web = appliance["daemons"][-1]
        web["address6"] = f"fd34:ed37:338c:{block}::{web['address'].rpartition('.')[2]}"
    return described


def distribution_ipv6() -> Distribution:
    return Distribution.model_validate_json(json.dumps(distribution_json_ipv6()))


def image_list() -> ImageList:
    return ImageList.model_validate_json(json.dumps(images_json()))


def installed(root: Path) -> Paths:
    """The paths of a host below `root` on which the installer has just been."""
    paths = Paths(root)
    paths.images.mkdir(parents=True)
    paths.distribution.write_text(json.dumps(distribution_json()))
    paths.image_list.write_text(json.dumps(images_json()))
    return paths


def network_json() -> dict[str, Any]:
    """What GET /api/v1/network answers on a host of that distribution."""
    return {
        "range": "198.18.80.0/20",
        "range6": "fd34:ed37:338c::/56",
        "bridge": "asr0",
        "host": "198.18.80.1",
        "host6": None,
        "domain": "asrbox.internal",
        "hostname": "box",
        "addresses": ["192.0.2.10"],
        "dropped": {"between": 2, "host": 1, "routed": 0},
        "passes": [
            {
                "appliance": "asr_billing",
                "endpoint": "web.auth",
                "address": "198.18.82.2",
                "address6": None,
                "port": 443,
                "transport": "tcp",
            },
            {
                "appliance": "base",
                "endpoint": "agent.host",
                "address": "198.18.80.1",
                "address6": None,
                "port": 8443,
                "transport": "tcp",
            },
        ],
        "published": [
            {"port": 443, "path": "/billing", "client_certificate": False, "endpoint": "web.asr_billing"},
            {"port": 9443, "path": None, "client_certificate": True, "endpoint": "firebird.asr_billing"},
        ],
    }


def certificate_json(acme: dict[str, Any] | None) -> dict[str, Any]:
    """What GET /api/v1/certificate answers while browsers see those of the own CA."""
    period = {"since": "2026-11-20T00:00:00+00:00", "ends": "2046-11-15T00:00:00+00:00"}
    return {"own": True, "way": "own", "names": [], "issuer": None, **period, "acme": acme}


def acme_json(**changes: Any) -> dict[str, Any]:
    """ACME is on, and the first attempt has failed."""
    return {
        "names": ["billing.isp.example"],
        "directory": "https://acme.example/directory",
        "failures": 1,
        "error": "certificate by ACME: acme.example does not answer (it is asked again by itself)",
        "failed_at": "2026-11-23T08:00:00+00:00",
        "next_at": "2026-11-23T08:15:00+00:00",
        "operation": None,
        **changes,
    }
