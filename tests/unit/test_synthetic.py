"""The synthetic RPM distribution: its names fit the lock and the manifests; Debian's words become RPM's."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import lock
from builder.errors import AsrboxError
from tests.conftest import ROOT
from tests.synthetic.data_files import ElName, check_wanted, read_names, read_recipes
from tests.synthetic.deb import evr, parse_control, relations
from tests.synthetic.generate import DATA
from tests.synthetic.repository import repository_of
from tests.synthetic.root import merged


def locked() -> set[str]:
    return {package.name for package in lock.read(ROOT / "distro/locks/debian-13.json").packages()}


def test_recipes_and_names_are_about_packages_of_the_lock_and_every_el_name_of_the_manifests_is_known() -> None:
    recipes = read_recipes(DATA, locked())
    names = read_names(DATA, locked() - set(recipes.left_out))
    check_wanted(ROOT, names)
    assert {"kernel", "systemd-udev", "incus", "firebird", "python3.12"} <= names.keys()


def test_every_scriptlet_belongs_to_a_package_that_is_made() -> None:
    recipes = read_recipes(DATA, locked())
    made = locked() - set(recipes.left_out) | set(recipes.own) | set(read_names(DATA, locked()))
    assert {file.stem for file in (DATA / "scriptlets").iterdir()} <= made


def test_an_el_name_that_nobody_knows_is_refused_with_file_line_and_name(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/host.yaml").write_text("image: host\npackages:\n  el:\n    - kernel\n    - unheard-of\n")
    with pytest.raises(AsrboxError, match="knows no EL package unheard-of") as failure:
        check_wanted(tmp_path, {"kernel": ElName(packages=[])})
    assert "images/host.yaml:5" in str(failure.value)
    assert "names.yaml" in str(failure.value)


def test_an_appliance_is_checked_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "appliances/shop"
    folder.mkdir(parents=True)
    (folder / "appliance.yaml").write_text("packages: {debian: [x], el: [unheard-of]}\n")
    with pytest.raises(AsrboxError, match="unheard-of"):
        check_wanted(tmp_path, {})


def test_a_name_that_stands_for_a_package_the_lock_has_not_is_refused(tmp_path: Path) -> None:
    (tmp_path / "names.yaml").write_text("one: {packages: [here]}\ntwo: {packages: [gone]}\n")
    with pytest.raises(AsrboxError, match="the lock has no package gone") as failure:
        read_names(tmp_path, {"here"})
    assert "names.yaml:2" in str(failure.value)


def test_a_recipe_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipes.yaml").write_text("repositories: {}\npackages: {bash: {magic: yes}}\n")
    with pytest.raises(AsrboxError, match="there is no such key"):
        read_recipes(tmp_path, {"bash"})


@pytest.mark.parametrize(
    ("debian", "rpm"),
    [
        ("1.0", ("0", "1.0", "0")),
        ("1:2.0-3-4+b1", ("1", "2.0.3", "4+b1")),
        ("257.13-1~deb13u1", ("0", "257.13", "1~deb13u1")),
    ],
)
def test_a_version_of_debian_in_words_of_rpm(debian: str, rpm: tuple[str, str, str]) -> None:
    assert evr(debian) == rpm


def test_dependencies_lose_their_versions_and_keep_their_alternatives() -> None:
    assert relations("a (>= 1:2~), b | c (<< 3), d:any") == (("a",), ("b", "c"), ("d",))


def test_a_field_goes_on_in_lines_that_are_indented() -> None:
    assert parse_control("Package: a\nDescription: b\n c\n d\n")["Description"] == "b\nc\nd"


def test_folders_of_the_old_layout_are_merged_and_their_links_stay() -> None:
    assert [merged(path) for path in ("/bin", "/bin/sh", "/lib64/ld.so", "/binary/x")] == [
        "/bin",
        "/usr/bin/sh",
        "/usr/lib64/ld.so",
        "/binary/x",
    ]


def test_a_package_that_no_repository_takes_is_an_error() -> None:
    assert repository_of("incus-base", {"incus": ["incus*"], "baseos": ["*"]}) == "incus"
    with pytest.raises(AsrboxError, match="no repository takes the package bash"):
        repository_of("bash", {"incus": ["incus*"]})
