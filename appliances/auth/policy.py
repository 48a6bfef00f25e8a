"""What the host's administrator has chosen (settings of appliances/auth/appliance.yaml)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from appliances.common.settings import Settings


@dataclass(frozen=True)
class Policy:
    """How long sessions last, and how long (in characters) a new password is at least."""

    session_life: timedelta = timedelta(hours=12)
    session_idle: timedelta = timedelta(hours=4)
    shortest_password: int = 10

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """As the host has it. Raises SettingsError."""
        return cls(
            timedelta(hours=settings.value("session_hours")),
            timedelta(minutes=settings.value("idle_minutes")),
            settings.value("shortest_password"),
        )
