"""Hash-locked requirements and the Python environment of a tree, with wheels that are made here."""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from builder import wheels
from builder.errors import AsrboxError
from builder.wheel_resolve import parse_requirement
from builder.wheels import LockedWheel

A, B = "a" * 64, "b" * 64
EPOCH = 1_763_769_600
FILES = {"greet/__init__.py": "def main():\n    print('hello')\n", "greet/data.txt": "hello\n"}


def make_wheel(folder: Path, files: dict[str, str] = FILES, *, false_hash: bool = False) -> Path:
    """A wheel of `files` with one console script, as PEP 427 wants it."""
    info = "greet-1.0.dist-info"
    contents = files | {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ngreet = greet:main\n",
    }
    rows = [f"{name},sha256={_digest(text)},{len(text.encode())}" for name, text in contents.items()]
    contents[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    if false_hash:
        contents["greet/data.txt"] += "and more\n"
    path = folder / "greet-1.0-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in contents.items():
            archive.writestr(name, text)
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def picture(tree: Path) -> dict[str, tuple[int, float, bytes]]:
    """Every file of a tree: mode, time, contents or target of the link."""
    found = {}
    for path in sorted(tree.rglob("*")):
        status = path.lstat()
        data = bytes(path.readlink()) if path.is_symlink() else b"" if path.is_dir() else path.read_bytes()
        found[str(path.relative_to(tree))] = (status.st_mode, status.st_mtime, data)
    return found


def test_a_requirements_file_is_read_back_as_it_was_written(tmp_path):
    locked = [LockedWheel("click", "8.1", (A, B)), LockedWheel("tomli", "2.0", (B,), ("3.11",))]

    wheels.write(tmp_path / "locks/tools.txt", locked, "Tools")

    assert wheels.read(tmp_path / "locks/tools.txt") == locked


def test_the_file_is_what_pip_takes_with_require_hashes_and_names_no_index():
    text = wheels.render([LockedWheel("tomli", "2.0", (B,), ("3.11",)), LockedWheel("click", "8.1", (A, B))], "Tools")

    assert text == (
        "# Tools\n"
        "# Written by `asrbox lock`; install with: pip install --require-hashes -r FILE\n"
        f"click==8.1 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n"
        f'tomli==2.0 ; python_version == "3.11" \\\n    --hash=sha256:{B}\n'
    )


@pytest.mark.parametrize(
    "line",
    [
        "click",
        "click==8.1",
        "click>=8 --hash=sha256:" + A,
        "click==8.1 --hash=md5:" + A,
        "--index-url http://x.example",
    ],
)
def test_anything_but_a_pinned_hashed_wheel_is_refused_with_its_line(tmp_path, line):
    path = tmp_path / "host.txt"
    path.write_text(wheels.render([LockedWheel("babel", "2.0", (A,))], "Host") + line + "\n")

    with pytest.raises(AsrboxError, match=r"host\.txt:5: not a line NAME==VERSION --hash=sha256"):
        wheels.read(path)


def test_an_absent_requirements_file_is_told_with_its_remedy(tmp_path):
    with pytest.raises(AsrboxError, match="there is no lock of Python parts") as caught:
        wheels.read(tmp_path / "none.txt")

    assert caught.value.hint == "run: asrbox lock"


def test_a_requirement_that_is_none_is_named():
    with pytest.raises(AsrboxError, match="no Python requirement: 'click >> 8'"):
        parse_requirement("click >> 8")


def test_the_tree_gets_a_virtual_environment_with_code_and_scripts(tmp_path):
    wheels.install(tmp_path / "tree", [make_wheel(tmp_path)], epoch=EPOCH)

    home = tmp_path / "tree/opt/asrbox"
    site = home / "lib/python3.13/site-packages"
    assert (site / "greet/__init__.py").read_text() == FILES["greet/__init__.py"]
    assert (home / "bin/greet").read_text().splitlines()[0] == "#!/opt/asrbox/bin/python"
    assert [str((home / "bin" / name).readlink()) for name in ("python", "python3")] == ["/usr/bin/python3"] * 2
    assert "include-system-site-packages = false" in (home / "pyvenv.cfg").read_text().splitlines()
    assert list(home.rglob("*.pyc")) == []


def test_no_file_names_the_machine_that_built_the_tree(tmp_path):
    wheels.install(tmp_path / "tree", [make_wheel(tmp_path)], epoch=EPOCH)

    assert [name for name, (_, _, data) in picture(tmp_path / "tree").items() if str(tmp_path).encode() in data] == []


def test_the_same_wheels_give_the_same_bytes_modes_and_times(tmp_path):
    wheel = make_wheel(tmp_path)
    wheels.install(tmp_path / "one", [wheel], epoch=EPOCH)
    earlier = os.umask(0o077)
    try:
        wheels.install(tmp_path / "two", [wheel], epoch=EPOCH)
    finally:
        os.umask(earlier)

    one, two = picture(tmp_path / "one/opt/asrbox"), picture(tmp_path / "two/opt/asrbox")
    assert one == two
    assert {time for _, time, _ in one.values()} == {EPOCH}


def test_a_wheel_whose_contents_differ_from_its_record_is_named(tmp_path):
    wheel = make_wheel(tmp_path, false_hash=True)

    with pytest.raises(AsrboxError, match=r"the wheel greet-1\.0-py3-none-any\.whl cannot be installed"):
        wheels.install(tmp_path / "tree", [wheel], epoch=EPOCH)


def test_offline_the_pool_is_searched_by_checksum(tmp_path):
    wheel = make_wheel(tmp_path / "pool")
    locked = LockedWheel("greet", "1.0", (A, hashlib.sha256(wheel.read_bytes()).hexdigest()))

    assert wheels.fetch([locked], tmp_path / "pool", offline=True) == [wheel]


def test_offline_an_absent_or_changed_wheel_is_named(tmp_path):
    wheel = make_wheel(tmp_path / "pool")
    locked = LockedWheel("greet", "1.0", (hashlib.sha256(wheel.read_bytes()).hexdigest(),))
    wheel.write_bytes(wheel.read_bytes() + b"x")

    with pytest.raises(AsrboxError, match=r"offline, and the pool .* lacks: greet 1\.0"):
        wheels.fetch([locked], tmp_path / "pool", offline=True)
