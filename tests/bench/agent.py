"""How the host agent does, against a real Incus in namespaces of its own: the host of tests/containers.

Of the fifty containers eight are real: what the distribution ships, and copies of `base`. The others hold busybox that
answers on a port: the agent asks Incus and the endpoint just so, and making them does not take an hour.
"""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliances.base.agent import imagestream
from builder.resolve import Project, load
from tests.bench.measure import Measure, measured
from tests.conftest import ROOT, Built, build
from tests.containers.incus_host import PYTHON, IncusHost, incus_host

EIGHT, FIFTY = 8, 50
PATIENCE = 600.0  # seconds
RANGE = "198.18.64.0/18"  # room for fifty blocks; those of the distribution stay where they are
SCRIPT = Path(__file__).with_name("many_images.sh")
BUSYBOX = "/bin/busybox"
ROUNDS = """
import statistics, sys, time
from appliances.base.agent.agent import Agent
from appliances.base.agent.incus import Incus
from appliances.base.agent.paths import Paths

convergence = Agent(Paths.of_environment(), Incus())._convergence
took = []
for _ in range(6):
    began = time.monotonic()
    assert convergence.round(), "not all is well"
    took.append(time.monotonic() - began)
print(statistics.median(took[1:]))
"""
# Asks all of `address port kind` until each has answered as its health check wants it; then says how long that took.
WATCH = """
import http.client, socket, ssl, sys, time
began = time.monotonic()
trusting = ssl._create_unverified_context()
def well(address, port, kind):
    try:
        if kind == "tcp":
            socket.create_connection((address, int(port)), 1).close()
            return True
        connection = http.client.HTTPSConnection(address, int(port), timeout=2, context=trusting)
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
left = [line.split() for line in sys.argv[2:]]
if sys.argv[1] == "gone":
    while well(*left[0]):
        time.sleep(0.02)
while left := [one for one in left if not well(*one)]:
    time.sleep(0.1)
    if time.monotonic() - began > 600:
        sys.exit(f"not well: {left}")
print(time.monotonic() - began)
"""


def measure(scratch: Path) -> list[Measure]:
    """Start eight appliances, let one die, start all again by hand and by the agent; then fifty."""
    built = build(load(Project(ROOT)))
    found: list[Measure] = []
    with incus_host(built.host_tree, scratch / "host") as host:
        for name in ("images.squashfs", "images.json"):
            target = host.path("/var/lib/asrbox/images")
            target.mkdir(exist_ok=True)
            shutil.copyfile(built.image_set / name, target / name)
        _more_images(host, built)
        _ship(host, built, EIGHT)
        host.start_agent()
        host.wait_ready(PATIENCE)
        found += _repairs(host)
        found += _starts(host)
        _ship(host, built, FIFTY)
        _plan_all(host)
        _until(lambda: _well(host) == FIFTY)
        found += _memory(host)
        found += _rounds(host)
    return found


def _more_images(host: IncusHost, built: Built) -> None:
    """Every appliance has an image of its own, as a built one would: a serial in its metadata makes it another."""
    shutil.copyfile(BUSYBOX, host.path("/run/busybox"))
    shutil.copyfile(SCRIPT, host.path("/run/many_images.sh"))
    real = len(built.resolved.appliances)
    tar = shlex.join(imagestream.tar("."))
    counts = [str(EIGHT - real), str(FIFTY - EIGHT)]
    said = host.run(["sh", "/run/many_images.sh", *counts, "/run/busybox", tar], timeout=PATIENCE).stdout
    listed = json.loads((built.image_set / "images.json").read_text())
    for line in said.splitlines():
        name, fingerprint, size = line.split()
        if name == "images.squashfs":
            listed["size"] = int(size)
        else:
            listed["images"].append(
                {"appliance": name, "instance": name, "fingerprint": fingerprint, "size": int(size)}
            )
    host.path("/var/lib/asrbox/images/images.json").write_text(json.dumps(listed))


def _ship(host: IncusHost, built: Built, count: int) -> None:
    """The distribution with so many appliances, as an upgrade would bring it."""
    shipped: dict[str, Any] = built.resolved.as_json()
    shipped["network"]["range"] = RANGE
    base = next(one for one in shipped["appliances"] if one["name"] == "base")
    taken = {one["block"] for one in shipped["appliances"]} | {"198.18.80.0/24"}
    blocks = iter(block for number in range(64, 128) if (block := f"198.18.{number}.0/24") not in taken)
    for number in range(EIGHT - len(shipped["appliances"])):
        shipped["appliances"].append(_appliance(f"copy{number}", next(blocks), base, base["daemons"][0], settings=[]))
    port = {"port": 80, "protocol": "tcp", "health": {"kind": "tcp"}, "unit": "web.service"}
    bare = {"limits": {"memory": 64 << 20, "cpu": 1, "processes": 50}, "consumes": [], "secrets": [], "settings": []}
    for number in range(count - EIGHT):
        daemon = {**base["daemons"][0], **port}
        shipped["appliances"].append(_appliance(f"small{number}", next(blocks), base, daemon, volumes=[], **bare))
    host.path("/var/lib/asrbox/images/distribution.json").write_text(json.dumps(shipped))


def _appliance(name: str, block: str, like: dict[str, Any], daemon: dict[str, Any], **more: object) -> dict[str, Any]:
    address = block.replace(".0/24", ".2")
    own = {"address": address, "hostname": f"{daemon['name']}.{name}.asrbox.internal", "publish": None}
    return {**like, "name": name, "instance": name, "block": block, "daemons": [{**daemon, **own}], **more}


