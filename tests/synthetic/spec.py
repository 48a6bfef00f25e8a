"""One spec file for the whole distribution: every RPM is a subpackage, so that rpmbuild starts once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from builder.errors import AsrboxError
from tests.synthetic.package import Entry, Package

VENDOR = "asrbox tests (synthetic)"
UNVERIFIED = "%verify(not md5 size link user group mtime mode caps)"
SETTINGS = """\
%global debug_package %{{nil}}
%global __os_install_post %{{nil}}
%global __check_files %{{nil}}
%global __docdir_path /nowhere
%global _build_id_links none
%global _unpackaged_files_terminate_build 0
%global _binary_payload {payload}
%global _buildhost synthetic.asrbox.internal
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
%global source_date_epoch_from_changelog 0

Name: asrbox-synthetic
Version: 1
Release: 1
Summary: Synthetic RPM distribution of the tests
License: see the packages
%description
The source of all packages of the synthetic distribution.

%install
rmdir "%{{buildroot}}"
mv "{root}" "%{{buildroot}}"
"""


def render(packages: Sequence[Package], root: Path, payload: str) -> str:
    """The text of the spec. `root` holds the files of all packages; `payload` is RPM's name of a compression."""
    parts = [SETTINGS.format(root=root, payload=payload)]
    parts += [_package(package) for package in packages]
    return "\n".join(parts)


def _package(package: Package) -> str:
    lines = [
        f"%package -n {package.name}",
        f"Version: {package.version}",
        f"Release: {package.release}",
        f"Summary: {_plain(package.summary)}",
        f"License: see /usr/share/doc/{package.name}/copyright",
        f"Vendor: {VENDOR}",
        "AutoReqProv: no",
    ]
    if package.epoch != "0":
        lines.append(f"Epoch: {package.epoch}")
    if package.noarch:
        lines.append("BuildArch: noarch")
    lines += [f"Provides: {name}" for name in sorted(set(package.provides))]
    lines += [f"Requires: {name}" for name in sorted(package.requires)]
    lines += [f"Requires(pre): {name}" for name in sorted(package.first)]
    lines += [f"%description -n {package.name}", _plain(package.description), ""]
    if package.pretrans:
        lines += [f"%pretrans -n {package.name} -p <lua>", _escaped(package.pretrans)]
    if package.posttrans:
        lines += [f"%posttrans -n {package.name}", _script(package.posttrans)]
    for trigger in sorted(package.triggers, key=lambda one: -one.priority):
        lines += [
            f"%transfiletriggerin -n {package.name} -P {trigger.priority} -- {trigger.folder}",
            _script(trigger.text),
        ]
    lines.append(f"%files -n {package.name}")
    lines += [_file(path, entry) for path, entry in sorted(package.files.items())]
    return "\n".join(lines) + "\n"


def _file(path: str, entry: Entry) -> str:
    if not re.fullmatch(r"[\w@+=:,./~^\[ -]+", path):
        raise AsrboxError(f"the name {path!r} cannot be written into a spec file", hint="leave it out in a recipe")
    words = []
    if entry.config:
        words.append("%config(noreplace)")
    if entry.scripted:
        words.append(UNVERIFIED)
    if entry.ghost:
        words.append("%ghost")
    if entry.kind == "folder":
        words.append("%dir")
    if entry.kind != "link":
        words.append(f"%attr({entry.mode}, {entry.owner}, {entry.group})")
    else:
        words.append("%attr(-, root, root)")
    return " ".join([*words, f'"{path}"'])


def _script(text: str) -> str:
    """A scriptlet that ends at the first command that fails."""
    return "set -e\n" + _escaped(text)


def _plain(text: str) -> str:
    return _escaped(" ".join(text.split()))


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
