"""Incus images of the appliances, and the one squashfs that holds them all.

In the set, every appliance is a folder `<appliance>/{metadata.yaml,templates/,rootfs/}`. The host streams such a folder
as an unified image; since the stream is the same bytes every time, its fingerprint is known here.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jinja2

from appliances.base.agent import imagestream
from builder import tree
from builder.errors import AsrboxError
from builder.run import clean_environment, run
from builder.step import Work

COMPRESSION = {
    "fast": ["-comp", "zstd", "-Xcompression-level", "3", "-b", "256K"],
    "release": ["-comp", "zstd", "-Xcompression-level", "19", "-b", "1M"],
}


def appliance(work: Work, tools: tree.Tools) -> None:
    """Body of the step `tree:<appliance>`: the configured tree with its image metadata beside it."""
    tree.configure(work, tools)
    folder = work.out / work.options["role"]
    source = tools.root / "images" / "container"
    shutil.copytree(source / "templates", folder / "templates", copy_function=shutil.copyfile)
    text = (source / "metadata.yaml.j2").read_text()
    template = jinja2.Template(text, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    (folder / "metadata.yaml").write_text(template.render(**work.options["metadata"], epoch=work.epoch))
    for path in [folder / "metadata.yaml", *(folder / "templates").iterdir()]:
        path.chmod(0o644)
    for path in [folder / "templates", folder]:
        path.chmod(0o755)
    tree.clamp(folder, work.epoch)


def fingerprint(work: Work, _: Any) -> None:
    """Body of the step `image:<appliance>`: sha256 and size (bytes) of the image's stream → out/image.json.

    Inputs: tree (of the appliance), tools (a tree of the same base, whose tar makes the stream).
    """
    name = work.options["appliance"]
    digest, size = hashlib.sha256(), 0
    settings = [f"{key}={value}" for key, value in imagestream.ENVIRONMENT.items()]
    command = [*tree.enter(work.inputs["tools"] / "rootfs"), "env", *settings, *imagestream.tar("/mnt")]
    environment = clean_environment({"ASRBOX_OUT": str(work.inputs["tree"] / name)})
    with (
        work.log.open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment) as process,  # noqa: S603
    ):
        assert process.stdout
        while block := process.stdout.read(1 << 20):
            digest.update(block)
            size += len(block)
    if process.returncode:
        raise AsrboxError(f"tar could not read the tree of {name}")
    record = {"appliance": name, "instance": work.options["instance"], "fingerprint": digest.hexdigest(), "size": size}
    (work.out / "image.json").write_text(json.dumps(record, indent=1))


def image_set(work: Work, _: Any) -> None:
    """Body of the step `imageset`: all trees in one squashfs, files that are the same stored once."""
    names = work.options["appliances"]
    folders = [work.inputs[f"tree:{name}"] / name for name in names]
    target = work.out / "images.squashfs"
    squash(folders, target, mode=work.options["mode"], epoch=work.epoch, log=work.log, keep_names=True)
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    images = [json.loads((work.inputs[f"image:{name}"] / "image.json").read_text()) for name in names]
    record = {"squashfs": target.name, "sha256": digest, "size": target.stat().st_size, "images": images}
    (work.out / "images.json").write_text(json.dumps(record, indent=1) + "\n")


def squash(
    sources: list[Path],
    target: Path,
    *,
    mode: str,
    epoch: int,
    log: Path,
    keep_names: bool = False,
    files: dict[str, Path] | None = None,
) -> None:
    """Pack folders into a squashfs. `files` are added: path inside → file. `mode`: fast or release."""
    extra: list[str] = []
    for inside, path in (files or {}).items():
        extra += ["-p", f"{inside} F {epoch} 644 0 0 cat {path}"]
    if keep_names and len(sources) == 1:
        extra.append("-keep-as-directory")
    run(
        ["mksquashfs", *sources, target, "-noappend", "-no-progress", "-quiet", *COMPRESSION[mode], *extra],
        env={"SOURCE_DATE_EPOCH": str(epoch)},
        log=log,
    )
