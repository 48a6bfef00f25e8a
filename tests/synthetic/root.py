"""The files of all packages in one folder, as rpmbuild wants them, and what belongs to which package.

Folders of the old layout are merged into /usr, documents that no server needs stay behind, owners become names.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import stat
from pathlib import Path

from builder.bases.debian_tree import FILES
from builder.errors import AsrboxError
from tests.synthetic.data_files import FromFile, Recipe
from tests.synthetic.deb import Deb
from tests.synthetic.package import Entry, Kind, Package

SKELETON = "base-files"  # its folders are everybody's: no other package lists them
PASSWD = "usr/share/base-passwd"
MERGED = ("bin", "sbin", "lib", "lib64")


class Root:
    """`folder` gets the files of every package; `data` is the folder of recipes' files; `debs` name the accounts."""

    def __init__(self, folder: Path, data: Path, debs: dict[str, Deb]) -> None:
        self.folder = folder
        self._files = data / "files"
        self._owner_of: dict[str, str] = {}
        self._folders: dict[str, Entry] = {}
        self._everybodys: set[str] = set()
        self._users = _accounts(debs, "passwd.master")
        self._groups = _accounts(debs, "group.master")
        self._excluded = _path_rules()
        folder.mkdir()

    def take(self, package: Package, deb: Deb) -> None:
        """Move the files of an unpacked .deb here and list them in `package`. Take base-files before all others.

        Raises AsrboxError when another package has brought a file already, or an owner has no name.
        """
        for path, source in _walk(deb.root):
            if self._leaves_out(path, source):
                continue
            place = merged(path)
            info = source.lstat()
            entry = Entry(_kind(info), f"{stat.S_IMODE(info.st_mode):04o}")
            entry.owner = self._name(self._users, info.st_uid, package, place)
            entry.group = self._name(self._groups, info.st_gid, package, place)
            entry.config = path in deb.conffiles
            self._add(package, place, entry, source)
        if package.name == SKELETON:
            self._everybodys = {path for path, entry in package.files.items() if entry.kind == "folder"}

    def apply(self, package: Package, recipe: Recipe) -> None:
        """Do what a recipe says. Raises AsrboxError when it names a file that the package has not."""
        for path in recipe.remove:
            self._remove(package, path)
        for old, new in recipe.moves.items():
            self._need(package, old, "moves")
            self._make_parent(new)
            (self.folder / old[1:]).rename(self.folder / new[1:])
            package.files[new] = package.files.pop(old)
        for path, pairs in recipe.edits.items():
            self._edit(package, path, pairs)
        for path, mode in recipe.folders.items():
            (self.folder / path[1:]).mkdir(parents=True, exist_ok=True)
            package.files[path] = _entry("folder", mode)
        for path, source in recipe.copies.items():
            self._need(package, source, "copies")
            self.write(package, path, (self.folder / source[1:]).read_text())
        for path, text in recipe.texts.items():
            self.write(package, path, (self._files / text.file).read_text() if isinstance(text, FromFile) else text)
        for path, target in recipe.links.items():
            self.link(package, path, target)
        for path, mode in recipe.modes.items():
            self._need(package, path, "modes")
            entry = package.files[path]
            package.files[path] = _entry(entry.kind, mode, config=entry.config)
        for path in recipe.scripted:
            self._need(package, path, "scripted")
            package.files[path].scripted = True
        for path in recipe.ghosts:
            self._need(package, path, "ghosts")
            package.files[path].ghost = True
        package.requires.update(recipe.requires)
        package.provides += recipe.provides

    def write(self, package: Package, path: str, text: str, mode: str = "0644") -> None:
        """A new text file of `package`; one below /etc is kept when somebody has changed it."""
        self._make_parent(path)
        self._claim(package, path)
        (self.folder / path[1:]).write_text(text)
        package.files[path] = _entry("file", mode, config=path.startswith("/etc/"))

    def link(self, package: Package, path: str, target: str) -> None:
        """A new symbolic link of `package`."""
        self._make_parent(path)
        self._claim(package, path)
        (self.folder / path[1:]).symlink_to(target)
        package.files[path] = Entry("link")

    def _make_parent(self, path: str) -> None:
        (self.folder / path[1:]).parent.mkdir(parents=True, exist_ok=True)

    def _add(self, package: Package, place: str, entry: Entry, source: Path) -> None:
        target = self.folder / place[1:]
        if entry.kind == "folder":
            target.mkdir(parents=True, exist_ok=True)
            known = self._folders.setdefault(place, entry)
            if place not in self._everybodys:
                package.files[place] = Entry("folder", known.mode, known.owner, known.group)
            return
        self._claim(package, place)
        self._make_parent(place)
        source.rename(target)
        package.files[place] = entry

    def _claim(self, package: Package, place: str) -> None:
        first = self._owner_of.setdefault(place, package.name)
        if place in package.files or first != package.name:
            raise AsrboxError(
                f"{place} is in the packages {first} and {package.name}",
                hint="say in tests/synthetic/data/recipes.yaml which one is removed",
            )

    def _remove(self, package: Package, path: str) -> None:
        below = (name for name in package.files if name == path or name.startswith(f"{path}/"))
        gone = sorted(below, reverse=True)  # what is in a folder before the folder
        if not gone:
            self._need(package, path, "remove")
        for name in gone:
            place = self.folder / name[1:]
            if package.files.pop(name).kind != "folder":
                place.unlink()
                del self._owner_of[name]
            elif not any(place.iterdir()):
                place.rmdir()

    def _edit(self, package: Package, path: str, pairs: dict[str, str]) -> None:
        self._need(package, path, "edits")
        place = self.folder / path[1:]
        text = place.read_text()
        for old, new in pairs.items():
            if old not in text:
                raise AsrboxError(f"the recipe of {package.name} edits {old!r} in {path}, where it is not")
            text = text.replace(old, new)
        place.write_text(text)

    def _need(self, package: Package, path: str, what: str) -> None:
        if path not in package.files:
            raise AsrboxError(
                f"the recipe of {package.name} has {path} under {what}, and the package has no such file",
                hint="correct tests/synthetic/data/recipes.yaml",
            )

    def _name(self, accounts: dict[int, str], number: int, package: Package, place: str) -> str:
        if number not in accounts:
            raise AsrboxError(f"{place} of {package.name} belongs to the account number {number}, which has no name")
        return accounts[number]

    def _leaves_out(self, path: str, source: Path) -> bool:
        """Whether the paths of our dpkg configuration leave this file out; folders only when nothing is in them.

        A link in the folder of documents stays: the package has the licence of another one.
        """
        if source.is_symlink() and source.parent.match("usr/share/doc"):
            return False
        keep = True
        for pattern, includes in self._excluded:
            if fnmatch.fnmatchcase(path, pattern):
                keep = includes
        if keep or source.is_symlink() or not source.is_dir():
            return not keep
        return all(self._leaves_out(f"{path}/{entry.name}", entry) for entry in source.iterdir())


