"""Who decides: the answer file, or the person at the console. The result is one set of answers and one disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from appliances.base.installer import facts, guard, links, media
from appliances.base.installer.ask import Dialogue, Offer, Terminal
from appliances.base.installer.disks import Block
from appliances.base.installer.errors import InstallError
from appliances.base.installer.fragments import fragments
from appliances.base.installer.media import Distribution
from appliances.base.installer.runner import Runner
from appliances.base.installer.seed import DiskSelector, Seed, SeedError, check_text

ACCEPTED = Path("/run/asrbox-install/accepted")


def from_seed(
    place: str, text: str, distribution: Distribution, disks: Sequence[Block], medium: guard.Medium, accepted: str
) -> tuple[Seed, Block]:
    """The answers of a file and the disk it selects; whether that disk may be erased is not asked here.

    `accepted` is the confirmation word of a disk that was allowed earlier since this boot, so that a second attempt
    is not stopped by what the first one left on it. Raises InstallError.
    """
    try:
        seed = check_text(text, distribution.appliances, distribution.ipv6)
    except SeedError as error:
        first = error.problems[0]
        where = ", ".join(part for part in (f"line {first.line}" if first.line else "", first.key or "") if part)
        raise InstallError(
            f"{place}, {where}: {first.message}" if where else f"{place}: {first.message}",
            first.hint,
            [str(problem) for problem in error.problems],
        ) from error
    disk = guard.select(disks, medium, distribution.minimum_disk, _resolved(seed.disk))
    if seed.unattended and disk.word != accepted:
        guard.permit(disk, seed.disk.erase)
    return seed, disk


def decide(
    runner: Runner, distribution: Distribution, repo: str, terminal: Callable[[], Terminal]
) -> tuple[Seed, Block]:
    """Answers and disk for this machine, out of the answer file or by asking on `terminal()`. Raises InstallError."""
    runner.run(["udevadm", "settle", "--timeout=60"])
    links.bring_up(runner)
    disks = facts.disks(runner)
    medium = facts.medium(runner, distribution.label)
    found = media.seed_text(runner, repo)
    accepted = ACCEPTED.read_text() if ACCEPTED.exists() else ""
    if found:
        seed, disk = from_seed(*found, distribution, disks, medium, accepted)
        if not seed.unattended:
            Dialogue(terminal(), _offer(runner, distribution, [disk])).confirm(disk, seed)
    else:
        suitable = guard.candidates(disks, medium, distribution.minimum_disk)
        if not suitable:
            guard.select(disks, medium, distribution.minimum_disk, DiskSelector())
        seed = Dialogue(terminal(), _offer(runner, distribution, suitable)).ask()
        disk = next(disk for disk in suitable if disk.path == seed.disk.path)
    ACCEPTED.parent.mkdir(parents=True, exist_ok=True)
    ACCEPTED.write_text(disk.word)
    return seed, disk


def fragments_for(seed: Seed, disk: Block, distribution: Distribution, group: str) -> dict[str, str]:
    """The files of `%pre` for these answers, path → text."""
    return fragments(
        seed,
        disk,
        group=group,
        timezone=distribution.timezone,
        locale=distribution.language,
        appliances=distribution.appliances,
    )


def _offer(runner: Runner, distribution: Distribution, disks: Sequence[Block]) -> Offer:
    return Offer(
        title=distribution.title["en"],
        version=distribution.version,
        language=distribution.language,
        timezone=distribution.timezone,
        appliances=distribution.appliances,
        links=links.links(),
        disks=tuple(disks),
        hash_password=lambda password: runner.run(["openssl", "passwd", "-6", "-stdin"], stdin=password + "\n").strip(),
    )


def _resolved(selector: DiskSelector) -> DiskSelector:
    """A path below /dev/disk/by-… becomes the device it stands for."""
    if selector.path is None or not Path(selector.path).is_symlink():
        return selector
    return selector.model_copy(update={"path": str(Path(selector.path).resolve())})
