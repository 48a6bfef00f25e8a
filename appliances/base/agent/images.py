"""The image set: one squashfs with the trees of all appliances, streamed into Incus as one unified image each."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from appliances.base.agent import imagestream
from appliances.base.agent.errors import AgentError
from appliances.base.agent.imagelist import Image, ImageList
from appliances.base.agent.incus import Incus

BLOCK = 1 << 20  # bytes per send
ALIAS = "asrbox/"


class TarStream:
    """The unified image of one appliance, made while it is sent. `len` is its size in bytes, known from the build."""

    def __init__(self, folder: Path, size: int, appliance: str) -> None:
        self.len = size
        self._folder = folder
        self._appliance = appliance

    def __iter__(self) -> Iterator[bytes]:
        # Not a pipe: where the kernel's squashfs has no xattrs, tar warns once per file and would fill it up.
        with tempfile.TemporaryFile() as complaints:
            tar = subprocess.Popen(  # noqa: S603
                imagestream.tar(str(self._folder)),
                env=imagestream.ENVIRONMENT,
                stdout=subprocess.PIPE,
                stderr=complaints,
                pipesize=BLOCK,
            )
            try:
                yield from self._blocks(tar)
                if tar.wait() != 0:
                    raise self._error(f"tar failed: {_last_line(complaints)}")
            finally:
                if tar.poll() is None:
                    tar.kill()
                    tar.wait()

    def _blocks(self, tar: subprocess.Popen[bytes]) -> Iterator[bytes]:
        """What tar writes, which has to be exactly as long as the build said."""
        assert tar.stdout is not None
        sent = 0
        with tar.stdout as output:
            while block := output.read(BLOCK):
                sent += len(block)
                if sent > self.len:
                    raise self._error(f"it is longer than the {self.len} bytes that images.json names")
                yield block
        if sent != self.len and tar.wait() == 0:
            raise self._error(f"it has {sent} bytes, images.json names {self.len}")

    def _error(self, message: str) -> AgentError:
        return AgentError(
            message,
            appliance=self._appliance,
            step="read the image set",
            hint="the image set on this disk is damaged; install again or copy it from the medium",
        )


@contextlib.contextmanager
def mounted(squashfs: Path, size: int, point: Path) -> Iterator[Path]:
    """The image set mounted read-only at `point`; unmounted at the end.

    A mount that a killed agent left behind is of unknown origin and is taken away first. Raises AgentError when the
    file is missing or does not have `size` bytes.
    """
    if not squashfs.exists() or squashfs.stat().st_size != size:
        found = f"has {squashfs.stat().st_size} bytes instead of {size}" if squashfs.exists() else "is missing"
        raise AgentError(f"{squashfs} {found}", step="mount the image set", hint="install again")
    point.mkdir(parents=True, exist_ok=True)
    unmount(point)
    _mount(squashfs, point)
    try:
        yield point
    finally:
        unmount(point)


def unmount(point: Path) -> None:
    """Take away every mount on `point`; none is fine."""
    while point.is_mount():
        subprocess.run(["umount", "--lazy", str(point)], check=True, timeout=60)  # noqa: S603, S607


def import_image(incus: Incus, mount: Path, image: Image) -> None:
    """Import one image and prove that it is the one that was built. Raises AgentError when it is not."""
    stream = TarStream(mount / image.appliance, image.size, image.appliance)
    fingerprint = incus.import_image(stream, appliance=image.appliance)
    if fingerprint != image.fingerprint:
        incus.delete_image(fingerprint)
        raise AgentError(
            f"its fingerprint is {fingerprint[:12]}, the build recorded {image.fingerprint[:12]}",
            appliance=image.appliance,
            step="check the image",
            hint="the image set on this disk is damaged; install again or copy it from the medium",
        )
    os.sync()  # Incus has recorded it, but a power cut would leave a file that ends too early
    incus.alias_image(fingerprint, ALIAS + image.appliance)


def squashfs_of(folder: Path, images: ImageList) -> Path:
    """The image set's squashfs beside its images.json."""
    return folder / images.squashfs


def _last_line(file: IO[bytes]) -> str:
    file.seek(0)
    lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


def _mount(squashfs: Path, point: Path) -> None:
    done = subprocess.run(  # noqa: S603
        ["mount", "-t", "squashfs", "-o", "loop,ro", str(squashfs), str(point)],  # noqa: S607
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise AgentError(f"mount {squashfs}: {said}", step="mount the image set")
