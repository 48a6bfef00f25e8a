"""Containers are made and replaced while the storage pool is really full, or while the agent is killed.

What fails says so in one sentence, nothing is lost, and the plan is reached in the end.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.containers.asking import appliance, init_of, instances, seen, until
from tests.containers.incus_host import IncusHost
from tests.containers.test_agent import AUTH_MARK, change_image, current_image

POOL = "/var/lib/incus/storage-pools/asrbox"
# fallocate takes space without writing: the image file of the pool stays as small as it is.
FILL = """
cd "$1"; sync -f .
leave=$2
for mib in 4096 512 64 8 1; do
    while [ $(( $(stat -f -c '%a * %S' .) )) -gt $((leave + mib * 1048576)) ]; do
        number=$((number + 1)); fallocate -l ${mib}M filler.$number || break
        sync -f .
    done
done
"""
TAKE_ALL = """
cd "$1"
for mib in 512 64 8 1; do
    while fallocate -l ${mib}M filler.all.$mib.$number 2> /dev/null; do number=$((number + 1)); done
done
"""
REFUSED = re.compile(
    r"auth: make room: the storage pool asrbox is full: (\d+) MiB are missing for the container "
    r"\(enlarge it \((incus storage set asrbox size=\d+GiB)\) or delete what nobody needs in it; "
    r"it then goes on by itself\)"
)


def fill(host: IncusHost, leave: int) -> None:
    """Only about `leave` bytes stay free in the pool."""
    host.run(["sh", "-ec", FILL, "sh", POOL, str(leave)])


def take_all(host: IncusHost) -> None:
    """Nothing stays free, at once: what is being written there has no time."""
    host.run(["sh", "-c", TAKE_ALL, "sh", POOL])


def make_space(host: IncusHost) -> None:
    host.run(["sh", "-ec", f"rm -f {POOL}/filler.*; sync -f {POOL}"])


@contextlib.contextmanager
def full_pool(host: IncusHost, leave: int) -> Iterator[None]:
    try:
        fill(host, leave)
        yield
    finally:
        make_space(host)


def refused(host: IncusHost) -> re.Match[str]:
    """What the agent says once it has found no room for auth."""
    found: list[re.Match[str]] = []

    def told() -> bool:
        found[:] = [match] if (match := REFUSED.search(str(appliance(host, "auth")["detail"]))) else []
        return bool(found)

    until(told)
    return found[0]


def well(host: IncusHost) -> bool:
    return {one["health"] for one in host.status()["appliances"]} == {"ok"}


def errors(host: IncusHost) -> list[str]:
    return [one["error"] or "" for one in json.loads(host.asrctl("operations", "--json").stdout)]


def own_operation(host: IncusHost) -> dict[str, Any]:
    """The newest of what the agent does unasked."""
    done = json.loads(host.asrctl("operations", "--json").stdout)
    found: dict[str, Any] = next(one for one in done if one["author"] == "agent")
    return found


def test_a_container_for_which_there_is_no_room_is_made_when_the_pool_is_enlarged_as_the_error_says(
    host: IncusHost,
) -> None:
    host.in_container("auth", "sh", "-c", f"echo precious > {AUTH_MARK}; sync")
    with full_pool(host, 100 << 20):
        host.incus("delete", "--force", "auth")
        told = refused(host)

        assert 0 < int(told[1]) <= 256
        assert "auth" not in [one["name"] for one in instances(host)]
        until(lambda: REFUSED.search(own_operation(host)["error"] or "") is not None)
        ordered = host.asrctl("start", "auth", check=False)
        assert ordered.returncode == 1
        assert REFUSED.search(ordered.stderr)
        checked = host.asrctl("check", check=False)
        assert checked.returncode == 1
        assert re.search(r"^FAILING +storage pool +\d+% of .* used: enlarge it", checked.stdout, re.MULTILINE)

        host.run(told[2].split())
        until(partial(well, host))

    assert host.in_container("auth", "cat", AUTH_MARK).strip() == "precious"
    assert own_operation(host)["status"] == "done"


def test_a_new_image_waits_for_room_and_what_fails_in_the_middle_is_made_up_for(host: IncusHost) -> None:
    host.in_container("auth", "sh", "-c", f"echo precious > {AUTH_MARK}; sync")
    running, old = init_of(host, "auth"), current_image(host)
    with full_pool(host, 100 << 20):
        change_image(host, "auth", "/etc/changed-in-a-full-pool")
        told = refused(host)

        assert int(told[1]) > 256, "the image and what has to stay free"
        assert init_of(host, "auth") == running, "the old one runs on"
        assert host.in_container("auth", "cat", AUTH_MARK).strip() == "precious"

        make_space(host)
        listed = json.loads(host.path("/var/lib/asrbox/images/images.json").read_text())["images"]
        fill(host, next(one["size"] for one in listed if one["appliance"] == "auth") + (600 << 20))
        host.forget_console()
        host.asrctl("start", "auth", "--no-wait")
        until(partial(seen, host, "creating auth"))
        take_all(host)  # somebody else is quicker than the agent

        until(lambda: "the storage pool asrbox ran full (enlarge it" in "\n".join(errors(host)))
        assert current_image(host) is None, "nothing half-made says that it is whole"

    until(lambda: well(host) and current_image(host) not in (None, old), 180)
    assert host.in_container("auth", "cat", "/etc/changed-in-a-full-pool").strip() == "changed"
    assert host.in_container("auth", "cat", AUTH_MARK).strip() == "precious"
    assert len(json.loads(host.incus("image", "list", "--format=json"))) == 3


UPGRADE = ("importing the image of auth", "stopping auth", "removing auth", "creating auth", "starting auth")


def test_an_agent_that_is_killed_at_every_step_of_an_upgrade_ends_it_all_the_same(host: IncusHost) -> None:
    chance = random.Random(4)
    host.in_container("auth", "sh", "-c", f"echo precious > {AUTH_MARK}; sync")
    old = current_image(host)
    assert host.agent is not None
    host.agent.kill()
    change_image(host, "auth", "/etc/changed-while-killed")
    for step in UPGRADE:
        host.forget_console()
        agent = host.start_agent()
        until(partial(seen, host, step))
        time.sleep(chance.uniform(0, 0.3))
        agent.kill()

    host.forget_console()
    host.start_agent()
    host.wait_ready()

    assert current_image(host) not in (None, old)
    assert host.in_container("auth", "cat", "/etc/changed-while-killed").strip() == "changed"
    assert host.in_container("auth", "cat", AUTH_MARK).strip() == "precious"
    assert sorted(one["name"] for one in instances(host)) == ["asr-billing", "auth", "base"]
    assert len(json.loads(host.incus("image", "list", "--format=json"))) == 3
