"""The difference between what should be and what is, as a list of actions: a pure function, and its types."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from appliances.base.agent.images import ALIAS
from appliances.base.agent.instances import (
    ADDRESSES,
    APPLIANCE,
    COMPLETE,
    PUBLISH_DEVICE,
    VOLUME_DEVICE,
    DesiredInstance,
    Device,
)


@dataclass(frozen=True)
class ActualInstance:
    """One container as Incus describes it."""

    name: str
    running: bool
    config: dict[str, str]
    devices: dict[str, Device]

    @property
    def appliance(self) -> str | None:
        """The appliance that the agent made it for; None when somebody else made it."""
        return self.config.get(APPLIANCE)

    @property
    def fingerprint(self) -> str | None:
        """The image it was made from; None while it is half made."""
        return self.config.get(COMPLETE)


@dataclass(frozen=True)
class Actual:
    """What Incus has: images (fingerprint → aliases), custom volumes, containers by name."""

    images: dict[str, list[str]] = field(default_factory=dict)
    volumes: frozenset[str] = frozenset()
    instances: dict[str, ActualInstance] = field(default_factory=dict)


@dataclass(frozen=True)
class Action:
    """One thing to do for one appliance."""

    appliance: str

    def __str__(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True)
class DeleteImage(Action):
    fingerprint: str

    def __str__(self) -> str:
        return f"deleting an old image of {self.appliance}"


@dataclass(frozen=True)
class MakeRoom(Action):
    """Nothing that an appliance has is given up before there is room for what comes instead."""

    fingerprint: str
    stored: bool

    def __str__(self) -> str:
        return f"looking for room for {self.appliance}"


@dataclass(frozen=True)
class ImportImage(Action):
    fingerprint: str

    def __str__(self) -> str:
        return f"importing the image of {self.appliance}"


@dataclass(frozen=True)
class CreateVolume(Action):
    volume: str
    size: int

    def __str__(self) -> str:
        return f"creating the volume {self.volume}"


@dataclass(frozen=True)
class CreateInstance(Action):
    def __str__(self) -> str:
        return f"creating {self.appliance}"


@dataclass(frozen=True)
class UpdateInstance(Action):
    changes: tuple[str, ...]

    def __str__(self) -> str:
        return f"changing {', '.join(self.changes)} of {self.appliance}"


@dataclass(frozen=True)
class StartInstance(Action):
    after: tuple[str, ...]

    def __str__(self) -> str:
        return f"starting {self.appliance}"


@dataclass(frozen=True)
class StopInstance(Action):
    instance: str

    def __str__(self) -> str:
        return f"stopping {self.appliance}"


@dataclass(frozen=True)
class RemoveInstance(Action):
    instance: str
    why: str

    def __str__(self) -> str:
        return f"removing {self.instance}: {self.why}"


@dataclass(frozen=True)
class Blocked(Action):
    """Something that the agent must not touch stands in the way."""

    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.appliance}: {self.message}"


def reconcile(desired: list[DesiredInstance], actual: Actual) -> list[Action]:
    """Actions that turn `actual` into `desired`, in the order in which they have to run; empty when nothing differs.

    Volumes are never deleted. `desired` is in start order. Containers of other people are left alone.
    """
    names = {one.name for one in desired}
    actions: list[Action] = [*_stale_images(desired, actual.images)]
    for instance in actual.instances.values():
        if instance.appliance is not None and instance.name not in names:
            actions += _remove(instance.appliance, instance, "the distribution no longer has it")
    for one in desired:
        actions += _for_one(one, actual)
    return actions


def _for_one(desired: DesiredInstance, actual: Actual) -> list[Action]:
    found = actual.instances.get(desired.name)
    if found is not None and found.appliance is None:
        return [_foreign(desired)] if desired.enabled else []
    if not desired.enabled:
        return [StopInstance(desired.appliance, found.name)] if found is not None and found.running else []
    if found is None:
        return [*_image(desired, actual), *_create(desired, actual)]
    if found.fingerprint is None:
        # The power went while it was made. Its image may be unpacked halfway in the pool: take that away too.
        removal = _remove(desired.appliance, found, "it was half made")
        return [*removal, *_image(desired, actual, trust_image=False), *_create(desired, actual)]
    if found.fingerprint != desired.fingerprint:
        # The old one runs until the new image is there and has room: a damaged image or a full pool costs nothing.
        removal = _remove(desired.appliance, found, "there is a new image")
        return [*_image(desired, actual), *removal, *_create(desired, actual)]
    return _adjust(desired, found, actual)


def _image(desired: DesiredInstance, actual: Actual, *, trust_image: bool = True) -> list[Action]:
    """An image gets its name when all of it is on the disk: one without was cut short, whatever it is recorded as."""
    names = actual.images.get(desired.fingerprint)
    if names is not None and ALIAS + desired.appliance in names and trust_image:
        return [MakeRoom(desired.appliance, desired.fingerprint, stored=True)]
    actions: list[Action] = []
    if names is not None:
        actions.append(DeleteImage(desired.appliance, desired.fingerprint))
    actions.append(MakeRoom(desired.appliance, desired.fingerprint, stored=False))
    actions.append(ImportImage(desired.appliance, desired.fingerprint))
    return actions


def _create(desired: DesiredInstance, actual: Actual) -> list[Action]:
    actions = _missing_volumes(desired, actual)
    actions.append(CreateInstance(desired.appliance))
    if desired.running:
        actions.append(StartInstance(desired.appliance, desired.after))
    return actions


def _adjust(desired: DesiredInstance, found: ActualInstance, actual: Actual) -> list[Action]:
    actions: list[Action] = []
    running = found.running
    changes = _changes(desired, found)
    if running and (not desired.running or ADDRESSES in changes):
        actions.append(StopInstance(desired.appliance, found.name))
        running = False
    actions += _missing_volumes(desired, actual)
    if changes:
        actions.append(UpdateInstance(desired.appliance, changes))
    if desired.running and not running:
        actions.append(StartInstance(desired.appliance, desired.after))
    return actions


def _changes(desired: DesiredInstance, found: ActualInstance) -> tuple[str, ...]:
    """Keys and devices of ours that differ. What a person added beside them stays."""
    keys = [key for key, value in desired.config.items() if found.config.get(key) != value]
    devices = [name for name, device in desired.devices.items() if found.devices.get(name) != device]
    return tuple(sorted([*keys, *devices, *obsolete_devices(desired, found.devices)]))


def obsolete_devices(desired: DesiredInstance, present: Iterable[str]) -> list[str]:
    """Devices that an earlier distribution gave the container and this one does not."""
    return [
        name for name in present if name.startswith((VOLUME_DEVICE, PUBLISH_DEVICE)) and name not in desired.devices
    ]


def _missing_volumes(desired: DesiredInstance, actual: Actual) -> list[Action]:
    return [
        CreateVolume(desired.appliance, name, size)
        for name, size in desired.volumes.items()
        if name not in actual.volumes
    ]


def _remove(appliance: str, found: ActualInstance, why: str) -> list[Action]:
    stop: list[Action] = [StopInstance(appliance, found.name)] if found.running else []
    return [*stop, RemoveInstance(appliance, found.name, why)]


def _stale_images(desired: list[DesiredInstance], images: dict[str, list[str]]) -> list[DeleteImage]:
    wanted = {one.fingerprint for one in desired}
    return [
        DeleteImage(aliases[0].removeprefix(ALIAS), fingerprint)
        for fingerprint, names in images.items()
        if fingerprint not in wanted and (aliases := [name for name in names if name.startswith(ALIAS)])
    ]


def _foreign(desired: DesiredInstance) -> Blocked:
    return Blocked(
        desired.appliance,
        f"a container named {desired.name} exists that the agent did not make",
        f"rename it: incus rename {desired.name} NEW-NAME",
    )
