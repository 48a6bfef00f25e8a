"""From the Debian lock and the pool to a mirror folder of the synthetic distribution."""

from __future__ import annotations

import calendar
import hashlib
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from builder import lock, log, sign
from builder.bases import LockedPackage
from builder.bases.pool import alone
from builder.errors import AsrboxError
from builder.run import run
from tests.synthetic.accounts import write_accounts
from tests.synthetic.data_files import ElName, Recipe, Recipes, check_wanted, read_names, read_recipes
from tests.synthetic.deb import Deb, evr, requirements, unpack
from tests.synthetic.package import Package, Script
from tests.synthetic.repository import KEY_FILE, index, lay_out, signer
from tests.synthetic.root import SKELETON, Root, remove_unpacked
from tests.synthetic.spec import render

HERE = Path(__file__).parent
DATA = HERE / "data"
PAYLOAD = "w1.zstdio"  # the files are read once or twice: speed before size
DAY = 86400
JOBS = 2


@dataclass(frozen=True)
class Mirror:
    """A mirror folder with one subfolder per repository, and the public key that signed all of it."""

    folder: Path
    key: Path


def generate(pool: Path, lock_file: Path, out: Path, *, manifests: Path | None = None, data: Path = DATA) -> Mirror:
    """The synthetic distribution of the packages of a Debian lock, made below `out` unless it is there already.

    `pool` is a folder of <sha256>.deb (only read); `manifests` is a checkout whose `el:` names must all be known.
    The signing key is made once per `out`. Raises AsrboxError: packages missing in the pool or damaged, an unknown
    EL name, data that does not fit the lock, a tool that is missing.
    """
    locked = {package.name: package for package in lock.read(lock_file).packages()}
    recipes = read_recipes(data, set(locked))
    names = read_names(data, set(locked) - set(recipes.left_out))
    if manifests is not None:
        check_wanted(manifests, names)
    wanted = {name: package for name, package in locked.items() if name not in recipes.left_out}
    out = out.absolute()  # rpmbuild takes no other
    out.mkdir(parents=True, exist_ok=True)
    with alone(out / ".lock", f"another generator in {out}"):
        mirror = out / _identity(lock_file, data)
        if not mirror.is_dir():
            work = out / ".work"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            epoch = _epoch(lock.read(lock_file).made)
            with log.step(f"synthetic RPM distribution of {len(wanted)} Debian packages"):
                _make(work, pool, wanted, recipes, names, data, out / "signing-key.asc", epoch)
            (work / "mirror").rename(mirror)
            shutil.rmtree(work)
    return Mirror(mirror, mirror / KEY_FILE)


