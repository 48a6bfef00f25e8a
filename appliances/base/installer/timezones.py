"""Names of time zones."""

from __future__ import annotations

import zoneinfo


def is_timezone(name: str) -> bool:
    """Does the time zone database know the name? Much quicker than to list all of them."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
