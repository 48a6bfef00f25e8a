"""What this host can do for containers, asked once per start of the agent."""

from __future__ import annotations

import subprocess

from appliances.base.agent.incuslink import Json
from appliances.base.agent.instances import HostAbilities

PROBE = "add table bridge asrbox_probe\nadd chain bridge asrbox_probe input { type filter hook input priority 0; }\n"


def probe(server: Json) -> HostAbilities:
    """Ask the container daemon's description of the kernel, and nftables (which only checks, and changes nothing)."""
    features = server.get("environment", {}).get("kernel_features") or {}
    shifts = "true" in (features.get("idmapped_mounts"), features.get("shiftfs"))
    return HostAbilities(shifts_mounts=shifts, filters_frames=_nft_checks(PROBE))


def _nft_checks(ruleset: str) -> bool:
    try:
        checked = subprocess.run(
            ["nft", "--check", "--file", "-"],  # noqa: S607
            input=ruleset.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=30,
        )
    except FileNotFoundError:
        return False
    return checked.returncode == 0