def _plan_all(host: IncusHost) -> None:
    """Bring everything that is shipped into force. By hand: `asrctl apply` takes back what is not well in minutes."""
    assert host.agent is not None
    host.agent.kill(signal.SIGTERM)
    shipped = json.loads(host.path("/var/lib/asrbox/images/distribution.json").read_text())
    newest = max(host.path("/var/lib/asrbox/state/plans").glob("*.json"))
    applied = json.loads(newest.read_text())
    applied["plan"]["appliances"] = {one["name"]: {"enabled": True} for one in shipped["appliances"]}
    newest.with_name(f"{int(newest.stem) + 1:06}.json").write_text(json.dumps(applied))
    host.start_agent()


def _repairs(host: IncusHost) -> list[Measure]:
    """From a death until the page of auth is well again."""
    [endpoint] = [one for one in _endpoints(host) if one.startswith(_address(host, "auth"))]

    def took(*kill: str) -> float:
        watching = _watch(host, "gone", [endpoint])
        time.sleep(1)  # until it looks
        began = time.monotonic()
        host.run(list(kill))
        watching()
        ended = time.monotonic() - began
        _until(lambda: _well(host) == EIGHT)
        return ended

    pid = json.loads(host.incus("query", "/1.0/instances/auth/state"))["pid"]
    container = took("kill", "-KILL", str(pid))
    unit = "asrbox-app@auth.service"
    daemon = took("incus", "exec", "auth", "--", "systemctl", "kill", "--signal=KILL", unit)
    return [
        measured("a container that died → its page is well again", container, "s"),
        measured("a web daemon that died → its page is well again", daemon, "s"),
    ]


def _starts(host: IncusHost) -> list[Measure]:
    """All containers from stopped to well: by the agent, and by incus alone. The first of each warms the caches."""
    endpoints, names = _endpoints(host), [one["instance"] for one in host.status()["appliances"]]

    def stopped() -> None:
        if host.agent is not None and host.agent.alive:
            host.agent.kill(signal.SIGTERM)
        host.incus("stop", "--force", *names)

    def raw() -> float:
        stopped()
        began = time.monotonic()
        watching = _watch(host, "up", endpoints)
        host.incus("start", *names)
        watching()
        return time.monotonic() - began

    def ours() -> float:
        stopped()
        began = time.monotonic()
        watching = _watch(host, "up", endpoints)
        host.start_agent()
        watching()
        return time.monotonic() - began

    pairs = [(ours(), raw()) for _ in range(2)]
    host.start_agent()
    _until(lambda: _well(host) == EIGHT)
    own, bare = (min(times) for times in zip(*pairs, strict=True))
    return [
        measured(f"{EIGHT} appliances from stopped to well against raw incus start", own / bare, "×", 1.3),
        measured(f"{EIGHT} appliances from stopped to well, the agent's own start included", own, "s"),
    ]


def _memory(host: IncusHost) -> list[Measure]:
    """Of the running agent, after it has made fifty containers."""
    assert host.agent is not None
    rollup = Path(f"/proc/{host.agent.pid}/smaps_rollup").read_text()
    sizes = {
        line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6 for line in rollup.splitlines() if line.endswith(" kB")
    }
    return [
        measured(f"memory of the agent (RSS), {FIFTY} containers", sizes["Rss"], "MB", 80),
        measured(f"memory of the agent (PSS), {FIFTY} containers", sizes["Pss"], "MB", 80),
    ]


def _rounds(host: IncusHost) -> list[Measure]:
    """A round with nothing to do, and what asking Incus alone takes of it."""
    assert host.agent is not None
    host.agent.kill(signal.SIGTERM)
    took = float(host.run([PYTHON, "-c", ROUNDS], timeout=PATIENCE).stdout)
    listings = []
    for _ in range(3):
        began = time.monotonic()
        host.incus("list", "--format=json")
        listings.append(time.monotonic() - began)
    return [
        measured(f"reconcile with nothing to do, {FIFTY} containers", took, "s", 1.0),
        measured(f"incus list, {FIFTY} containers", statistics.median(listings), "s"),
    ]


def _endpoints(host: IncusHost) -> list[str]:
    """`address port kind` of every daemon."""
    return [
        f"{daemon['address']} {daemon['port']} {'tcp' if daemon['protocol'] == 'tcp' else 'https'}"
        for one in host.status()["appliances"]
        for daemon in one["daemons"]
    ]


def _address(host: IncusHost, name: str) -> str:
    found = next(one for one in host.status()["appliances"] if one["name"] == name)
    return str(found["daemons"][0]["address"])


def _watch(host: IncusHost, first: str, endpoints: list[str]) -> Callable[[], None]:
    """Begin to look, in the host's network; the returned function waits until all are well."""
    watching = host.begin([PYTHON, "-c", WATCH, first, *endpoints], "watch.log")

    def end() -> None:
        if watching.process.wait(timeout=PATIENCE + 60) != 0:
            raise RuntimeError(host.log("watch.log"))

    return end


def _well(host: IncusHost) -> int:
    shown = host.asrctl("status", "--json", check=False)
    found: dict[str, Any] = json.loads(shown.stdout) if shown.returncode == 0 else {"appliances": []}
    return sum(one["health"] == "ok" for one in found["appliances"])


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the appliances do not get well")
        time.sleep(0.5)
