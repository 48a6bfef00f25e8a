"""A running agent whose clock jumps: it goes on, says so, and every certificate is valid afterwards."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.containers.asking import appliance, until
from tests.containers.incus_host import IncusHost

HOUR, DAY = 3600, 86400
SHIFTED = Path(__file__).with_name("shifted_clock") / "sitecustomize.py"


@pytest.fixture
def set_clock(host: IncusHost) -> Iterator[Callable[[int], None]]:
    """Sets the clock of a running agent so many seconds off the true time. Nobody else's clock moves."""
    place = host.path("/run/asrbox-test")
    place.mkdir()
    shutil.copyfile(SHIFTED, place / SHIFTED.name)

    def set_it(seconds: int) -> None:
        (place / "new").write_text(str(seconds))
        (place / "new").replace(place / "offset")

    set_it(0)
    restart(host, PYTHONPATH="/run/asrbox-test")
    yield set_it
    restart(host)
    shutil.rmtree(place)


def restart(host: IncusHost, **environment: str) -> None:
    assert host.agent is not None
    host.agent.kill()
    host.forget_console()
    host.start_agent(**environment)
    host.wait_ready()


def told(host: IncusHost, pattern: str) -> bool:
    return re.search(pattern, host.asrctl("check", check=False).stdout, re.MULTILINE) is not None


def all_well(host: IncusHost) -> bool:
    return {one["health"] for one in host.status()["appliances"]} == {"ok"}


def begins(host: IncusHost) -> str:
    shown = host.run(["openssl", "x509", "-in", "/var/lib/asrbox/runtime/auth/tls/web.crt", "-noout", "-startdate"])
    return shown.stdout


@pytest.mark.timeout(300)
def test_a_clock_that_jumps_while_the_agent_runs_stops_nothing(
    host: IncusHost, set_clock: Callable[[int], None]
) -> None:
    issued = begins(host)
    for offset, way in ((-HOUR, "1 h back"), (DAY, "1 days 1 h forward"), (-730 * DAY, "2 years 1 days back")):
        set_clock(offset)
        until(partial(told, host, rf"^(ok|FAILING) +clock +the clock jumped {way}, to "))
        assert offset < -DAY or begins(host) == issued, "renewed only when it is not valid"
    until(lambda: begins(host) != issued)
    until(partial(told, host, r"^FAILING +clock .* this version was released on .* set it \(timedatectl set-time"))
    assert "the clock jumped 2 years 1 days back" in host.agent_log()

    host.asrctl("restart", "auth.web")  # an order is carried out at any time
    newest = json.loads(host.asrctl("operations", "--json").stdout)[0]
    assert (newest["action"], newest["target"], newest["status"]) == ("restart", "auth.web", "done")
    until(partial(all_well, host))

    set_clock(0)
    until(partial(told, host, r"clock +the clock jumped 2 years forward, to "))
    until(partial(all_well, host))
    assert appliance(host, "auth")["state"] == "running"
    verify = ["openssl", "s_client", "-connect", "198.18.82.2:443", "-verify_return_error"]
    shown = host.run([*verify, "-CAfile", "/var/lib/asrbox/ca/ca.crt"], check=False).stdout
    assert "Verify return code: 0 (ok)" in shown