def merged(path: str) -> str:
    """/bin/x → /usr/bin/x; the links /bin, /lib … themselves stay."""
    top, slash, rest = path[1:].partition("/")
    return f"/usr{path}" if slash and rest and top in MERGED else path


def _walk(root: Path) -> list[tuple[str, Path]]:
    """(path in the tree, place) of all files and folders of an unpacked .deb, sorted, folders before their contents."""
    found = []
    for folder, folders, files in os.walk(root):
        place = Path(folder)
        if place == root:
            folders.remove("DEBIAN")
        found += [(f"/{(place / name).relative_to(root)}", place / name) for name in [*folders, *files]]
    return sorted(found)


def _kind(info: os.stat_result) -> Kind:
    if stat.S_ISLNK(info.st_mode):
        return "link"
    return "folder" if stat.S_ISDIR(info.st_mode) else "file"


def _entry(kind: Kind, mode: str, *, config: bool = False) -> Entry:
    digits, owner, group = (mode.split(" ") + ["root", "root"])[:3]
    return Entry(kind, digits, owner, group, config=config)


def _accounts(debs: dict[str, Deb], master: str) -> dict[int, str]:
    """Number → name of the accounts that every Debian has, and of root."""
    found = {0: "root"}
    if "base-passwd" in debs:
        for line in (debs["base-passwd"].root / PASSWD / master).read_text().splitlines():
            name, _, number = line.split(":")[:3]
            found[int(number)] = name
    return found


def _path_rules() -> list[tuple[str, bool]]:
    """(pattern, whether it includes) of builder/bases/files/dpkg-paths.cfg: both families leave out the same files."""
    rules = []
    for line in (FILES / "dpkg-paths.cfg").read_text().splitlines():
        key, _, pattern = line.partition("=")
        if key in ("path-include", "path-exclude"):
            rules.append((pattern, key == "path-include"))
    return rules


def remove_unpacked(debs: dict[str, Deb]) -> None:
    """Throw away what of the .debs was not taken."""
    for deb in debs.values():
        shutil.rmtree(deb.root)