def _make(
    work: Path,
    pool: Path,
    wanted: Mapping[str, LockedPackage],
    recipes: Recipes,
    names: dict[str, ElName],
    data: Path,
    key: Path,
    epoch: int,
) -> None:
    files = _pool_files(pool, wanted)
    with log.step("unpack"), ThreadPoolExecutor(JOBS) as threads:
        (work / "unpacked").mkdir()
        unpacked = threads.map(lambda name: unpack(files[name], work / "unpacked" / name), sorted(files))
        debs = {deb.name: deb for deb in unpacked}
    with log.step("convert"):
        packages = _convert(debs, recipes, names, Root(work / "root", data, debs), data, epoch // DAY)
        remove_unpacked(debs)
    with log.step(f"build {len(packages)} RPMs"):
        built = _build(work, packages, epoch)
    mirror = work / "mirror"
    with log.step("sign and index"), signer(key, epoch, key.with_name("signing.log")) as signing:
        signing.sign_packages(lay_out(mirror, built, recipes.repositories))
        index(mirror, list(recipes.repositories), data / "comps.xml", signing, epoch)


def _pool_files(pool: Path, wanted: Mapping[str, LockedPackage]) -> dict[str, Path]:
    files = {name: pool / f"{package.sha256}.deb" for name, package in wanted.items()}
    absent = [name for name, file in sorted(files.items()) if not file.is_file()]
    if absent:
        raise AsrboxError(
            f"the pool {pool} lacks {len(absent)} packages of the lock: {', '.join(absent[:10])}",
            hint="build the Debian distribution once, which fills the pool: make iso",
        )
    for name, file in files.items():
        if sign.sha256(file) != wanted[name].sha256:
            raise AsrboxError(f"the pool's file of {name} is damaged: {file}", hint="remove it and run: make iso")
    return files


def _convert(
    debs: dict[str, Deb], recipes: Recipes, names: dict[str, ElName], root: Root, data: Path, day: int
) -> list[Package]:
    """All packages with their files in `root`, sorted by name."""
    packages = {}
    left_out = recipes.left_out
    for deb in sorted(debs.values(), key=lambda one: (one.name != SKELETON, one.name)):
        packages[deb.name] = package = _of_deb(deb)
        package.requires.update(requirements(deb, debs, left_out))
        root.take(package, deb)
    if SKELETON in packages:  # nobody depends on what is essential, Debian has it always
        packages[SKELETON].requires.update(deb.name for deb in debs.values() if deb.essential and deb.name != SKELETON)
    for name, own in recipes.own.items():
        packages[name] = Package(name, own.version, own.summary, own.summary)
    if "base-passwd" in packages:
        write_accounts(root, packages["base-passwd"], day)
    for name, package in packages.items():
        root.apply(package, recipes.own[name].recipe if name in recipes.own else recipes.packages.get(name, Recipe()))
    for name, entry in names.items():
        _give_el_name(packages, name, entry, root)
    for package in packages.values():
        if any((entry.owner, entry.group) != ("root", "root") for entry in package.files.values()):
            package.first.add("base-passwd")
        package.posttrans = _text(data / "scriptlets" / f"{package.name}.sh")
        package.pretrans = _text(data / "scriptlets" / f"{package.name}.lua")
    for trigger in recipes.triggers:
        text = (data / "triggers" / f"{trigger.script}.sh").read_text()
        packages[trigger.package].triggers.append(Script(trigger.folder, trigger.priority, text))
    return [packages[name] for name in sorted(packages)]


def _text(file: Path) -> str:
    return file.read_text() if file.is_file() else ""


def _of_deb(deb: Deb) -> Package:
    epoch, version, release = evr(deb.version)
    package = Package(
        deb.name,
        version,
        f"{deb.summary} (synthetic)",
        f"The Debian package {deb.name} {deb.version}, repackaged for tests of asrbox. It is no package of CentOS.",
        epoch=epoch,
        release=release,
        noarch=deb.architecture == "all",
    )
    for name, given in deb.provides:
        numbers = evr(given)
        package.provides.append(f"{name} = {numbers[0]}:{numbers[1]}-{numbers[2]}" if given else name)
    return package


def _give_el_name(packages: dict[str, Package], name: str, entry: ElName, root: Root) -> None:
    """EL's name for packages of the lock: a package of its own, or more for the package that has this name already."""
    if name not in packages:
        first = packages[entry.packages[0]] if entry.packages else None
        summary = f"EL's name for {', '.join(entry.packages)} (synthetic)" if first else "Empty (synthetic)"
        packages[name] = Package(
            name,
            first.version if first else "0",
            summary,
            entry.note or summary,
            epoch=first.epoch if first else "0",
            release=first.release if first else "1",
        )
    packages[name].requires.update(package for package in entry.packages if package != name)
    for path, target in entry.links.items():
        root.link(packages[name], path, target)


def _build(work: Path, packages: list[Package], epoch: int) -> dict[str, Path]:
    """Run rpmbuild → package name → its file."""
    build_log = work.parent / "rpmbuild.log"
    build_log.unlink(missing_ok=True)
    spec = work / "synthetic.spec"
    spec.write_text(render(packages, work / "root", PAYLOAD))
    home = work / "home"
    home.mkdir()
    command = ["rpmbuild", "-bb", "--quiet", "--nodeps", "--noclean", "--target=x86_64-linux"]
    for name, value in {"_topdir": work / "rpmbuild", "_dbpath": home / "rpmdb", "_tmppath": home}.items():
        command += ["--define", f"{name} {value}"]
    environment = {"HOME": str(home), "SOURCE_DATE_EPOCH": str(epoch)}
    run([*command, spec], env=environment, log=build_log)
    built = {file.name: file for file in (work / "rpmbuild/RPMS").glob("*/*.rpm")}
    found = {}
    for package in packages:
        architecture = "noarch" if package.noarch else "x86_64"
        file = f"{package.name}-{package.version}-{package.release}.{architecture}.rpm"
        if file not in built:
            raise AsrboxError(f"rpmbuild made no {file}", hint=f"read {build_log}")
        found[package.name] = built[file]
    return found


def _identity(lock_file: Path, data: Path) -> str:
    """Name of the folder: everything that decides what is in it."""
    digest = hashlib.sha256(lock_file.read_bytes())
    for file in sorted([*HERE.glob("*.py"), *data.rglob("*")]):
        if file.is_file():
            digest.update(f"{file.name} {sign.sha256(file)}\n".encode())
    return digest.hexdigest()[:16]


def _epoch(day: str) -> int:
    return calendar.timegm(time.strptime(day, "%Y-%m-%d"))
