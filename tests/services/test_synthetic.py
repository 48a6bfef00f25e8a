"""The generator of the synthetic RPM distribution, fed with three small packages made here; rpm says what came out."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from builder import lock
from builder.bases import LockedPackage
from builder.errors import AsrboxError
from builder.lock import Lock
from builder.run import run
from tests.synthetic.generate import Mirror, generate

RECIPES = """
left_out: {old-manager: only Debian has it}
repositories: {epel: [library], baseos: ["*"], crb: []}
triggers: [{package: library, folder: /usr/lib/trial, priority: 1000100, script: count}]
own:
  trial-release:
    version: "9.0"
    summary: Release
    recipe:
      provides: [system-release = 9]
      texts: {/usr/lib/os-release: {file: os-release}}
packages:
  program:
    texts: {/etc/program.d/made: "by the recipe\\n"}
    links: {/usr/bin/short: program}
    modes: {/usr/lib/trial/tool: 4755 root root}
    requires: [system-release]
"""
NAMES = """
el-program: {packages: [program], links: {/usr/bin/el-program: program}}
library: {packages: [library]}
nothing: {packages: [], note: there is none}
"""
COMPS = """<?xml version="1.0"?>
<comps><group><id>core</id><name>Core</name><packagelist>
<packagereq type="mandatory">el-program</packagereq></packagelist></group></comps>
"""


def make_deb(folder: Path, name: str, control: str, files: dict[str, str], conffiles: str = "") -> LockedPackage:
    """A .deb of the pool, and its row of the lock."""
    root = folder / name
    (root / "DEBIAN").mkdir(parents=True)
    fields = f"Package: {name}\nMaintainer: nobody <nobody@invalid>\nDescription: the {name}\n of the test\n"
    (root / "DEBIAN/control").write_text(fields + control)
    if conffiles:
        (root / "DEBIAN/conffiles").write_text(conffiles)
    for path, text in files.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    file = folder / f"{name}.deb"
    run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", root, file])
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / "pool").mkdir(exist_ok=True)
    shutil.copyfile(file, folder / "pool" / f"{digest}.deb")
    version = run(["dpkg-deb", "--field", file, "Version"]).stdout.strip()
    return LockedPackage(name, version, "amd64", digest, file.stat().st_size, "trial/main x")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pool, lock and data of a tiny distribution."""
    folder = tmp_path_factory.mktemp("trial")
    head = "Version: 1:2.0-3-4+b1\nArchitecture: amd64\n"
    packages = [
        make_deb(
            folder,
            "program",
            f"{head}Depends: absent | virtual-library (>= 1), old-manager (>= 1)\nProvides: virtual-program (= 7)\n",
            {
                "/bin/program": "#!/bin/sh\n",
                "/etc/program.conf": "x\n",
                "/usr/lib/trial/tool": "",
                "/usr/share/doc/program/copyright": "free\n",
                "/usr/share/doc/program/changelog": "long\n",
                "/usr/share/odd/two words, [~@": "odd names too\n",
            },
            "/etc/program.conf\n",
        ),
        make_deb(
            folder, "library", "Version: 1.0\nArchitecture: all\nProvides: virtual-library\n", {"/usr/lib/library": ""}
        ),
        make_deb(folder, "old-manager", "Version: 1.0\nArchitecture: all\n", {"/usr/bin/old-manager": ""}),
    ]
    lock.write(folder / "lock.json", Lock("trial", "2026-11-22", {"host": ["program"]}, {"host": packages}))
    data = folder / "data"
    for name in ("files", "scriptlets", "triggers"):
        (data / name).mkdir(parents=True)
    (data / "recipes.yaml").write_text(RECIPES)
    (data / "names.yaml").write_text(NAMES)
    (data / "comps.xml").write_text(COMPS)
    (data / "files/os-release").write_text('NAME="synthetic"\n')
    (data / "triggers/count.sh").write_text("cat > /usr/lib/counted\n")
    (data / "scriptlets/program.sh").write_text("echo 100%\n")
    return folder


def generated(trial: Path, out: Path) -> Mirror:
    return generate(trial / "pool", trial / "lock.json", out, data=trial / "data")


@pytest.fixture(scope="module")
def mirror(trial: Path) -> Mirror:
    return generated(trial, trial / "out")


def rpm_file(mirror: Mirror, repository: str, name: str) -> Path:
    (file,) = (mirror.folder / repository / "Packages").glob(f"{name}-[0-9]*.rpm")
    return file


