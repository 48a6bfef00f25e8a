"""Steps: an id is everything that goes in, and a reason is told in words."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from builder.errors import AsrboxError
from builder.step import Step, Work, reasons, walk

EPOCH = 1_795_305_600


def write_note(work: Work, _: object) -> None:
    (work.out / "note").write_text(str(work.options))


def step(root: Path, name: str = "note", **parts: object) -> Step:
    return Step(name, write_note, EPOCH, root, **parts)  # type: ignore[arg-type]


def test_the_same_ingredients_give_the_same_id(tmp_path: Path) -> None:
    assert step(tmp_path, options={"a": 1, "b": 2}).id == step(tmp_path, options={"b": 2, "a": 1}).id


def test_contents_of_files_count_but_their_times_do_not(tmp_path: Path) -> None:
    (tmp_path / "role").mkdir()
    (tmp_path / "role/main.yml").write_text("one")
    before = step(tmp_path, files=(tmp_path / "role",))
    first = before.ingredients, before.id
    (tmp_path / "role/main.yml").write_text("one")
    assert step(tmp_path, files=(tmp_path / "role",)).id == first[1]
    (tmp_path / "role/main.yml").write_text("two")
    after = step(tmp_path, files=(tmp_path / "role",))
    assert after.id != first[1]
    assert reasons(after, first[0]) == ["the file role/main.yml changed"]


def test_a_new_a_gone_and_an_executable_file_count(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    before = step(tmp_path, files=(tmp_path / "a",)).ingredients
    (tmp_path / "a").chmod(0o755)
    assert reasons(step(tmp_path, files=(tmp_path / "a",)), before) == ["the file a changed"]
    (tmp_path / "b").write_text("y")
    assert reasons(step(tmp_path, files=(tmp_path / "b",)), before) == ["the file a is gone", "the file b is new"]


def test_caches_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "role/__pycache__").mkdir(parents=True)
    first = step(tmp_path, files=(tmp_path / "role",)).id
    (tmp_path / "role/__pycache__/x.pyc").write_text("x")
    assert step(tmp_path, files=(tmp_path / "role",)).id == first


def test_a_change_travels_up_and_nowhere_else(tmp_path: Path) -> None:
    def graph(option: str) -> dict[str, Step]:
        base = step(tmp_path, "base")
        one = step(tmp_path, "one", inputs={"base": base}, options={"o": option})
        two = step(tmp_path, "two", inputs={"base": base})
        return {"base": base, "one": one, "two": two, "all": step(tmp_path, "all", inputs={"one": one, "two": two})}

    before, after = graph("x"), graph("y")
    assert [name for name in before if before[name].id != after[name].id] == ["one", "all"]
    assert reasons(after["one"], before["one"].ingredients) == ["the option o changed: x → y"]
    assert reasons(after["all"], before["all"].ingredients) == ["its input one changed"]


def test_lists_of_packages_are_compared_entry_by_entry(tmp_path: Path) -> None:
    before = step(tmp_path, options={"packages": [["bash", "5.2"], ["dash", "0.5"]]}).ingredients
    after = step(tmp_path, options={"packages": [["bash", "5.3"], ["dash", "0.5"]]})
    assert reasons(after, before) == ["the option packages changed: -bash 5.2, +bash 5.3"]


def test_of_an_option_with_parts_the_changed_parts_are_named(tmp_path: Path) -> None:
    before = step(tmp_path, options={"steps": {"initrd": "a", "grub": "b"}}).ingredients
    after = step(tmp_path, options={"steps": {"initrd": "a", "grub": "c", "sbom": "d"}})
    assert reasons(after, before) == ["the option steps changed: grub, sbom"]


def test_the_code_counts(tmp_path: Path) -> None:
    module = sys.modules["builder.step"]
    assert step(tmp_path, code=(module,)).id != step(tmp_path).id
    before = {**step(tmp_path).ingredients, "code": {"builder.step": "other"}}
    assert reasons(step(tmp_path, code=(module,)), before) == ["the code in builder.step changed"]


def test_every_step_comes_after_its_inputs_and_once(tmp_path: Path) -> None:
    base = step(tmp_path, "base")
    one, two = step(tmp_path, "one", inputs={"b": base}), step(tmp_path, "two", inputs={"b": base})
    names = [found.name for found in walk([step(tmp_path, "all", inputs={"one": one, "two": two}), one])]
    assert names == ["base", "one", "two", "all"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AsrboxError, match="absent.yml is needed for the build but does not exist"):
        _ = step(tmp_path, files=(tmp_path / "absent.yml",)).id
