"""A small RPM mirror: packages built here with rpmbuild, signed by GnuPG, indexed by createrepo_c.

It has the layout that `asrbox mirror` writes: <root>/<repository>/Packages/*.rpm and <root>/<repository>/repodata/.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.services.mirror import Signer

HOST_SHELL = ("/bin/dash", "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2")
KERNEL_INSTALL = """#!/bin/sh
# what kernel-install(8) does with its plugins, and an initrd made by the last of them
for plugin in /etc/kernel/install.d/*.install; do
    code=0; "$plugin" "$@" || code=$?
    [ "$code" = 77 ] && exit 0
    [ "$code" = 0 ] || exit "$code"
done
: > /boot/initramfs-made-by-kernel-install
"""


@dataclass(frozen=True)
class Spec:
    """One package to build: `files` maps a path in the tree to (contents, mode); `lines` go into the header."""

    name: str
    version: str = "1.0"
    release: str = "1"
    lines: tuple[str, ...] = ()
    files: dict[str, tuple[bytes, str]] | None = None
    listed: tuple[str, ...] = ()
    scripts: str = ""

    def text(self) -> str:
        """The spec file; nothing is taken from the build host but what `files` says."""
        listed = [f"%attr({mode}, root, root) {path}" for path, (_, mode) in (self.files or {}).items()]
        head = [f"Name: {self.name}", f"Version: {self.version}", f"Release: {self.release}", "License: MIT"]
        head += [f"Summary: test package {self.name}", "BuildArch: noarch", "AutoReqProv: no", *self.lines]
        body = ["%description", "A package of the tests.", "%install", "cp -a %{_sourcedir}/%{name}/. %{buildroot}/"]
        return "\n".join([*head, *body, self.scripts, "%files", *listed, *self.listed]) + "\n"


def build(specs: Sequence[Spec], work: Path) -> dict[str, Path]:
    """Name of a package → its unsigned file, all made by one call of rpmbuild."""
    for spec in specs:
        source = work / "SOURCES" / spec.name
        source.mkdir(parents=True)
        for path, (contents, mode) in (spec.files or {}).items():
            target = source / path.split(" ")[-1].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(contents)
            target.chmod(int(mode, 8))
        for line in spec.listed:
            (source / line.split(" ")[-1].lstrip("/")).mkdir(parents=True, exist_ok=True)
        (work / f"{spec.name}.spec").write_text(spec.text())
    settings = {
        "_topdir": work,
        "__os_install_post": "%{nil}",
        "_build_id_links": "none",
        "_binary_payload": "w1.gzdio",
        "_binaries_in_noarch_packages_terminate_build": "0",
    }
    defines = [word for key, value in settings.items() for word in ("--define", f"{key} {value}")]
    files = [f"{spec.name}.spec" for spec in specs]
    subprocess.run(["rpmbuild", "-bb", "--quiet", *defines, *files], cwd=work, check=True, capture_output=True)
    made = {path.name: path for path in work.glob("RPMS/*/*.rpm")}
    return {spec.name: made[f"{spec.name}-{spec.version}-{spec.release}.noarch.rpm"] for spec in specs}


def sign(files: Sequence[Path], signer: Signer) -> None:
    """Sign files in place; a signature that is there is replaced."""
    settings = {"__gpg": "/usr/bin/gpg", "_gpg_path": signer.home, "_gpg_name": fingerprint(signer)}
    defines = [word for key, value in settings.items() for word in ("--define", f"{key} {value}")]
    subprocess.run(["rpmsign", "--resign", *defines, *files], check=True, capture_output=True)


def fingerprint(signer: Signer) -> str:
    """Fingerprint of the signer's key, 40 hex digits."""
    command = ["gpg", "--batch", "--homedir", signer.home, "--list-keys", "--with-colons"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return next(line.split(":")[9] for line in lines if line.startswith("fpr"))


@dataclass
class RpmMirror:
    """A folder of repositories. Put packages in, then `publish`; remove or damage files to see what happens."""

    root: Path

    def put(self, repository: str, *files: Path) -> None:
        """Copy packages into a repository; `publish` makes them known."""
        folder = self.root / repository / "Packages"
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            shutil.copyfile(path, folder / path.name)

    def file(self, name: str) -> Path:
        """The file of a package, whatever its version."""
        (found,) = self.root.glob(f"*/Packages/{name}-[0-9]*.rpm")
        return found

    def publish(self, *repositories: str) -> None:
        """Write repodata/."""
        for name in repositories:
            subprocess.run(["createrepo_c", "--quiet", self.root / name], check=True, capture_output=True)

    def declare_module(self, repository: str, name: str, streams: dict[str, str], *, default: str) -> None:
        """Say that packages (name-epoch:version-release.arch by stream) are streams of one module."""
        documents: list[dict[str, Any]] = [
            {
                "document": "modulemd",
                "version": 2,
                "data": {
                    "name": name,
                    "stream": stream,
                    "version": 1,
                    "context": "deadbeef",
                    "arch": "x86_64",
                    "summary": f"module {name}",
                    "description": "A module of the tests.",
                    "license": {"module": ["MIT"]},
                    "dependencies": [{"requires": {"platform": ["el9"]}}],
                    "artifacts": {"rpms": [package]},
                },
            }
            for stream, package in streams.items()
        ]
        documents.append(
            {"document": "modulemd-defaults", "version": 1, "data": {"module": name, "stream": default, "profiles": {}}}
        )
        listed = self.root / "modules.yaml"
        listed.write_text(yaml.safe_dump_all(documents, explicit_start=True, explicit_end=True))
        modify = ["modifyrepo_c", "--mdtype=modules", listed, self.root / repository / "repodata"]
        subprocess.run(modify, check=True, capture_output=True)


def shell() -> dict[str, tuple[bytes, str]]:
    """The build host's smallest shell with what it needs, so that scriptlets can run in a tree."""
    files = {path: (Path(path).read_bytes(), "755") for path in HOST_SHELL[1:]}
    return {"/bin/sh": (Path(HOST_SHELL[0]).read_bytes(), "755"), **files}
