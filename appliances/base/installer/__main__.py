"""The command asrbox-install.

asrbox-install                                   install, as the kickstart on the medium says
asrbox-install --answers seed.toml               the same with these answers
asrbox-install --answers seed.toml --dry-run     print what would be done; nothing is changed
… pre --admin-group sudo                         the %pre section: answers, disk guard, include files
… check-images FOLDER                            are the copied images what images.json says?
… network FILE                                   under Anaconda, in the target: set the network as FILE says

Each command imports only what it needs: on a slow machine reading Python modules is a good part of the waiting.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from appliances.base.installer import console, media
from appliances.base.installer.errors import InstallError
from appliances.base.installer.progress import Log, Progress
from appliances.base.installer.runner import Runner
from appliances.base.installer.texts import texts


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it did what it should."""
    given = _parser().parse_args(arguments)
    if given.command == "pre":
        return _told(lambda: pre(given.admin_group, given.medium))
    if given.command == "check-images":
        return _told(lambda: media.check_images(given.folder))
    if given.command == "network":
        return _told(lambda: network(given.folder))
    if given.answers:
        os.environ["ASRBOX_ANSWERS"] = str(given.answers.resolve())
    if given.dry_run:
        return _told(lambda: dry_run(given.medium, given.admin_group))
    return install(given.medium)


def install(repo: str) -> int:
    """Play the kickstart of the medium and restart the machine; on failure say why and leave everything as it is."""
    from appliances.base.installer.player import Player, restart

    log = Log()
    runner = Runner(log)
    progress = Progress(console.choose(), log, texts("en"))
    try:
        media.present(runner)
        distribution = media.distribution(repo)
        progress.texts = texts(distribution.language)
        played = Player(runner, progress, log).play(Path(repo, "ks.cfg"), title=distribution.name)
        progress.done(played.finish)
        restart(runner, played.finish)
    except InstallError as error:
        progress.failed(error)
        return 1
    except Exception as error:
        log(traceback.format_exc())
        place = traceback.extract_tb(error.__traceback__)[-1]
        progress.failed(
            InstallError(
                f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})",
                f"this is a mistake in the installer: please report it with {log.path}",
            )
        )
        return 1
    return 0


def pre(group: str, repo: str) -> None:
    """The %pre section: decide answers and disk, write the include files. Raises InstallError."""
    from appliances.base.installer import answers

    distribution = media.distribution(repo)
    seed, disk = answers.decide(Runner(print), distribution, repo, console.choose)
    for path, text in answers.fragments_for(seed, disk, distribution, group).items():
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        Path(path).touch(mode=0o600)
        Path(path).write_text(text, encoding="utf-8")
    print(f"installing on {disk}")


def network(file: Path) -> None:
    """Write the settings of systemd-networkd: Anaconda knows only those of NetworkManager. Raises InstallError."""
    from appliances.base.installer import kickstart, target
    from appliances.base.installer.links import links
    from appliances.base.installer.player import Player

    player = Player(Runner(print), Progress(console.choose(), Log(), texts("en")), print)
    for action in target.network(kickstart.networks(file.read_text(encoding="utf-8")), "", links()):
        player.do(action)


def dry_run(repo: str, group: str) -> None:
    """Print the answers as kickstart files, and every action that would follow. Raises InstallError."""
    from appliances.base.installer import answers, facts, kickstart, lint
    from appliances.base.installer.plan import plan

    runner = Runner()
    distribution = media.distribution(repo)
    found = media.seed_text(runner, repo)
    if not found:
        raise InstallError("there is no answer file", "give one: asrbox-install --answers seed.toml --dry-run")
    disks = facts.disks(runner)
    seed, disk = answers.from_seed(*found, distribution, disks, facts.medium(runner, distribution.label), "")
    if not seed.unattended:
        print(f"would ask on the console for the word {disk.word} before erasing {disk}")
    files = answers.fragments_for(seed, disk, distribution, group)
    for path, text in files.items():
        print(f"--- {path}\n{_without_hash(text)}")
    text = Path(repo, "ks.cfg").read_text(encoding="utf-8")
    for problem in lint.lint(text, files=files):
        print(f"!!! {problem}")
    wanted = kickstart.read(text, files)
    for phase in plan(wanted, facts.gather(runner, wanted.image.replace(media.REPO, repo)), title=distribution.name):
        print(f"--- {phase.name}")
        for action in phase.actions:
            print(f"  {action}")
    print(f"--- finish\n  {wanted.finish}")


def _without_hash(text: str) -> str:
    return "\n".join(
        line.split("--password=")[0] + "--password=…" if "--password=" in line else line for line in text.splitlines()
    )


def _told(work: Callable[[], None]) -> int:
    try:
        work()
    except InstallError as error:
        sys.stdout.flush()  # both go to one log, whose last line is the sentence for people
        for line in error.details:
            print(line, file=sys.stderr)
        print(f"asrbox: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asrbox-install", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs="?", choices=["install", "pre", "check-images", "network"], default="install")
    parser.add_argument("folder", nargs="?", type=Path, help="folder of the images (check-images), or file (network)")
    parser.add_argument("--answers", type=Path, help="answer file to use instead of the one on the medium")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    parser.add_argument("--medium", default=media.REPO, help="where the medium is mounted")
    parser.add_argument("--admin-group", default="sudo", help="group whose members may use sudo")
    return parser


if __name__ == "__main__":
    sys.exit(main())
