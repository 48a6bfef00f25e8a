"""Secrets of the appliances, never in an image: those made once, on this machine, on first boot, and the settings that
people entered as secrets.

A plan names an entered secret by a reference; each new value gets a new one, so that an earlier plan still finds its
own.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from appliances.base.agent import files
from appliances.base.agent.distribution import Appliance
from appliances.base.agent.errors import AgentError
from appliances.base.agent.settings import Value

# Letters and digits that nobody confuses when reading them from a console: no 0 O o, 1 l I, i.
READABLE = "abcdefghjkmnpqrstuvwxyz23456789"
ADMINISTRATOR = "administrator-password"
FOR_PEOPLE = {ADMINISTRATOR}
ENTERED = "entered"  # folder of what people entered
STALE = 86400.0  # seconds after which a secret that no plan names is forgotten; an order that waits may still bring it


def ensure(folder: Path, appliance: Appliance) -> dict[str, str]:
    """The secrets of an appliance by name; those that do not exist yet are made.

    Each is one file `<folder>/<appliance>/<name>`, mode 0600, one line without a newline.
    """
    own = files.folder(files.folder(folder, mode=0o700) / appliance.name, mode=0o700)
    return {name: once(own / name, readable=name in FOR_PEOPLE) for name in appliance.secrets}


def enter(folder: Path, appliance: str, value: str) -> str:
    """Keep what somebody entered; returns its reference for the plan."""
    own = files.folder(files.folder(folder, mode=0o700) / appliance, mode=0o700)
    name = secrets.token_hex(8)
    files.write(files.folder(own / ENTERED, mode=0o700) / name, value, mode=0o600)
    return f"secret:{name}"


def entered(folder: Path, appliance: Appliance, planned: Mapping[str, Value]) -> dict[str, str]:
    """The secrets among the settings, by key; "" where nobody did. Raises AgentError for one that is lost."""
    found = {}
    for setting in appliance.settings:
        if setting.kind == "secret":
            reference = str(planned[setting.key])
            path = folder / appliance.name / ENTERED / reference.removeprefix("secret:")
            try:
                found[setting.key] = path.read_text() if reference else ""
            except FileNotFoundError as error:
                raise AgentError(
                    f"the secret {setting.key} is lost: {path} is missing",
                    appliance=appliance.name,
                    hint=f"enter it again: asrctl config {appliance.name} {setting.key} -",
                ) from error
    return found


def forget(folder: Path, named: Collection[str]) -> None:
    """Delete entered secrets that none of the references in `named` means, unless they are new."""
    for path in folder.glob(f"*/{ENTERED}/*"):
        if f"secret:{path.name}" not in named and time.time() - path.stat().st_mtime > STALE:
            path.unlink()


def once(path: Path, *, readable: bool = False) -> str:
    """The secret in `path`; made now when the file does not exist or a power cut left it empty."""
    value = path.read_text() if path.exists() else ""
    if not value:
        value = _for_people() if readable else secrets.token_urlsafe(32)
        files.write(path, value, mode=0o600)
    return value


def read(path: Path) -> str:
    """A secret that exists. Raises FileNotFoundError, PermissionError."""
    return path.read_text()


def _for_people() -> str:
    """Four groups of four characters: 79 bits, easy to type."""
    return "-".join("".join(secrets.choice(READABLE) for _ in range(4)) for _ in range(4))
