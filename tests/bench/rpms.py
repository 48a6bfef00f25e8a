"""The RPM path and the vendor's medium against the bare tools: dnf, rpm, xorriso."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from builder import vendor, workshop
from builder.bases.rpm import RpmBase
from builder.manifest import parse_size
from builder.pipeline import epoch_of
from builder.run import run
from builder.store import Store
from tests.bench.measure import Measure, measured, seconds
from tests.synthetic.base import Sources, sources
from tests.synthetic_media import make_media

ROOT = Path(__file__).resolve().parents[2]
MEGABYTES = 300  # of the file that is added to the vendor's medium
DNF = """[main]
reposdir=/dev/null
plugins=0
gpgcheck=1
install_weak_deps=0
metadata_expire=0
"""


def measure(scratch: Path) -> list[Measure]:
    """Lock, replay and ISO edit. The packages are those of the synthetic distribution."""
    made = sources(ROOT)
    settings = workshop.Settings(ROOT / "build/store", store_limit=parse_size("20GiB"), **made.options)
    shop = workshop.Workshop(made.resolved, settings, Store(settings.store))
    tools = shop.tools()
    assert isinstance(tools.base, RpmBase)
    wanted = {"host": made.resolved.packages()["host"]}
    packages = tools.base.resolve(wanted)["host"]  # also fills the pool: no figure below is about a network
    lock = seconds(lambda: tools.base.resolve(wanted))
    bare_lock = seconds(lambda: _dnf(scratch / "dnf", made, wanted["host"]))
    files, epoch = tools.base.fetch(packages), epoch_of(made.resolved)
    replay = seconds(lambda: tools.base.bootstrap(scratch / "tree", packages, epoch=epoch, log=scratch / "log"))
    bare_replay = seconds(lambda: _rpm(scratch / "bare", files, epoch))
    edit, bare_edit = _iso(scratch, epoch)
    return [
        measured("lock of the host's RPMs against bare dnf", lock / bare_lock, "×", 1.3),
        measured("replay of the host's RPMs against bare rpm", replay / bare_replay, "×", 1.3),
        measured("vendor's ISO remade against bare xorriso and implantisomd5", edit / bare_edit, "×", 1.3),
        measured(f"lock of {len(packages)} RPMs", lock, "s"),
        measured(f"replay of {len(packages)} RPMs", replay, "s"),
    ]


def _dnf(folder: Path, made: Sources, names: list[str]) -> None:
    """Solve, fetch from the folder, check signatures: what a lock needs, and nothing installed."""
    folder.mkdir()
    mirror, key = Path(made.options["mirror"]), made.options["keyrings"][0]
    repositories = [
        f"[{path.name}]\nbaseurl=file://{path}\ngpgkey=file://{key}\n"
        for path in sorted(mirror.iterdir())
        if (path / "repodata").is_dir()
    ]
    (folder / "dnf.conf").write_text(DNF + "".join(repositories))
    command: list[str | Path] = ["dnf", "--quiet", "--assumeyes", "-c", folder / "dnf.conf", "--releasever=9"]
    command += [f"--installroot={folder / 'root'}", f"--setopt=cachedir={folder / 'cache'}"]
    run([*command, "install", "--downloadonly", f"--downloaddir={folder / 'rpms'}", *names], env={"HOME": str(folder)})


def _rpm(tree: Path, files: list[Path], epoch: int) -> None:
    tree.mkdir()
    script = 'mkdir "$1/proc" "$1/dev"; mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; cd /; t=$1; shift; '
    script += 'exec rpm --root "$t" --dbpath /var/lib/rpm --install --nosignature --excludedocs '
    script += "--define '_netsharedpath /proc:/sys:/dev' \"$@\""
    command: list[str | Path] = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, "sh", tree, *files]
    run(command, env={"SOURCE_DATE_EPOCH": str(epoch), "HOME": "/"}, ok_codes=tuple(range(256)))


def _iso(scratch: Path, epoch: int) -> tuple[float, float]:
    """Seconds to remake a synthetic medium with one big file; the same by xorriso alone."""
    for name, size in (("vmlinuz", 1 << 20), ("initrd.img", 1 << 20), ("big", MEGABYTES << 20)):
        (scratch / name).write_bytes(os.urandom(size))
    (scratch / "ks.cfg").write_text("text\n")
    source = make_media("el9", scratch / "vmlinuz", scratch / "initrd.img", scratch / "boot.iso")
    add = {"ks.cfg": scratch / "ks.cfg", "LiveOS/squashfs.img": scratch / "big"}

    def ours() -> None:
        vendor.remake(
            source,
            scratch / "ours.iso",
            add=add,
            label="ASRBOX_0_1_0",
            kickstart="ks.cfg",
            menu=vendor.MenuOptions("Install asrbox"),
            epoch=epoch,
            log=scratch / "log",
        )

    def bare() -> None:
        maps = [word for name, path in add.items() for word in ("-map", path, f"/{name}")]
        target = scratch / "bare.iso"
        run(["xorriso", "-indev", source, "-outdev", target, "-boot_image", "any", "replay", *maps, "-commit"])
        run(["implantisomd5", "--force", target])
        run(["checkisomd5", target])

    times = seconds(ours), seconds(bare)
    shutil.rmtree(scratch / "boot.iso.parts", ignore_errors=True)
    return times
