"""Room in the storage pool is asked for before anything is given up or made."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import cast

import pytest

from appliances.base.agent import images
from appliances.base.agent.errors import AgentError
from appliances.base.agent.execute import Executor, observe
from appliances.base.agent.imagelist import Image
from appliances.base.agent.incus import Incus
from appliances.base.agent.instances import COMPLETE, DesiredInstance
from appliances.base.agent.reconcile import reconcile
from appliances.base.agent.space import DISK_MARGIN, MARGIN, Space, remedy
from tests.unit.agent.examples import AUTH_IMAGE, BILLING_IMAGE, image_list
from tests.unit.agent.fake_incus import FakeIncus
from tests.unit.agent.test_reconcile import _instant_import, converge, desired  # noqa: F401  a fixture for all here

SIZE = 300 << 20
AUTH = Image(appliance="auth", instance="auth", fingerprint=AUTH_IMAGE, size=SIZE)
BILLING = Image(appliance="asr_billing", instance="asr-billing", fingerprint=BILLING_IMAGE, size=SIZE)


def space(incus: FakeIncus) -> Space:
    return Space(cast(Incus, incus))


def test_a_full_pool_is_one_sentence_with_appliance_step_amount_and_remedy() -> None:
    incus = FakeIncus()
    incus.room = MARGIN + SIZE - (100 << 20)

    with pytest.raises(AgentError) as caught:
        space(incus).reserve(AUTH, stored=False)

    assert caught.value.sentence() == (
        "auth: make room: the storage pool asrbox is full: 100 MiB are missing for the container "
        "(enlarge it (incus storage set asrbox size=21GiB) or delete what nobody needs in it; "
        "it then goes on by itself)"
    )


def test_a_container_of_an_image_that_is_unpacked_takes_hardly_any_room() -> None:
    incus = FakeIncus()
    incus.room = MARGIN
    incus.unpacked = {AUTH_IMAGE}

    space(incus).reserve(AUTH, stored=True)


def test_two_do_not_fill_the_same_room() -> None:
    incus = FakeIncus()
    incus.room = MARGIN + SIZE
    kept = space(incus)
    kept.reserve(AUTH, stored=True)
    refused: list[str] = []

    def second() -> None:
        try:
            kept.reserve(BILLING, stored=True)
        except AgentError as error:
            refused.append(error.sentence())

    thread = threading.Thread(target=second)
    thread.start()
    time.sleep(0.1)
    assert not refused, "it waits for what the first one leaves"
    incus.room -= SIZE
    kept.release("auth")
    thread.join(10)

    assert [one.split(": ")[:3] for one in refused] == [
        ["asr_billing", "make room", "the storage pool asrbox is full"],
    ]


def test_the_disk_of_the_image_files_is_looked_at_before_an_upload() -> None:
    incus = FakeIncus()
    incus.free_for_images = lambda: SIZE + DISK_MARGIN - 1  # type: ignore[method-assign]

    space(incus).reserve(AUTH, stored=True)
    with pytest.raises(AgentError, match="the disk of the image files is full: 1 MiB are missing"):
        space(incus).reserve(AUTH, stored=False)


@pytest.mark.parametrize(
    ("driver", "config", "command"),
    [
        ("lvm", {"lvm.vg_name": "asrbox", "lvm.thinpool_name": "containers"}, "lvextend --size +2G asrbox/containers"),
        ("btrfs", {"size": "20GiB"}, "incus storage set asrbox size=22GiB"),
    ],
)
def test_the_remedy_is_a_command_for_the_pool_at_hand(driver: str, config: dict[str, str], command: str) -> None:
    assert f"({command})" in remedy(driver, config, (1 << 30) + 1)


def test_what_incus_says_of_a_pool_that_ran_full_is_put_in_words_that_help() -> None:
    said = AgentError("Failed: unsquashfs: No space left on device", appliance="auth", step="create the container")

    told = space(FakeIncus()).explained(said, importing=False).sentence()

    assert told.startswith("auth: create the container: the storage pool asrbox ran full (enlarge it (incus storage")
    other = AgentError("Failed: exit status 1")
    assert space(FakeIncus()).explained(other, importing=False) is other


@pytest.fixture
def sized(monkeypatch: pytest.MonkeyPatch) -> FakeIncus:
    """A host of the example distribution, whose images have a real size."""
    listed = image_list()
    listed = listed.model_copy(update={"images": [one.model_copy(update={"size": SIZE}) for one in listed.images]})
    monkeypatch.setattr("tests.unit.agent.test_reconcile.image_list", lambda: listed)
    incus = FakeIncus()
    incus.sizes = {one.fingerprint: one.size for one in listed.images}
    return incus


def test_with_room_for_one_the_other_is_left_whole_undone_and_made_when_there_is_more(sized: FakeIncus) -> None:
    sized.room = MARGIN + SIZE + (100 << 20)

    [error] = converge(sized, desired())

    assert "200 MiB are missing for the container" in error
    made = set(sized.stored_instances)
    assert len(made) == 1
    assert set(sized.stored_images) == {AUTH_IMAGE if made == {"auth"} else BILLING_IMAGE}
    assert [one["status"] for one in sized.stored_instances.values()] == ["Running"]

    sized.room += 200 << 20
    assert converge(sized, desired()) == []
    assert {one["status"] for one in sized.stored_instances.values()} == {"Running"}
    assert converge(sized, desired()) == []


def test_a_new_image_without_room_leaves_the_old_container_running(sized: FakeIncus) -> None:
    assert converge(sized, desired()) == []
    sized.stored_instances["auth"]["config"][COMPLETE] = "d" * 64
    sized.unpacked.discard(AUTH_IMAGE)
    sized.room = MARGIN
    sized.changes.clear()

    [error] = converge(sized, desired())

    assert error.startswith("auth: make room: the storage pool asrbox is full: 300 MiB are missing")
    assert sized.changes == []
    assert sized.stored_instances["auth"]["status"] == "Running"


def test_a_damaged_new_image_leaves_the_old_container_running(
    sized: FakeIncus, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert converge(sized, desired()) == []
    sized.stored_instances["auth"]["config"][COMPLETE] = "d" * 64
    sized.stored_images.clear()

    def damaged(incus: FakeIncus, mount: Path, image: Image) -> None:
        raise AgentError("it is damaged", appliance=image.appliance)

    monkeypatch.setattr(images, "import_image", damaged)

    assert converge(sized, desired()) == ["auth: it is damaged"]
    assert sized.stored_instances["auth"]["status"] == "Running"


def test_what_runs_full_in_the_middle_is_made_whole_when_there_is_room(sized: FakeIncus) -> None:
    """Somebody fills the pool after the room was promised: Incus fails, and nothing half-made is left."""

    def filled(done: int, action: object) -> None:
        if str(action) == "creating auth":
            sized.room = 0

    wanted: list[DesiredInstance] = desired()
    listed = image_list()
    executor = Executor(
        cast(Incus, sized), wanted, listed, Path("/images"), Path("/mnt"), filled, lambda name, providers: None
    )
    errors = executor.execute(reconcile(wanted, observe(cast(Incus, sized))))

    assert "auth: create: the storage pool asrbox ran full" in str(errors[0])
    assert "auth" not in sized.stored_instances
    sized.room = 1 << 40
    assert converge(sized, desired()) == []
    assert {one["status"] for one in sized.stored_instances.values()} == {"Running"}
