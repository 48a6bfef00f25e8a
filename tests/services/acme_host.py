"""A host that asks for a certificate: the agent's own code in a process that can be killed. Run by test_acme.py.

`python -m tests.services.acme_host ROOT LATER [renew]`: settings are in ROOT/settings.json, the clock is LATER seconds
ahead. Prints what happens line by line, and at the end what GET /api/v1/certificate and /api/v1/check would say.
"""

from __future__ import annotations

import datetime
import json
import sys
import time
from pathlib import Path

from appliances.base.agent import checks
from appliances.base.agent.certificates import Certificates, now
from appliances.base.agent.operations import Operations
from appliances.base.agent.paths import Paths

PATIENCE = 60.0  # seconds for an attempt


def main(root: Path, later: float, order: list[str]) -> None:
    paths = Paths(root)
    settings = json.loads((root / "settings.json").read_text())
    operations = Operations(paths.operations)
    ahead = datetime.timedelta(seconds=later)
    told = {one.id for one in operations.newest_first()}
    certificates = Certificates(
        paths,
        operations,
        lambda: settings,
        lambda: print("* shown", flush=True),
        lambda text: print(f"* {text}", flush=True),
        clock=lambda: now() + ahead,
    )
    if order == ["renew"]:
        certificates.renew("anna")
    certificates.start()
    certificates.nudge()
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        fresh = [one for one in operations.newest_first() if one.id not in told]
        if fresh and fresh[0].status != "running" and certificates.read()["acme"]["operation"] is None:
            break
        time.sleep(0.02)
    else:
        sys.exit(f"the attempt did not end in {PATIENCE:.0f} s")
    answer = {
        "certificate": certificates.read(),
        "check": checks._outside(paths),
        "operations": [[one.status, one.author, one.error] for one in operations.newest_first()],
    }
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
