"""What `asrbox verify` says of a good ISO, and of ISOs that are spoilt in one way each. Real xorriso, real GnuPG."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from builder import sign
from builder.errors import AsrboxError
from builder.verify import Report, verify

LABEL = "ASRBOX_0_1_0"
IMAGES = b"all containers in one squashfs\n" * 5000


def put(path: Path, content: str | bytes | dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, dict):
        content = json.dumps(content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def medium(folder: Path) -> Path:
    """A medium as docs/architecture.md describes it, with stand-ins for the large files."""
    bill = {"spdxVersion": "SPDX-2.3", "packages": [{"name": "tree"}, {"name": "bash"}]}
    files: dict[str, str | bytes | dict[str, Any]] = {
        "boot/grub/grub.cfg": f"linux /images/pxeboot/vmlinuz root=live:CDLABEL={LABEL}\n",
        "boot/grub/i386-pc/eltorito.img": bytes(4096),
        "EFI/BOOT/BOOTX64.EFI": b"MZ",
        "images/pxeboot/vmlinuz": b"kernel",
        "images/pxeboot/initrd.img": b"initrd",
        "LiveOS/squashfs.img": b"hsqs",
        "ks.cfg": "liveimg\n",
        "asrbox/images.squashfs": IMAGES,
        "asrbox/images.json": {
            "squashfs": "images.squashfs",
            "sha256": hashlib.sha256(IMAGES).hexdigest(),
            "size": len(IMAGES),
            "images": [{"appliance": "auth", "instance": "auth", "fingerprint": "f" * 64, "size": 1}],
        },
        "asrbox/distribution.json": {"version": "0.1.0", "appliances": [{"name": "auth"}]},
        "asrbox/build.json": {"steps": dict.fromkeys(("tree:host", "imageset", "image:auth"), "1" * 64)},
        "asrbox/sbom/host.spdx.json": bill,
        "asrbox/sbom/auth.spdx.json": bill,
        ".treeinfo": "[header]\n",
        ".discinfo": "0\n",
    }
    for name, content in files.items():
        put(folder / name, content)
    return folder


def burn(folder: Path, iso: Path, *, label: str = LABEL, implant: bool = True, without: tuple[str, ...] = ()) -> Path:
    """Write the medium with all boot records, except those named in `without`: bios, uefi, mbr."""
    put(iso.parent / "mbr.img", bytes(446))
    put(iso.parent / "efi.img", bytes(65536))
    command: list[str | Path] = ["xorriso", "-as", "mkisofs", "-quiet", "-o", iso, "-V", label, "-J", "-r"]
    if "mbr" not in without:
        command += ["--grub2-mbr", iso.parent / "mbr.img", "--protective-msdos-label", "-partition_offset", "16"]
    if "uefi" not in without:
        command += ["-append_partition", "2", "0xef", iso.parent / "efi.img", "-appended_part_as_gpt"]
    command += ["-c", "boot.catalog"]
    if "bios" not in without:
        command += ["-b", "boot/grub/i386-pc/eltorito.img", "-no-emul-boot", "-boot-load-size", "4"]
        command += ["-boot-info-table", "--grub2-boot-info", "-eltorito-alt-boot"]
    if "uefi" not in without:
        command += ["-e", "--interval:appended_partition_2:all::", "-no-emul-boot"]
    subprocess.run([*command, folder], check=True, capture_output=True)
    if implant:
        subprocess.run(["implantisomd5", iso], check=True, capture_output=True)
    return iso


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return medium(tmp_path / "medium")


def failures(report: Report) -> dict[str, str]:
    return {check.name: check.detail for check in report.checks if check.state == "failed"}


def test_a_good_iso_is_good(folder: Path, tmp_path: Path) -> None:
    iso = burn(folder, tmp_path / "a.iso")
    sign.write_checksums(tmp_path, [iso])
    report = verify(iso)
    assert failures(report) == {}
    assert str(report).endswith("a.iso is good")
    assert {check.name for check in report.checks if check.state == "absent"} == {"signature"}


def test_a_truncated_iso_is_told_by_its_bytes_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    iso = burn(folder, tmp_path / "a.iso")
    whole = iso.stat().st_size
    os.truncate(iso, 200_000)
    report = verify(iso)
    missing = whole - 200_000
    told = f"a.iso is truncated: 200000 of {whole} bytes are there, {missing} are missing"
    assert failures(report) == {"size": f"{told} (copy or download it again)"}
    assert str(report).endswith("a.iso is NOT good: 1 of 1 checks failed")


def test_an_iso_cut_before_its_descriptor_is_an_error(folder: Path, tmp_path: Path) -> None:
    iso = burn(folder, tmp_path / "a.iso")
    os.truncate(iso, 20_000)
    with pytest.raises(AsrboxError, match="ends before its volume descriptor: it is truncated, or no ISO"):
        verify(iso)


def test_another_file_is_no_iso(tmp_path: Path) -> None:
    put(tmp_path / "a.iso", bytes(100_000))
    with pytest.raises(AsrboxError, match=r"a\.iso is not an ISO 9660 image"):
        verify(tmp_path / "a.iso")


def test_one_changed_byte_is_found_three_times(folder: Path, tmp_path: Path) -> None:
    iso = burn(folder, tmp_path / "a.iso")
    sign.write_checksums(tmp_path, [iso])
    content = bytearray(iso.read_bytes())
    content[content.find(b"all containers")] ^= 1
    iso.write_bytes(content)
    found = failures(verify(iso))
    assert set(found) == {"checksum", "media check", "images"}
    assert found["media check"].startswith("the contents differ from the implanted checksum")
    assert found["images"].startswith("the sha256 of /asrbox/images.squashfs is ")


def test_an_iso_without_media_check_says_so(folder: Path, tmp_path: Path) -> None:
    report = verify(burn(folder, tmp_path / "a.iso", implant=False))
    assert failures(report) == {"media check": "no checksum is implanted"}


NO_BIOS_CD = "no El Torito entry for BIOS: a CD does not boot on such machines"
NO_UEFI_CD = "no El Torito entry for UEFI: a CD does not boot on such machines"
NO_MBR = "no boot code in the MBR: a stick does not boot by BIOS"
NO_GPT = "no GPT: a stick does not boot by UEFI"


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        (("mbr",), {"boot: as a disk": NO_MBR}),
        (("bios", "mbr"), {"boot: BIOS": NO_BIOS_CD, "boot: as a disk": NO_MBR}),
        (("uefi",), {"boot: UEFI": NO_UEFI_CD, "boot: as a disk": NO_GPT}),
    ],
)
def test_a_missing_boot_record_is_named(
    folder: Path, tmp_path: Path, without: tuple[str, ...], expected: dict[str, str]
) -> None:
    found = failures(verify(burn(folder, tmp_path / "a.iso", without=without)))
    assert {name: detail for name, detail in found.items() if name.startswith("boot")} == expected


def missing_kernel(folder: Path) -> None:
    (folder / "images/pxeboot/vmlinuz").unlink()


def other_images(folder: Path) -> None:
    put(folder / "asrbox/distribution.json", {"version": "0.1.0", "appliances": [{"name": "auth"}, {"name": "base"}]})


def other_version(folder: Path) -> None:
    put(folder / "asrbox/distribution.json", {"version": "0.2.0", "appliances": [{"name": "auth"}]})


def menu_of_another_medium(folder: Path) -> None:
    put(folder / "boot/grub/grub.cfg", "linux /images/pxeboot/vmlinuz root=live:CDLABEL=ASRBOX_0_0_9\n")


def broken_build_json(folder: Path) -> None:
    put(folder / "asrbox/build.json", '{"steps": ')


def build_json_of_another_shape(folder: Path) -> None:
    put(folder / "asrbox/images.json", {"squashfs": "images.squashfs"})


def empty_bill(folder: Path) -> None:
    put(folder / "asrbox/sbom/auth.spdx.json", {"spdxVersion": "SPDX-2.3", "packages": [{"name": "tree"}]})


SPOILT: list[tuple[Callable[[Path], None], str, str]] = [
    (missing_kernel, "files", "missing or empty: /images/pxeboot/vmlinuz"),
    (other_images, "images", "images.json and distribution.json do not list the same appliances: base"),
    (other_version, "label", "the volume is labelled ASRBOX_0_1_0, which does not fit version 0.2.0"),
    (
        menu_of_another_medium,
        "label",
        "the boot menu looks for a medium labelled ASRBOX_0_0_9, but this one is ASRBOX_0_1_0",
    ),
    (broken_build_json, "build manifest", "/asrbox/build.json is no JSON"),
    (build_json_of_another_shape, "images", "a file of the medium has another shape than it should: KeyError('size')"),
    (empty_bill, "bill of materials", "/asrbox/sbom/auth.spdx.json lists no packages"),
]


@pytest.mark.parametrize(("spoil", "check", "detail"), SPOILT, ids=[row[0].__name__ for row in SPOILT])
def test_wrong_contents_are_named(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], None], check: str, detail: str
) -> None:
    spoil(folder)
    found = failures(verify(burn(folder, tmp_path / "a.iso")))
    assert found[check].startswith(detail)


# ── checksums and signature ──


@pytest.fixture(scope="module")
def gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A GnuPG home with one secret key, builder@example.net, and its public part beside it."""
    home = tmp_path_factory.mktemp("gpg")
    home.chmod(0o700)
    environment = {**os.environ, "GNUPGHOME": str(home)}
    make = [
        "gpg",
        "--batch",
        "--quiet",
        "--passphrase",
        "",
        "--quick-gen-key",
        "builder@example.net",
        "ed25519",
        "sign",
    ]
    subprocess.run([*make, "never"], env=environment, check=True, capture_output=True)
    export = ["gpg", "--batch", "--armor", "--export", "builder@example.net"]
    public = subprocess.run(export, env=environment, check=True, capture_output=True).stdout
    (home / "public.asc").write_bytes(public)
    yield home
    subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=True)


