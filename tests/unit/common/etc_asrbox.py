"""A configuration directory as the agent renders it for one appliance, on loopback addresses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

APPLIANCES = Path(__file__).resolve().parents[3] / "appliances"

TITLES = {
    "base": {"ru": "Панель управления", "en": "Control panel"},
    "auth": {"ru": "Вход", "en": "Sign-in"},
    "asr_billing": {"ru": "Биллинг", "en": "Billing"},
}


def endpoint(port: int, name: str = "web.auth", address: str = "127.0.0.1") -> dict[str, Any]:
    """An endpoint served over TLS."""
    return {"address": address, "port": port, "protocol": "https", "hostname": f"{name}.asrbox.internal"}


def defaults(appliance: str) -> dict[str, Any]:
    """The settings of an appliance of this checkout, as nobody has changed them."""
    declared = yaml.safe_load((APPLIANCES / appliance / "appliance.yaml").read_text()).get("settings", {})
    return {key: setting["default"] for key, setting in declared.items()}


def write(
    directory: Path,
    appliance: str = "base",
    *,
    port: int = 443,
    endpoints: dict[str, int] | None = None,
    published: dict[str, str] | None = None,
    host: str | None = None,
    secrets: dict[str, str] | None = None,
    service_tokens: dict[str, list[str]] | None = None,
) -> Path:
    """Write `directory`: endpoints are name → port, tokens are `token-of-<appliance>`; returns it."""
    own = endpoint(port, f"web.{appliance}")
    for folder in ("secrets", "tokens", "tls", "daemons"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    described = {
        "appliance": appliance,
        "distribution": {"name": "asrbox", "version": "0.1.0"},
        "domain": "asrbox.internal",
        "daemons": {"web": own},
        "endpoints": {f"web.{appliance}": own}
        | {name: endpoint(number, name) for name, number in (endpoints or {}).items()},
        "published": published or {"base": "/", "auth": "/auth", "asr_billing": "/billing"},
        "host": host or "198.18.80.1",
        "titles": TITLES,
    }
    (directory / "appliance.json").write_text(json.dumps(described, ensure_ascii=False))
    (directory / "settings.json").write_text(json.dumps(defaults(appliance)))
    (directory / "daemons" / "web.env").write_text(
        f"ASRBOX_APPLIANCE={appliance}\nASRBOX_DAEMON=web\nASRBOX_ADDRESS=127.0.0.1\nASRBOX_PORT={port}\n"
    )
    for name, value in ({"session-key": "a key for the tests only, 0123456789"} | (secrets or {})).items():
        (directory / "secrets" / name).write_text(value)
    for name in endpoints or {}:
        (directory / "tokens" / name).write_text(f"token-of-{appliance}")
    if service_tokens is not None:
        table = {
            hashlib.sha256(f"token-of-{name}".encode()).hexdigest(): {"appliance": name, "scopes": scopes}
            for name, scopes in service_tokens.items()
        }
        (directory / "service-tokens.json").write_text(json.dumps(table))
    (directory / "tls" / "ca.crt").touch()
    return directory
