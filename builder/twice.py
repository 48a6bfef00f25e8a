"""The proof of reproducibility: the same distribution from two empty stores, compared byte by byte."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from builder import log, workshop
from builder.errors import AsrboxError
from builder.run import run
from builder.store import Store, remove


def build_twice(shop: workshop.Workshop, dist: Path, key: str | None) -> str:
    """Build twice from nothing (packages are downloaded once), compare, publish the ISO.

    The caller holds the shop's store, which takes the downloads and the outputs of the second build; what other
    distributions and bases have there stays. Raises AsrboxError listing each file that differs.
    """
    shop.settings.build.mkdir(parents=True, exist_ok=True)
    first = Path(tempfile.mkdtemp(prefix="twice-", dir=shop.settings.build))
    try:
        with log.step("first build, from an empty store"), Store(first).writing():
            steps, _ = workshop.build(shop, Store(first))
        for step in steps.steps.values():
            shop.pool.discard(step.id)
        with log.step("second build, with nothing of it in the store"):
            again, _ = workshop.build(shop, shop.pool)
        name = str(steps.goal.options["file"])
        one, two = Store(first).out(steps.goal) / name, shop.pool.out(again.goal) / name
        if (digest := _sha256(one)) != _sha256(two):
            raise AsrboxError(
                "the two builds differ:\n" + "\n".join(f"    {line}" for line in differences(one, two)),
                hint="see which step made the file: asrbox explain, build/logs/",
            )
        target = workshop.publish(shop, shop.pool, again, dist, key)
    finally:
        remove(first)
    return f"identical: both builds gave {name} with sha256 {digest}\n{target}"


def differences(one: Path, two: Path) -> list[str]:
    """The files by which two ISOs differ, those inside their squashfs images by name."""
    with tempfile.TemporaryDirectory(prefix="asrbox-compare-", dir=one.parent) as scratch_name:
        scratch = Path(scratch_name)
        sides = []
        for side, iso in (("one", one), ("two", two)):
            folder = scratch / side
            run(["xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", folder])
            run(["chmod", "-R", "u+rwX", folder])
            sides.append(folder)
        found = _compare(sides[0], sides[1], "")
        for name in [line for line in found if line.endswith((".squashfs", "squashfs.img"))]:
            for folder in sides:
                run(["unsquashfs", "-quiet", "-no-progress", "-d", folder / "unpacked", folder / name])
            found += _compare(sides[0] / "unpacked", sides[1] / "unpacked", f"{name}: ")
            for folder in sides:
                shutil.rmtree(folder / "unpacked")
    return found or ["no file differs: only the structure of the ISO does (boot records, dates, order)"]


def _compare(one: Path, two: Path, prefix: str) -> list[str]:
    facts = [{str(path.relative_to(side)): _fact(path) for path in sorted(side.rglob("*"))} for side in (one, two)]
    return [
        f"{prefix}{name}"
        for name in sorted(facts[0].keys() | facts[1].keys())
        if facts[0].get(name) != facts[1].get(name)
    ]


def _fact(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    content = str(path.readlink()) if path.is_symlink() else _sha256(path) if path.is_file() else ""
    return status.st_mode, status.st_uid, status.st_gid, int(status.st_mtime), content


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
