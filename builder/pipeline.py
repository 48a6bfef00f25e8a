"""The whole build on one page: which steps make an ISO of a distribution, and what each of them depends on.

packages:host ──┬─ tree:host ── squashfs:host ─┐
                ├─ initrd ─────────────────────┤
                └─ grub ───────────────────────┤
packages:container ─ tree:container            ├─ iso
    └─ packages:<appliance> ─ tree:<appliance> ─ image:<appliance> ─ imageset
                                               │
sbom ──────────────────────────────────────────┘
"""

from __future__ import annotations

import dataclasses
import datetime
import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from appliances.base.agent import imagestream
from appliances.base.installer.family import FAMILIES
from builder import ansible, bootmedia, imageset, iso, kickstart, sbom, tree, wheels
from builder.bases import LockedPackage
from builder.bases.pool import sha256
from builder.errors import AsrboxError
from builder.manifest import ElManifest
from builder.resolve import Resolved, instance
from builder.step import Step
from builder.wheels import LockedWheel

Mode = Literal["fast", "release"]
GRUB_TIMEOUT = 5  # seconds
# By name: the package gives a function the name of its module.
VENDOR_CODE = ("compare", "fat", "grubcfg", "grubscript", "isolinux", "medium", "menu", "remake", "treeinfo")


@dataclass(frozen=True)
class Locks:
    """What the trees are made of: packages and wheels per tree, and what makes wheels of sources."""

    packages: dict[str, list[LockedPackage]]
    wheels: dict[str, list[LockedWheel]]
    build_tools: list[LockedWheel]


@dataclass(frozen=True)
class Pipeline:
    """Steps of one distribution by name. `goal` is the ISO; the trees are also wanted by the tests."""

    steps: dict[str, Step] = field(default_factory=dict)

    @property
    def goal(self) -> Step:
        return self.steps["iso"]


def iso_name(resolved: Resolved, *, anaconda: bool = False) -> str:
    """File name of the ISO; `anaconda` for the one on the vendor's medium."""
    d = resolved.distribution
    return f"{d.distribution}-{d.version}-{d.base}{'-anaconda' if anaconda else ''}-x86_64.iso"


def epoch_of(resolved: Resolved) -> int:
    """The day of release, 00:00 UTC, in seconds since 1970: the time of everything in the ISO."""
    day = datetime.datetime.fromisoformat(resolved.distribution.released).replace(tzinfo=datetime.UTC)
    return int(day.timestamp())


