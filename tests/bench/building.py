"""How long the build takes, against the bare tools that make the same content."""

from __future__ import annotations

import shutil
from pathlib import Path

from builder import imageset, workshop
from builder.manifest import parse_size
from builder.pipeline import Pipeline
from builder.resolve import Project, load
from builder.run import run
from builder.store import Store
from tests.bench.measure import Measure, measured, seconds

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("appliances", "distro", "docs", "images", "kickstart", "roles")
TEMPLATE = "roles/asr_billing/templates/databases.conf.j2"


def measure(scratch: Path) -> list[Measure]:
    """Cold, no-op and one-change builds; the size of the image set."""
    checkout = scratch / "checkout"
    for part in PARTS:
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    pool = Store(ROOT / "build" / "store")
    store = Store(scratch / "store")

    def build(goals: list[str] | None = None) -> Pipeline:
        settings = workshop.Settings(store.path, scratch / "build", parse_size("20GiB"))
        shop = workshop.Workshop(load(Project(checkout)), settings, pool)
        with store.writing():
            steps, _ = workshop.build(shop, store, goals)
            if goals is None:
                workshop.publish(shop, store, steps, scratch / "dist")
        return steps

    with pool.writing():  # fills the pool, so that nothing below waits for a mirror
        settings = workshop.Settings(pool.path, scratch / "build", parse_size("20GiB"))
        workshop.build(workshop.Workshop(load(Project(checkout)), settings, pool), pool)
    cold = seconds(build)
    steps = build()
    idle = seconds(lambda: run([ROOT / ".venv/bin/python", ROOT / "cli.py", "--help"]))
    noop = seconds(build) + idle  # with the start of the program
    raw = seconds(lambda: _raw_build(scratch / "raw", steps, pool))
    with (checkout / TEMPLATE).open("a") as file:
        file.write("# a change\n")
    change = seconds(build)
    return [
        measured("cold build against mmdebstrap + mksquashfs + xorriso", cold / raw, "×", 1.3),
        measured("cold build, packages at hand", cold, "s"),
        measured("build with nothing to do", noop, "s", 2),
        measured("one template of one role changed → new ISO", change, "s", 15),
        measured("image set against one squashfs per appliance", _size_ratio(steps, store, scratch), "×", 0.45),
    ]


def _raw_build(folder: Path, steps: Pipeline, pool: Store) -> None:
    """The same packages, one tool after the other, as a shell script would: no roles, no wheels, no initrd."""
    folder.mkdir()
    trees = {"host": ["host"]}
    names = [name.removeprefix("image:") for name in steps.steps if name.startswith("image:")]
    trees.update({name: ["container", name] for name in names})
    for tree, parts in trees.items():
        rows = [row for part in parts for row in steps.steps[f"packages:{part}"].options["packages"]]
        repository = folder / f"{tree}.repository"
        repository.mkdir()
        for name, version, architecture, sha256, *_ in rows:
            link = repository / f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
            link.hardlink_to(pool.pool / f"{sha256}.deb")
        run(["apt-ftparchive", "packages", "."], cwd=repository, stdout=repository / "Packages")
        include = ",".join(name for name, *_ in rows)
        command = ["mmdebstrap", "--mode=root", "--variant=essential", f"--include={include}", "--quiet"]
        command += ["--dpkgopt=force-unsafe-io", "--aptopt=APT::Sandbox::User root"]
        run([*command, "", folder / tree, f"deb [trusted=yes] copy:{repository} ./"], env={"INITRD": "No"})
    squash = ["-noappend", "-no-progress", "-quiet", *imageset.COMPRESSION["fast"]]
    medium = folder / "medium"
    medium.mkdir()
    run(["mksquashfs", folder / "host", medium / "host.squashfs", *squash])
    run(["mksquashfs", *(folder / name for name in names), medium / "images.squashfs", *squash])
    run(["xorriso", "-as", "mkisofs", "-quiet", "-o", folder / "raw.iso", "-r", "-iso-level", "3", medium])


def _size_ratio(steps: Pipeline, store: Store, scratch: Path) -> float:
    together = (store.out(steps.steps["imageset"]) / "images.squashfs").stat().st_size
    apart = 0
    for name in (name.removeprefix("image:") for name in steps.steps if name.startswith("image:")):
        target = scratch / f"{name}.squashfs"
        tree = store.out(steps.steps[f"tree:{name}"]) / name
        run(["mksquashfs", tree, target, "-noappend", "-no-progress", "-quiet", *imageset.COMPRESSION["fast"]])
        apart += target.stat().st_size
    return together / apart
