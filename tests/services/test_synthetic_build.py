"""The whole build on RPMs, with real dnf, rpm and Ansible: the ISO of our own, and the vendor's medium remade."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from builder import isofile
from builder.verify import verify
from tests.conftest import Built, build
from tests.synthetic.base import Sources
from tests.synthetic_media import make_media

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def boot_iso(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic medium in the layout of EL9, with a kernel and an initrd that nobody will boot."""
    folder = tmp_path_factory.mktemp("vendor")
    for name in ("vmlinuz", "initrd.img"):
        (folder / name).write_bytes(os.urandom(100_000))
    return make_media("el9", folder / "vmlinuz", folder / "initrd.img", folder / "boot.iso")


def test_the_iso_is_good_and_says_that_it_is_synthetic(built_el: Built) -> None:
    report = verify(built_el.iso)

    assert report.ok, str(report)
    assert built_el.iso.name == "asrbox-0.1.0-synthetic-9-x86_64.iso"
    assert "synthetic" in (built_el.host_tree / "etc/os-release").read_text()


def test_the_trees_are_of_rpms_and_of_the_roles(built_el: Built) -> None:
    for tree in (built_el.host_tree, built_el.appliance_tree("asr_billing")):
        assert (tree / "var/lib/rpm/rpmdb.sqlite").is_file()
        assert not (tree / "var/lib/dpkg/status").exists()
    assert (built_el.host_tree / "etc/systemd/system/multi-user.target.wants/sshd.service").is_symlink()
    unit = (built_el.appliance_tree("asr_billing") / "etc/systemd/system/asrbox-firebird.service").read_text()
    assert "ExecStart=/usr/sbin/firebird" in unit


def test_the_vendors_medium_is_remade_with_the_same_parts(el_sources: Sources, built_el: Built, boot_iso: Path) -> None:
    remade = build(el_sources.resolved, **el_sources.options, boot_iso=boot_iso)

    report = verify(remade.iso)
    assert report.ok, str(report)
    assert remade.iso.name == "asrbox-0.1.0-synthetic-9-anaconda-x86_64.iso"
    assert remade.steps.steps["imageset"].id == built_el.steps.steps["imageset"].id
    inside = isofile.contents(remade.iso)
    kickstart = isofile.read(remade.iso, inside, "/ks.cfg").decode()
    image = hashlib.sha256((built_el.out("squashfs:host") / "squashfs.img").read_bytes()).hexdigest()
    assert f"--checksum={image}" in kickstart
