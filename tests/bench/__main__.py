"""`make bench`: measure everything, write build/bench.json and the table in docs/benchmarks.md."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from builder.workshop import require_root
from tests.bench import building, rpms, running
from tests.bench.measure import Measure, page

ROOT = Path(__file__).resolve().parents[2]
PARTS: dict[str, Callable[[Path], list[Measure]]] = {
    "building": building.measure,
    "rpms": rpms.measure,
    "running": running.measure,
}


def main(names: list[str]) -> int:
    """Run the named parts (default: all); the others keep their figures. Returns 1 when a goal is missed."""
    require_root()
    target = ROOT / "build" / "bench.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    found = {m.name: m for m in (Measure(**row) for row in json.loads(target.read_text()))} if target.is_file() else {}
    for name in names or PARTS:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=target.parent) as scratch:
            for measure in PARTS[name](Path(scratch)):
                print(measure, flush=True)
                found[measure.name] = measure
    measures = list(found.values())
    target.write_text(json.dumps([m.as_row() for m in measures], indent=1) + "\n")
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), "?")  # noqa: PTH123, SIM115
    where = f"{os.cpu_count()} cores ({cpu}), Linux {platform.release()}, QEMU without KVM"
    document = ROOT / "docs" / "benchmarks.md"
    document.write_text(page(document.read_text(), measures, where))
    return 0 if all(m.ok for m in measures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
