"""Room for what is about to be made: it is asked for first, since a pool that runs full takes everybody with it.

A thin pool that is full gives I/O errors to every container, and one that is made halfway helps nobody.
"""

from __future__ import annotations

import contextlib
import re
import threading

from appliances.base.agent.errors import AgentError
from appliances.base.agent.imagelist import Image
from appliances.base.agent.incus import Incus
from appliances.base.agent.preseed import POOL

MARGIN = 256 << 20  # bytes that have to stay free in the pool: what runs writes too
DISK_MARGIN = 64 << 20  # the same of the disk that image files are kept on
AGAIN = 30.0  # seconds until one looks again, should nobody say that there is more room now
STEP = "make room"
DISK_REMEDY = "delete what nobody needs there (see: df /var/lib/incus); it then goes on by itself"
FULL = re.compile(r"no space left on device|run out of disk space|insufficient free space", re.IGNORECASE)


class Space:
    """What is free, less what others are about to fill. Safe to use from threads."""

    def __init__(self, incus: Incus) -> None:
        self._incus = incus
        self._promised: dict[str, int] = {}
        self._changed = threading.Condition()

    def reserve(self, image: Image, *, stored: bool) -> None:
        """Keep room for a container of this image, until `release()`. `stored`: its file is there already.

        Waits for others that are about to make something. Raises AgentError that says how much is missing, and where.
        """
        if not stored:
            self._refuse_full_disk(image)
        unpacked = image.fingerprint in self._incus.image_volumes(POOL)
        needed = MARGIN + (0 if unpacked else image.size)
        with self._changed:
            while (missing := self._missing(needed)) > 0:
                if not self._promised:
                    raise AgentError(
                        f"the storage pool {POOL} is full: {_mib(missing)} are missing for the container",
                        appliance=image.appliance,
                        step=STEP,
                        hint=self._remedy(missing),
                    )
                self._changed.wait(AGAIN)
            self._promised[image.appliance] = needed - MARGIN

    def release(self, appliance: str) -> None:
        """What was kept for it has been used, or is not needed any more."""
        with self._changed:
            self._promised.pop(appliance, None)
            self._changed.notify_all()

    def explained(self, error: AgentError, importing: bool) -> AgentError:
        """What Incus says of a place that ran full meanwhile, in words that help; any other error as it is.

        How much is missing then, the next round finds out before it begins.
        """
        if not FULL.search(error.message):
            return error
        where, hint = "the disk of the image files", DISK_REMEDY
        if not importing:
            where = f"the storage pool {POOL}"
            with contextlib.suppress(AgentError):
                hint = self._remedy(max(self._missing(MARGIN), MARGIN))
        return AgentError(f"{where} ran full", appliance=error.appliance, step=error.step, hint=hint)

    def _missing(self, needed: int) -> int:
        """Bytes that the pool lacks for `needed` more; 0 where the daemon cannot tell."""
        space = self._incus.pool_space(POOL)
        if space is None:
            return 0
        used, total = space
        return max(0, needed + sum(self._promised.values()) - (total - used))

    def _refuse_full_disk(self, image: Image) -> None:
        free = self._incus.free_for_images()
        if free is not None and (missing := image.size + DISK_MARGIN - free) > 0:
            raise AgentError(
                f"the disk of the image files is full: {_mib(missing)} are missing for the image",
                appliance=image.appliance,
                step=STEP,
                hint=DISK_REMEDY,
            )

    def _remedy(self, missing: int) -> str:
        pool = self._incus.pool(POOL) or {}
        return remedy(pool.get("driver", ""), pool.get("config") or {}, missing) + "; it then goes on by itself"


def remedy(driver: str, config: dict[str, str], missing: int) -> str:
    """How the pool gets larger by `missing` bytes at least, for the person who reads the error."""
    more = -(-missing >> 30)  # GiB, rounded up
    command = ""
    if driver == "lvm" and "lvm.vg_name" in config:
        pool = f"{config['lvm.vg_name']}/{config.get('lvm.thinpool_name', 'IncusThinPool')}"
        command = f"lvextend --size +{more}G {pool}"
    elif driver == "btrfs" and (size := re.fullmatch(r"(\d+)GiB", config.get("size", ""))):
        command = f"incus storage set {POOL} size={int(size[1]) + more}GiB"
    enlarge = f"enlarge it ({command})" if command else "enlarge it"
    return f"{enlarge} or delete what nobody needs in it"


def _mib(size: int) -> str:
    return f"{-(-size >> 20)} MiB"