def query(file: Path, form: str) -> list[str]:
    done = subprocess.run(["rpm", "--query", "--package", "--queryformat", form, file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def contents(folder: Path) -> dict[str, str]:
    """Relative path → sha256 of everything below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_package_is_signed_by_the_key_of_the_mirror(mirror: Mirror, tmp_path: Path) -> None:
    keys = ["--define", f"_dbpath {tmp_path}", "--define", "_pkgverify_level all"]
    files = sorted(mirror.folder.glob("*/Packages/*.rpm"))
    refused = run(["rpmkeys", *keys, "--checksig", *files], ok_codes=(len(files),))  # nobody has told it the key yet
    assert "SIGNATURES NOT OK" in refused.stdout
    run(["rpmkeys", *keys, "--import", mirror.key])
    run(["rpmkeys", *keys, "--checksig", *files])


def test_every_index_is_signed_and_an_empty_repository_has_one(mirror: Mirror, tmp_path: Path) -> None:
    home = {"GNUPGHOME": str(tmp_path)}
    run(["gpg", "--batch", "--quiet", "--no-autostart", "--import", mirror.key], env=home)
    for name in ("baseos", "epel", "crb"):
        index = mirror.folder / name / "repodata/repomd.xml"
        run(["gpg", "--batch", "--no-autostart", "--verify", f"{index}.asc", index], env=home)
    assert not list((mirror.folder / "crb/Packages").iterdir())


def test_the_groups_are_in_the_index_of_baseos_only(mirror: Mirror) -> None:
    assert 'type="group"' in (mirror.folder / "baseos/repodata/repomd.xml").read_text()
    assert 'type="group"' not in (mirror.folder / "epel/repodata/repomd.xml").read_text()


def test_version_dependencies_and_provides_are_said_in_words_of_rpm(mirror: Mirror) -> None:
    program = rpm_file(mirror, "baseos", "program")
    assert query(program, "%{EPOCH}:%{VERSION}-%{RELEASE}.%{ARCH}") == ["1:2.0.3-4+b1.x86_64"]
    needs = {name for name in query(program, "[%{REQUIRES}\n]") if not name.startswith(("rpmlib", "/"))}
    assert needs == {"library", "system-release"}
    assert "virtual-program" in query(program, "[%{PROVIDES}\n]")


def test_files_are_merged_into_usr_and_only_the_licence_of_the_documents_stays(mirror: Mirror) -> None:
    rows = query(rpm_file(mirror, "baseos", "program"), "[%{FILENAMES} %{FILEMODES:perms} %{FILEFLAGS:fflags}\n]")
    files = {row.split(" ")[0]: row.split(" ")[1:] for row in rows}
    assert "/usr/bin/program" in files
    assert "/bin/program" not in files
    assert "/usr/share/doc/program/copyright" in files
    assert "/usr/share/doc/program/changelog" not in files
    assert files["/etc/program.conf"][1] == "cn"
    assert files["/usr/lib/trial/tool"][0] == "-rwsr-xr-x"
    assert "/etc/program.d/made" in files


def test_an_el_name_pulls_what_stands_for_it(mirror: Mirror) -> None:
    alias = rpm_file(mirror, "baseos", "el-program")
    assert "program" in query(alias, "[%{REQUIRES}\n]")
    assert query(alias, "[%{FILENAMES} %{FILELINKTOS}\n]") == ["/usr/bin/el-program program"]
    assert query(rpm_file(mirror, "baseos", "nothing"), "%{DESCRIPTION}") == ["there is none"]


def test_what_is_left_out_is_nowhere(mirror: Mirror) -> None:
    assert not list(mirror.folder.glob("*/Packages/old-manager*"))


def test_rpm_installs_it_into_an_empty_root(mirror: Mirror, tmp_path: Path) -> None:
    files = [rpm_file(mirror, "baseos", name) for name in ("trial-release", "el-program")]
    root: list[str | Path] = [
        "rpm",
        "--root",
        tmp_path,
        "--dbpath",
        "/var/lib/rpm",
        "--noscripts",
        "--nodeps",
        "--nosignature",
    ]
    run([*root, "--install", *files, rpm_file(mirror, "baseos", "program")])
    assert (tmp_path / "usr/lib/os-release").read_text() == 'NAME="synthetic"\n'
    assert (tmp_path / "usr/share/odd/two words, [~@").read_text() == "odd names too\n"
    assert (tmp_path / "usr/bin/el-program").readlink() == Path("program")


def test_the_same_inputs_and_key_make_the_same_bytes_also_after_a_run_that_was_killed(
    trial: Path, mirror: Mirror, tmp_path: Path
) -> None:
    (tmp_path / ".work/mirror").mkdir(parents=True)
    (tmp_path / ".work/mirror/half").write_text("half")
    shutil.copyfile(trial / "out/signing-key.asc", tmp_path / "signing-key.asc")
    again = generated(trial, tmp_path)
    assert again.folder != mirror.folder
    assert contents(again.folder) == contents(mirror.folder)


def test_a_second_call_takes_what_is_there(trial: Path, mirror: Mirror) -> None:
    before = mirror.key.stat().st_ino
    assert generated(trial, trial / "out").key.stat().st_ino == before


def test_a_package_that_the_pool_lacks_is_named(trial: Path, tmp_path: Path) -> None:
    with pytest.raises(AsrboxError, match=r"lacks 2 packages of the lock: library, program") as failure:
        generate(tmp_path / "pool", trial / "lock.json", tmp_path / "out", data=trial / "data")
    assert "make iso" in str(failure.value)
