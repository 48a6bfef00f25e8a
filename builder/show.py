"""The resolved distribution as a table for people."""

from __future__ import annotations

from builder.manifest import format_size
from builder.resolve import Resolved


def table(resolved: Resolved) -> str:
    """Appliances, daemons, endpoints, addresses and sizes; appliances in start order."""
    d = resolved.distribution
    head = [
        f"{d.title.en} {d.version} on {resolved.base.title}, released {d.released}",
        f"network {resolved.network}, bridge {d.network.bridge}, host {resolved.host_address}, "
        f"names below {d.network.domain}",
        "",
    ]
    rows = [("APPLIANCE", "DAEMON", "ENDPOINT", "ADDRESS", "PUBLISHED", "MEMORY", "VOLUMES")]
    for name in resolved.start_order:
        appliance = resolved.appliances[name]
        volumes = ", ".join(f"{key} {format_size(volume.size)}" for key, volume in appliance.volumes.items())
        first = True
        for daemon_name, daemon in appliance.daemons.items():
            rows.append(
                (
                    name if first else "",
                    daemon_name,
                    resolved.hostname(name, daemon_name),
                    f"{resolved.address(name, daemon)}:{daemon.port}",
                    f":{daemon.publish}" if daemon.publish else "-",
                    format_size(appliance.limits.memory) if first else "",
                    (volumes or "-") if first else "",
                )
            )
            first = False
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*head, *lines])