@pytest.fixture
def signed(folder: Path, tmp_path: Path, gnupg: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GNUPGHOME", str(gnupg))
    iso = burn(folder, tmp_path / "a.iso")
    sign.write_checksums(tmp_path, [iso], key="builder@example.net")
    return iso


def test_a_signature_names_who_signed(signed: Path, gnupg: Path) -> None:
    report = verify(signed, keyring=gnupg / "public.asc")
    assert next(check.detail for check in report.checks if check.name == "signature") == "signed by builder@example.net"


def test_checksums_changed_after_signing_are_found(signed: Path, gnupg: Path) -> None:
    sums = signed.with_name("SHA256SUMS")
    sums.write_text(sums.read_text() + f"{'0' * 64}  other.iso\n")
    assert failures(verify(signed, keyring=gnupg / "public.asc")) == {
        "signature": "bad signature by builder@example.net: the file was changed after it was signed"
    }


def test_a_key_that_is_not_in_the_keyring_is_named(
    signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(tmp_path / "empty"))
    detail = failures(verify(signed))["signature"]
    assert detail.startswith("signed by the key ")
    assert "which is not in the keyring (give the public key of who you expect: --keyring FILE)" in detail


def test_a_keyring_without_a_signature_is_a_failure(folder: Path, tmp_path: Path, gnupg: Path) -> None:
    report = verify(burn(folder, tmp_path / "a.iso"), keyring=gnupg / "public.asc")
    assert failures(report) == {"signature": "a keyring was given, but there is no SHA256SUMS.asc"}


def test_a_key_that_gnupg_does_not_have_stops_the_signing(tmp_path: Path, gnupg: Path, monkeypatch) -> None:
    monkeypatch.setenv("GNUPGHOME", str(gnupg))
    put(tmp_path / "a.iso", b"x")
    with pytest.raises(AsrboxError, match="gpg failed with exit code 2"):
        sign.write_checksums(tmp_path, [tmp_path / "a.iso"], key="nobody@example.net")


def test_sha256sum_reads_what_we_write(tmp_path: Path) -> None:
    put(tmp_path / "a.iso", b"x")
    sign.write_checksums(tmp_path, [tmp_path / "a.iso"])
    sha256sum = shutil.which("sha256sum") or "sha256sum"
    done = subprocess.run([sha256sum, "-c", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "a.iso: OK\n"


def test_checksums_of_other_isos_stay_while_these_exist(tmp_path: Path) -> None:
    put(tmp_path / "a.iso", b"a")
    put(tmp_path / "b.iso", b"b")
    sign.write_checksums(tmp_path, [tmp_path / "a.iso", tmp_path / "b.iso"])
    (tmp_path / "a.iso").unlink()
    put(tmp_path / "c.iso", b"c")
    sign.write_checksums(tmp_path, [tmp_path / "c.iso"])
    assert sorted(sign.read_checksums(tmp_path / "SHA256SUMS")) == ["b.iso", "c.iso"]


def test_a_line_that_is_no_checksum_is_named(tmp_path: Path) -> None:
    put(tmp_path / "SHA256SUMS", f"{'0' * 64}  a.iso\nnonsense\n")
    with pytest.raises(AsrboxError, match=r"SHA256SUMS:2: this is not a checksum"):
        sign.read_checksums(tmp_path / "SHA256SUMS")
