"""The difference between plan and reality, and that carrying it out survives a power cut before every single change."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from appliances.base.agent import images
from appliances.base.agent.execute import Executor, observe
from appliances.base.agent.imagelist import Image
from appliances.base.agent.incus import Incus
from appliances.base.agent.instances import (
    ADDRESSES,
    APPLIANCE,
    COMPLETE,
    DesiredInstance,
    HostAbilities,
    desired_instances,
)
from appliances.base.agent.plan import Plan, PlannedAppliance
from appliances.base.agent.reconcile import Actual, ActualInstance, reconcile
from tests.unit.agent.examples import AUTH_IMAGE, BILLING_IMAGE, distribution, distribution_ipv6, image_list
from tests.unit.agent.fake_incus import FakeIncus, PowerCut

RUNTIME = Path("/var/lib/asrbox/runtime")


def desired(*, disabled: tuple[str, ...] = (), held: tuple[str, ...] = ()) -> list[DesiredInstance]:
    plan = Plan(appliances={name: PlannedAppliance(enabled=name not in disabled) for name in ("auth", "asr_billing")})
    return desired_instances(
        distribution(), image_list(), plan, set(held), RUNTIME, HostAbilities(shifts_mounts=True, filters_frames=True)
    )


def as_wanted(one: DesiredInstance, *, running: bool = True, **config: str) -> ActualInstance:
    found = {**one.config, COMPLETE: one.fingerprint, **config}
    return ActualInstance(one.name, running, found, dict(one.devices))


def actual(*found: ActualInstance) -> Actual:
    images = {one.fingerprint: [f"asrbox/{one.appliance}"] for one in desired()}
    volumes = frozenset(name for one in desired() for name in one.volumes)
    return Actual(images, volumes, {one.name: one for one in found})


def words(actions: list[Any]) -> list[str]:
    return [str(action) for action in actions]


def test_an_image_without_its_name_was_cut_short_and_is_imported_again() -> None:
    auth, billing = desired()
    recorded = {auth.fingerprint: [f"asrbox/{auth.appliance}"], billing.fingerprint: []}
    assert words(reconcile(desired(), Actual(recorded, frozenset(auth.volumes), {auth.name: as_wanted(auth)})))[:3] == [
        "deleting an old image of asr_billing",
        "looking for room for asr_billing",
        "importing the image of asr_billing",
    ]


def test_an_empty_host_gets_everything_in_start_order() -> None:
    assert words(reconcile(desired(), Actual())) == [
        "looking for room for auth",
        "importing the image of auth",
        "creating auth",
        "starting auth",
        "looking for room for asr_billing",
        "importing the image of asr_billing",
        "creating the volume asr-billing-database",
        "creating asr_billing",
        "starting asr_billing",
    ]


def test_a_host_that_is_as_wanted_needs_nothing() -> None:
    assert reconcile(desired(), actual(*(as_wanted(one) for one in desired()))) == []


def test_after_a_reboot_containers_start_in_the_order_of_what_they_consume() -> None:
    stopped = [as_wanted(one, running=False) for one in reversed(desired())]

    assert words(reconcile(desired(), actual(*stopped))) == ["starting auth", "starting asr_billing"]


def test_a_half_made_container_is_made_anew_from_a_fresh_image() -> None:
    auth, billing = desired()
    half = ActualInstance("auth", False, dict(auth.config), dict(auth.devices))

    assert words(reconcile(desired(), actual(half, as_wanted(billing)))) == [
        "removing auth: it was half made",
        "deleting an old image of auth",
        "looking for room for auth",
        "importing the image of auth",
        "creating auth",
        "starting auth",
    ]


def test_a_new_image_replaces_the_container_and_keeps_the_volume() -> None:
    auth, billing = desired()
    old = as_wanted(billing, **{COMPLETE: "d" * 64})
    found = actual(as_wanted(auth), old)
    found.images["d" * 64] = ["asrbox/asr_billing"]

    assert words(reconcile(desired(), found)) == [
        "deleting an old image of asr_billing",
        "looking for room for asr_billing",
        "stopping asr_billing",
        "removing asr-billing: there is a new image",
        "creating asr_billing",
        "starting asr_billing",
    ]


def test_the_old_container_runs_until_its_new_image_is_there() -> None:
    auth, billing = desired()
    found = actual(as_wanted(auth), as_wanted(billing, **{COMPLETE: "d" * 64}))
    del found.images[billing.fingerprint]

    assert words(reconcile(desired(), found))[:4] == [
        "looking for room for asr_billing",
        "importing the image of asr_billing",
        "stopping asr_billing",
        "removing asr-billing: there is a new image",
    ]


def test_limits_change_live_and_addresses_need_a_stop() -> None:
    auth, billing = desired()
    found = actual(
        as_wanted(auth, **{"limits.memory": "1"}),
        as_wanted(billing, **{ADDRESSES: "198.18.83.9/20"}),
    )

    assert words(reconcile(desired(), found)) == [
        "changing limits.memory of auth",
        "stopping asr_billing",
        f"changing {ADDRESSES} of asr_billing",
        "starting asr_billing",
    ]


def test_with_ipv6_a_container_has_second_addresses_and_restarts_for_them() -> None:
    plan = Plan(appliances={name: PlannedAppliance() for name in ("auth", "asr_billing")})
    abilities = HostAbilities(shifts_mounts=True, filters_frames=True)
    wanted = desired_instances(distribution_ipv6(), image_list(), plan, set(), RUNTIME, abilities)

    assert [one.config[ADDRESSES] for one in wanted] == [
        "198.18.82.2/20,fd34:ed37:338c:2::2/56,fe80::2/64",
        "198.18.83.2/20,198.18.83.3/20,fd34:ed37:338c:3::3/56,fe80::3/64",
    ]
    assert words(reconcile(wanted, actual(*(as_wanted(one) for one in desired()))))[:3] == [
        "stopping auth",
        f"changing {ADDRESSES} of auth",
        "starting auth",
    ]
    off = distribution_ipv6().with_ipv6(False)
    assert desired_instances(off, image_list(), plan, set(), RUNTIME, abilities) == desired()


def test_a_device_that_the_distribution_dropped_goes_and_one_of_a_person_stays() -> None:
    auth, billing = desired()
    found = as_wanted(auth)
    found.devices["publish-old"] = {"type": "proxy"}
    found.devices["my-disk"] = {"type": "disk"}

    assert words(reconcile(desired(), actual(found, as_wanted(billing)))) == ["changing publish-old of auth"]


def test_disabled_and_held_appliances_are_stopped_and_kept() -> None:
    found = actual(*(as_wanted(one) for one in desired()))

    assert words(reconcile(desired(disabled=("auth",), held=("asr_billing",)), found)) == [
        "stopping auth",
        "stopping asr_billing",
    ]


def test_an_appliance_that_the_distribution_no_longer_has_is_removed_without_its_volume() -> None:
    gone = ActualInstance("old", True, {APPLIANCE: "old", COMPLETE: "e" * 64}, {})
    found = actual(gone, *(as_wanted(one) for one in desired()))

    assert words(reconcile(desired(), found)) == [
        "stopping old",
        "removing old: the distribution no longer has it",
    ]


def test_a_foreign_container_of_the_same_name_is_not_touched() -> None:
    foreign = ActualInstance("auth", True, {}, {})
    [action] = reconcile(desired(disabled=("asr_billing",)), actual(foreign))

    assert str(action) == "auth: a container named auth exists that the agent did not make"


@pytest.fixture(autouse=True)
def _instant_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing is one change and naming another, as in images.import_image; no squashfs is mounted."""

    def import_image(incus: FakeIncus, mount: Path, image: Image) -> None:
        incus.store_image(image.fingerprint)
        incus.alias_image(image.fingerprint, images.ALIAS + image.appliance)

    class Mounted:
        def __enter__(self) -> Path:
            return Path("/mounted")

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(images, "import_image", import_image)
    monkeypatch.setattr(images, "mounted", lambda *_: Mounted())


