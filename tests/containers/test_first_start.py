"""The first start of a host, and what may happen in the middle of it: to the agent, to Incus, to the machine."""

from __future__ import annotations

import json
import os
import random
import time
from functools import partial
from pathlib import Path

import pytest

from tests.containers.asking import instances, seen, until
from tests.containers.incus_host import IncusHost


@pytest.mark.timeout(900)
def test_killed_at_every_kind_of_step_the_first_start_is_finished_all_the_same(empty_host: IncusHost) -> None:
    chance = random.Random(2)
    steps = [
        "setting Incus up",
        "importing the image of auth",
        "creating the volume auth-data",
        "creating auth",
        "starting auth",
        "importing the image of base",
        "creating base",
        "starting asr_billing",
    ]
    for step in steps:
        empty_host.forget_console()
        agent = empty_host.start_agent()
        until(partial(seen, empty_host, step))
        time.sleep(chance.uniform(0, 0.6))
        agent.kill()

    empty_host.start_agent()
    empty_host.wait_ready()

    assert sorted(one["name"] for one in instances(empty_host)) == ["asr-billing", "auth", "base"]
    assert len(json.loads(empty_host.incus("image", "list", "--format=json"))) == 3


@pytest.mark.timeout(900)
def test_incus_killed_in_the_middle_of_its_work_is_waited_for(empty_host: IncusHost) -> None:
    empty_host.start_agent()
    for step in ("importing the image of auth", "creating base", "starting asr_billing"):
        until(partial(seen, empty_host, step))
        empty_host.kill_incus()
        empty_host.forget_console()
        time.sleep(2)
        empty_host.start_incus()

    empty_host.wait_ready()

    assert {one["health"] for one in empty_host.status()["appliances"]} == {"ok"}
    assert len(json.loads(empty_host.incus("image", "list", "--format=json"))) == 3


def test_a_damaged_image_set_is_named_and_mended_by_a_good_one(empty_host: IncusHost, image_set: Path) -> None:
    squashfs = empty_host.path("/var/lib/asrbox/images/images.squashfs")
    whole = squashfs.stat().st_size
    os.truncate(squashfs, whole - 4096)
    empty_host.start_agent()
    until(partial(seen, empty_host, "FAILED"))
    said = "\n".join(empty_host.console())
    assert f"images.squashfs has {whole - 4096} bytes instead of {whole}" in said
    assert instances(empty_host) == []

    empty_host.put_image_set(image_set)
    empty_host.forget_console()
    empty_host.wait_ready()
    assert {one["health"] for one in empty_host.status()["appliances"]} == {"ok"}


@pytest.mark.timeout(900)
def test_a_power_cut_while_a_container_is_made_is_made_up_for(empty_host: IncusHost) -> None:
    for step in ("importing the image of auth", "creating auth", "starting base", "creating asr_billing"):
        empty_host.forget_console()
        empty_host.start_agent()
        until(partial(seen, empty_host, step))
        time.sleep(0.3)
        empty_host.power_cut()
        empty_host.boot()

    empty_host.forget_console()
    empty_host.start_agent()
    empty_host.wait_ready()

    assert {one["health"] for one in empty_host.status()["appliances"]} == {"ok"}
