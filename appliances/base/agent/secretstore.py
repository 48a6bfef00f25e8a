"""Secrets of the appliances: made once, on this machine, on first boot; never in an image."""

from __future__ import annotations

import secrets
from pathlib import Path

from appliances.base.agent import files
from appliances.base.agent.distribution import Appliance

# Letters and digits that nobody confuses when reading them from a console: no 0 O o, 1 l I, i.
READABLE = "abcdefghjkmnpqrstuvwxyz23456789"
ADMINISTRATOR = "administrator-password"
FOR_PEOPLE = {ADMINISTRATOR}


def ensure(folder: Path, appliance: Appliance) -> dict[str, str]:
    """The secrets of an appliance by name; those that do not exist yet are made.

    Each is one file `<folder>/<appliance>/<name>`, mode 0600, one line without a newline.
    """
    own = files.folder(files.folder(folder, mode=0o700) / appliance.name, mode=0o700)
    return {name: once(own / name, readable=name in FOR_PEOPLE) for name in appliance.secrets}


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