def assemble(
    resolved: Resolved, locks: Locks, tools: tree.Tools, *, mode: Mode = "fast", seed: str | None = None
) -> Pipeline:
    """The graph of steps. `seed` is the text of an answer file that goes into the ISO."""
    root, python = resolved.project.root, resolved.base.python
    epoch = epoch_of(resolved)
    steps: dict[str, Step] = {}

    def add(name: str, function: Any, **parts: Any) -> Step:
        steps[name] = Step(name, function, epoch, root, context=tools, **parts)
        return steps[name]

    def packages(name: str, function: Any, inputs: dict[str, Step]) -> Step:
        options = {
            "packages": _rows(locks.packages[name]),
            "wheels": _rows(locks.wheels.get(name, [])),
            "build_tools": _rows(locks.build_tools),
            "remove": [] if name == "host" else list(resolved.container.remove),
            "python": python,
            "interpreter": resolved.base.interpreter,
            **tools.base.options,
        }
        code = (tree, *tools.base.code, wheels)
        files = (*tools.base.files, ansible.ENTER)
        return add(f"packages:{name}", function, options=options, inputs=inputs, code=code, files=files)

    def configured(name: str, role: str, into: str, sources: Sequence[str], function: Any, **extra: Any) -> Step:
        variables = {
            "asrbox_release": {
                "name": resolved.distribution.distribution,
                "version": resolved.distribution.version,
                "base": resolved.distribution.base,
            },
        }
        options = {
            "role": role,
            "into": into,
            "sources": list(sources),
            "python": python,
            "interpreter": resolved.base.interpreter,
            "variables": variables,
        }
        templates = root / "images" / "container"
        return add(
            f"tree:{name}",
            function,
            options={**options, **extra},
            files=(
                resolved.project.role(role),
                *(root / source for source in sources),
                *([templates] if "metadata" in extra else []),
                *([root / "docs" / "operate.md"] if name == "host" else []),
            ),
            inputs={"base": steps[f"packages:{name}"]},
            code=(tree, ansible, imageset) if "metadata" in extra else (tree, ansible),
        )

    packages("host", tree.bootstrap, {})
    packages("container", tree.bootstrap, {})
    host_sources = ["appliances/__init__.py"]
    host_sources += [f"appliances/base/{name}" for name in ("__init__.py", "hostrules.py", "agent")]
    # Streams are the same on both sides; and what the entry's own pages look like.
    shared = ("__init__.py", "sse.py", "ui/static/ui.css", "ui/static/vendor/bootstrap.min.css", "ui/static/mark.svg")
    host_sources += [f"appliances/common/{name}" for name in shared]
    configured("host", resolved.host.role, "rootfs", [*host_sources, "appliances/base/installer"], tree.configure)
    container = configured("container", resolved.container.role, "rootfs", [], tree.configure)
    for name in resolved.start_order:
        packages(name, tree.extend, {"base": container})
        sources = ["appliances/__init__.py", "appliances/common", f"appliances/{name}"]
        metadata = {
            "architecture": "x86_64",
            "distribution": resolved.distribution.distribution,
            "version": resolved.distribution.version,
            "appliance": name,
            "serial": resolved.distribution.released.replace("-", ""),
        }
        grown = configured(name, name, f"{name}/rootfs", sources, imageset.appliance, metadata=metadata)
        options = {"appliance": name, "instance": instance(name)}
        add(
            f"image:{name}",
            imageset.fingerprint,
            options=options,
            inputs={"tree": grown, "tools": container},
            code=(imageset, tree, imagestream),
        )
    names = resolved.start_order
    add(
        "imageset",
        imageset.image_set,
        options={"appliances": names, "mode": mode},
        inputs={f"{kind}:{name}": steps[f"{kind}:{name}"] for name in names for kind in ("tree", "image")},
        code=(imageset,),
    )
    host_packages = {"host": steps["packages:host"]}
    dracut = root / "images" / "host" / "dracut.conf"
    add("initrd", bootmedia.initrd, inputs=host_packages, files=(dracut,), code=(bootmedia,))
    add(
        "grub",
        bootmedia.grub,
        options={
            "title": resolved.distribution.title.en,
            "version": resolved.distribution.version,
            "label": resolved.volume_label,
            "timeout": GRUB_TIMEOUT,
        },
        inputs=host_packages,
        files=(root / "images" / "host" / "grub.cfg.j2",),
        code=(bootmedia,),
    )
    add(
        "squashfs:host",
        bootmedia.squashfs,
        options={"mode": mode, "initrd": FAMILIES[resolved.base.family].initrd},
        inputs={"host": steps["tree:host"], "initrd": steps["initrd"]},
        code=(bootmedia, imageset),
    )
    add(
        "sbom",
        sbom.step,
        options={
            "distribution": resolved.distribution.distribution,
            "version": resolved.distribution.version,
            "packages": {name: _rows(_whole(locks, name)) for name in ("host", *names)},
            "wheels": {name: _rows(locks.wheels[name]) for name in ("host", *names)},
        },
        inputs={name: steps[f"packages:{name}"] for name in ("host", *names)},
        code=(sbom,),
    )
    medium_options: dict[str, Any] = {
        "file": iso_name(resolved, anaconda=tools.boot_iso is not None),
        "label": resolved.volume_label,
        "version": resolved.distribution.version,
        "distribution": resolved.as_json(),
        "seed": seed,
        "steps": {name: step.id for name, step in steps.items()},
    }
    parts = {name.split(":")[0]: steps[name] for name in ("squashfs:host", "imageset", "sbom")}
    if tools.boot_iso is None:
        medium_options["kickstart"] = kickstart.render(resolved.as_json(), resolved.base.family)
        own = {"grub": steps["grub"], "initrd": steps["initrd"], **parts}
        add("iso", iso.iso, options=medium_options, inputs=own, code=(iso,))
    else:
        medium_options |= _vendor(resolved, tools.boot_iso)
        code = (iso, kickstart, *(importlib.import_module(f"builder.vendor.{name}") for name in VENDOR_CODE))
        add("iso", iso.anaconda_iso, options=medium_options, inputs=parts, files=(kickstart.FOLDER,), code=code)
    return Pipeline(steps)


def _vendor(resolved: Resolved, boot_iso: Path) -> dict[str, Any]:
    """Options for a base whose vendor has a medium. Raises AsrboxError for others."""
    if not isinstance(resolved.base, ElManifest):
        raise AsrboxError(
            f"{resolved.base.title} has no vendor's medium with Anaconda",
            hint="leave --boot-iso out, or take a base of the family el with --base",
        )
    return {"family": resolved.base.family, "release": resolved.base.release, "boot_iso": sha256(boot_iso)}


def _rows(locked: Sequence[LockedPackage] | Sequence[LockedWheel]) -> list[list[Any]]:
    """Locked packages or wheels as options of a step: plain lists."""
    return [_row(entry) for entry in locked]


def _row(entry: LockedPackage | LockedWheel) -> list[Any]:
    row = list(dataclasses.astuple(entry))
    return row[:-1] if isinstance(entry, LockedPackage) and not entry.key else row  # a family that has no such keys


def _whole(locks: Locks, name: str) -> list[LockedPackage]:
    """All packages of a tree, those below it included."""
    below = [] if name == "host" else locks.packages["container"]
    return sorted([*below, *locks.packages[name]])