def converge(incus: FakeIncus, wanted: list[DesiredInstance]) -> list[str]:
    executor = Executor(
        cast(Incus, incus),
        wanted,
        image_list(),
        Path("/images"),
        Path("/mnt"),
        lambda done, text: None,
        lambda name, providers: None,
    )
    return [str(error) for error in executor.execute(reconcile(wanted, observe(cast(Incus, incus))))]


def first_start_changes() -> int:
    incus = FakeIncus()
    converge(incus, desired())
    return len(incus.changes)


def every_cut() -> Iterator[int]:
    return iter(range(first_start_changes()))


def test_a_power_cut_before_any_change_is_made_up_for_by_the_next_start() -> None:
    whole = FakeIncus()
    assert converge(whole, desired()) == []

    for cut in every_cut():
        incus = FakeIncus()
        incus.cuts_after = cut
        with pytest.raises(PowerCut):
            converge(incus, desired())
        incus.reboot()

        assert converge(incus, desired()) == []

        assert incus.stored_instances == whole.stored_instances, f"cut before change {cut}"
        assert incus.stored_volumes == whole.stored_volumes
        assert set(incus.stored_images) == set(whole.stored_images)


def before_an_upgrade() -> FakeIncus:
    """A host that runs with an earlier image of the billing, whose volume holds data."""
    incus = FakeIncus()
    assert converge(incus, desired()) == []
    incus.stored_images["d" * 64] = incus.stored_images.pop(BILLING_IMAGE)
    incus.stored_instances["asr-billing"]["config"][COMPLETE] = "d" * 64
    incus.stored_volumes["asr-billing-database"]["data"] = "precious"
    incus.unpacked = {AUTH_IMAGE, "d" * 64}
    incus.changes.clear()
    return incus


