"""How the host agent does, against a real Incus in namespaces of its own: the same host as in tests/containers.

The fifty are copies of `base` that share its image and do not call one another.
"""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from builder.resolve import Project, Resolved, load
from tests.bench.measure import Measure, measured
from tests.conftest import ROOT, Built, build
from tests.containers.incus_host import PYTHON, IncusHost, incus_host

MANY = 50
FEW = 8
PATIENCE = 1800.0  # seconds
ROUNDS = """
import sys, time
from appliances.base.agent.agent import Agent
from appliances.base.agent.incus import Incus
from appliances.base.agent.paths import Paths

convergence = Agent(Paths.of_environment(), Incus())._convergence
for _ in range(3):
    began = time.monotonic()
    assert convergence.round(), "not all is well"
    took = time.monotonic() - began
print("TOOK", took, file=sys.stderr)
"""


def measure(scratch: Path) -> list[Measure]:
    """Start three appliances, then eight, then fifty; stop, kill and look."""
    built = build(load(Project(ROOT)))
    found: list[Measure] = []
    with incus_host(built.host_tree, scratch / "host") as host:
        _give(host, built, scratch, 3)
        host.start_agent()
        host.wait_ready(PATIENCE)
        found += _repairs(host)
        _give(host, built, scratch, FEW)
        _until(lambda: _well(host) == FEW)
        found += _starts(host)
        _give(host, built, scratch, MANY)
        _until(lambda: _well(host) == MANY)
        assert host.agent is not None
        found.append(measured(f"memory of the agent, {MANY} containers", _resident(host.agent.pid), "MB", 80))
        found += _rounds(host)
    return found


def _give(host: IncusHost, built: Built, scratch: Path, count: int) -> None:
    """A new image set as an upgrade would bring it: with so many appliances."""
    resolved = _copies(scratch / f"project-{count}", count - 3)
    images = json.loads((built.image_set / "images.json").read_text())
    base = next(one for one in images["images"] if one["appliance"] == "base")
    for name in resolved.appliances:
        if name.startswith("copy"):
            images["images"].append({**base, "appliance": name, "instance": name})
    folder = scratch / f"images-{count}"
    folder.mkdir()
    shutil.copyfile(built.image_set / "images.squashfs", folder / "images.squashfs")
    (folder / "images.json").write_text(json.dumps(images))
    (folder / "distribution.json").write_text(json.dumps(resolved.as_json()))
    host.put_image_set(folder)
    if count > 3:
        plan = yaml.safe_load(host.path("/etc/asrbox/plan.yaml").read_text())
        plan["appliances"] |= {name: {} for name in resolved.appliances if name.startswith("copy")}
        host.path("/etc/asrbox/plan.yaml").write_text(yaml.safe_dump(plan))
        host.asrctl("apply", "--no-wait")


def _copies(root: Path, count: int) -> Resolved:
    """This distribution in a wider network, with copies of `base` that only have a port."""
    for name in ("distro", "images", "roles", "kickstart"):
        shutil.copytree(ROOT / name, root / name)
    for manifest in ROOT.glob("appliances/*/appliance.yaml"):
        (root / manifest.relative_to(ROOT)).parent.mkdir(parents=True)
        shutil.copyfile(manifest, root / manifest.relative_to(ROOT))
    distribution = yaml.safe_load((root / "distro/asrbox.yaml").read_text())
    distribution["network"]["range"] = "198.18.0.0/17"
    base = yaml.safe_load((root / "appliances/base/appliance.yaml").read_text())
    del base["daemons"]["web"]["publish"], base["settings"]
    base["daemons"]["web"]["health"] = {"kind": "tcp"}
    for number in range(count):
        name = f"copy{number}"
        distribution["appliances"][name] = number + 4
        (root / "appliances" / name).mkdir()
        (root / "appliances" / name / "appliance.yaml").write_text(yaml.safe_dump({**base, "appliance": name}))
        (root / "roles" / name).symlink_to("base")
    (root / "distro/asrbox.yaml").write_text(yaml.safe_dump(distribution))
    return load(Project(root))


def _repairs(host: IncusHost) -> list[Measure]:
    """From a death until the endpoint of auth answers again."""
    auth = next(one for one in host.status()["appliances"] if one["name"] == "auth")
    endpoint = auth["daemons"][0]["address"], auth["daemons"][0]["port"]

    def took(kill: Callable[[], object]) -> float:
        kill()
        began = time.monotonic()
        _until(lambda: not _answers(host, *endpoint))
        _until(lambda: _answers(host, *endpoint))
        return time.monotonic() - began

    pid = json.loads(host.incus("query", "/1.0/instances/auth/state"))["pid"]
    container = took(lambda: host.run(["kill", "-KILL", str(pid)]))
    _until(lambda: _well(host) == 3)
    daemon = took(lambda: host.in_container("auth", "systemctl", "kill", "--signal=KILL", "asrbox-app@auth"))
    return [
        measured("a container that died → its daemon answers again", container, "s"),
        measured("a web daemon that died → it answers again", daemon, "s"),
    ]


def _starts(host: IncusHost) -> list[Measure]:
    """All containers from stopped to answering: by the agent, and by incus alone."""
    shown = host.status()["appliances"]
    names = [one["instance"] for one in shown]
    endpoints = [(one["address"], one["port"]) for appliance in shown for one in appliance["daemons"]]

    def stopped() -> None:
        assert host.agent is not None
        host.agent.kill(signal.SIGTERM)
        host.incus("stop", "--force", *names)

    stopped()
    began = time.monotonic()
    host.incus("start", *names)
    _until(lambda: all(_answers(host, *endpoint) for endpoint in endpoints))
    raw = time.monotonic() - began

    host.start_agent()
    _until(lambda: _well(host) == len(names))
    stopped()
    host.start_agent()
    began = time.monotonic()
    _until(lambda: _well(host) == len(names))
    ours = time.monotonic() - began
    return [
        measured(f"{len(names)} appliances from stopped to well against raw incus start", ours / raw, "×", 1.3),
        measured(f"{len(names)} appliances from stopped to well, the agent's own start included", ours, "s"),
    ]


def _rounds(host: IncusHost) -> list[Measure]:
    """A round with nothing to do, and what asking Incus alone takes of it."""
    assert host.agent is not None
    host.agent.kill(signal.SIGTERM)
    said = host.run([PYTHON, "-c", ROUNDS], timeout=PATIENCE).stderr
    took = float(said.split("TOOK ")[1])
    began = time.monotonic()
    host.incus("list", "--format=json")
    listing = time.monotonic() - began
    return [
        measured(f"reconcile with nothing to do, {MANY} containers", took, "s", 1.0),
        measured(f"incus list, {MANY} containers", listing, "s"),
    ]


def _well(host: IncusHost) -> int:
    shown = host.asrctl("status", "--json", check=False)
    found: dict[str, Any] = json.loads(shown.stdout) if shown.returncode == 0 else {"appliances": []}
    return sum(one["health"] == "ok" for one in found["appliances"])


def _answers(host: IncusHost, address: str, port: int) -> bool:
    probe = f"import socket; socket.create_connection(({address!r}, {port}), 1).close()"
    return host.run([PYTHON, "-c", probe], check=False).returncode == 0


def _resident(pid: int) -> float:
    """Memory of a process in MB, pages that it shares with others included."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024 / 1e6


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the appliances do not get well")
        time.sleep(0.2)
