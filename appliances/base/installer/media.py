"""What is on the medium: the distribution, and the answer file there or on a stick with the label ASRBOX."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from appliances.base.installer.errors import InstallError
from appliances.base.installer.facts import LIVE
from appliances.base.installer.guard import SEED_LABEL
from appliances.base.installer.runner import Runner

REPO = "/run/install/repo"
SEED_MOUNT = "/run/asrbox-install/seed"


@dataclass(frozen=True)
class Distribution:
    """The part of distribution.json that the installer needs. `minimum_disk` in bytes; `label` is the medium's; `ipv6`:
    whether the appliances have IPv6 addresses.
    """

    title: dict[str, str]
    version: str
    label: str
    minimum_disk: int
    timezone: str
    language: str
    appliances: tuple[str, ...]
    ipv6: bool = False

    @property
    def name(self) -> str:
        """Name and version for boot menus."""
        return f"{self.title['en']} {self.version}"


def distribution(repo: str) -> Distribution:
    """What the medium mounted at `repo` holds. Raises InstallError when distribution.json is absent or broken."""
    path = Path(repo, "asrbox/distribution.json")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        install = data["install"]
        return Distribution(
            title=data["title"],
            version=data["version"],
            label="ASRBOX_" + data["version"].replace(".", "_"),
            minimum_disk=int(install["minimum_disk"]),
            timezone=install["timezone"],
            language=install["language"],
            appliances=tuple(item["name"] for item in data["appliances"]),
            ipv6="host6" in data.get("network", {}),
        )
    except (OSError, ValueError, KeyError) as error:
        raise InstallError(
            f"{path} cannot be read: {type(error).__name__} {error}", "write the medium again, it is not complete"
        ) from error


def present(runner: Runner) -> None:
    """Make the medium visible at /run/install/repo, where Anaconda has it, too."""
    if not Path(REPO).is_mount() and not Path(REPO, "ks.cfg").exists():
        if not Path(LIVE).is_mount():
            raise InstallError(f"nothing is mounted at {LIVE}", "start the machine from the installation medium")
        runner.run(["mkdir", "--parents", REPO])
        runner.run(["mount", "--bind", LIVE, REPO])


def seed_text(runner: Runner, repo: str) -> tuple[str, str] | None:
    """Place and text of the answer file: ASRBOX_ANSWERS, the medium, the stick; None when there is none.

    Raises InstallError for a stick without seed.toml: somebody meant to answer, so nothing is guessed.
    """
    if named := os.environ.get("ASRBOX_ANSWERS"):
        return named, _read(Path(named))
    on_medium = Path(repo, "seed.toml")
    if on_medium.exists():
        return str(on_medium), _read(on_medium)
    stick = Path("/dev/disk/by-label", SEED_LABEL)
    if not stick.exists():
        return None
    runner.run(["mkdir", "--parents", SEED_MOUNT])
    runner.run(["mount", "--options", "ro", str(stick), SEED_MOUNT])
    try:
        on_stick = Path(SEED_MOUNT, "seed.toml")
        if not on_stick.exists():
            raise InstallError(
                f"the volume with the label {SEED_LABEL} ({stick.resolve()}) holds no seed.toml",
                "put seed.toml at its top, or take it out to be asked on the console",
            )
        return f"{stick.resolve()}:/seed.toml", _read(on_stick)
    finally:
        runner.run(["umount", SEED_MOUNT])


def check_images(folder: Path) -> None:
    """Raises InstallError when the image set in `folder` is not, byte for byte, the one of its images.json."""
    described = json.loads((folder / "images.json").read_text(encoding="utf-8"))
    path = folder / described["squashfs"]
    remedy = "the medium is damaged: check it with `asrbox verify`, write it again and start over"
    if path.stat().st_size != described["size"]:
        raise InstallError(f"{path.name} has {path.stat().st_size} bytes instead of {described['size']}", remedy)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != described["sha256"]:
        raise InstallError(f"{path.name} has the checksum {found[:12]}… instead of {described['sha256'][:12]}…", remedy)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InstallError(f"{path} cannot be read: {error}", "give a text file in UTF-8") from error