def test_a_power_cut_before_any_change_of_an_upgrade_leaves_the_data_and_is_made_up_for() -> None:
    whole = before_an_upgrade()
    assert converge(whole, desired()) == []
    assert whole.stored_instances["asr-billing"]["config"][COMPLETE] == BILLING_IMAGE

    for cut in range(len(whole.changes)):
        incus = before_an_upgrade()
        incus.cuts_after = cut
        with pytest.raises(PowerCut):
            converge(incus, desired())
        assert incus.stored_volumes["asr-billing-database"]["data"] == "precious"
        incus.reboot()

        assert converge(incus, desired()) == []

        assert incus.stored_instances == whole.stored_instances, f"cut before change {cut}"
        assert incus.stored_volumes == whole.stored_volumes
        assert incus.stored_images == whole.stored_images


def test_reconciling_twice_changes_nothing_the_second_time() -> None:
    incus = FakeIncus()
    converge(incus, desired())
    incus.changes.clear()

    assert converge(incus, desired()) == []
    assert incus.changes == []


def test_one_broken_appliance_does_not_keep_the_others_down() -> None:
    incus = FakeIncus()
    incus.broken = {"auth"}

    errors = converge(incus, desired())

    assert errors == ["auth: create the container: it is broken"]
    assert incus.stored_instances["asr-billing"]["status"] == "Running"
    assert AUTH_IMAGE in incus.stored_images


def test_an_appliance_starts_after_those_that_it_consumes() -> None:
    for _ in range(20):
        incus = FakeIncus()
        converge(incus, desired())

        started = [change.removeprefix("start ") for change in incus.changes if change.startswith("start ")]
        assert started == ["auth", "asr-billing"]


def test_one_appliance_is_not_kept_waiting_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both images are imported at once: each waits until the other has come as far."""
    together = threading.Barrier(2, timeout=30)
    alone = images.import_image

    def import_image(incus: FakeIncus, mount: Path, image: Image) -> None:
        together.wait()
        alone(cast(Incus, incus), mount, image)

    monkeypatch.setattr(images, "import_image", import_image)
    incus = FakeIncus()

    assert converge(incus, desired()) == []
    assert len(incus.stored_instances) == 2
