"""Vendors' media remade with real xorriso, mtools and isomd5sum: same boot records, new contents; and every refusal.

The vendor's media are synthetic (tests/synthetic_media). That they boot is seen in tests/machine/test_vendor_media.py.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder import isofile, vendor
from builder.errors import AsrboxError
from builder.vendor import fat
from builder.vendor.compare import compare, records
from builder.vendor.medium import efi_image
from tests.synthetic_media import LABELS, Kind, Shape, make_media, menu

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/unit/vendor/golden"
KINDS: tuple[Kind, ...] = ("el9", "el10")
EPOCH = 1_763_769_600
LABEL = "ASRBOX_0_1_0"
MENU = vendor.MenuOptions("Install asrbox 0.1.0", timeout=5, arguments=("console=ttyS0,115200",))
BIOS_MENU = {"el9": "/isolinux/isolinux.cfg", "el10": "/boot/grub2/grub.cfg"}
GOLDEN_BIOS = {"el9": "el9-isolinux.cfg", "el10": "el10-bios-grub.cfg"}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What is put on the medium, path on the medium → file."""
    folder = tmp_path_factory.mktemp("ours")
    contents = {"ks.cfg": b"text\n", "LiveOS/squashfs.img": os.urandom(3_000_000), "asrbox/images.json": b"{}\n"}
    files = {}
    for name, content in contents.items():
        files[name] = folder / name.replace("/", "-")
        files[name].write_bytes(content)
        files[name].chmod(0o600)
    return files


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a synthetic medium with a kernel and an initrd of some bytes that nobody will boot."""
    folder = tmp_path_factory.mktemp("small")
    for name in ("vmlinuz", "initrd.img"):
        (folder / name).write_bytes(os.urandom(100_000))

    def make(kind: Kind, shape: Shape | None = None) -> Path:
        made = sum(path.suffix == ".iso" for path in folder.iterdir())
        return make_media(kind, folder / "vmlinuz", folder / "initrd.img", folder / f"{kind}-{made}.iso", shape)

    return make


@pytest.fixture(scope="module")
def sources(small: Callable[..., Path]) -> dict[Kind, Path]:
    return {kind: small(kind) for kind in KINDS}


def remake(source: Path, target: Path, ours: dict[str, Path], **other: object) -> vendor.Report:
    options: dict[str, object] = {
        "add": ours, "label": LABEL, "kickstart": "ks.cfg", "menu": MENU, "epoch": EPOCH,
        "log": target.with_suffix(".log"),
    }  # fmt: skip
    return vendor.remake(source, target, **(options | other))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def remade(
    sources: dict[Kind, Path], ours: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[Kind, Path]:
    folder = tmp_path_factory.mktemp("remade")
    for kind, source in sources.items():
        remake(source, folder / f"{kind}.iso", ours)
    return {kind: folder / f"{kind}.iso" for kind in sources}


def efi_menu(iso: Path, folder: Path) -> str:
    image = folder / "efi.img"
    efi_image(vendor.look(iso), image)
    return fat.read_menu(image)


# ── what is made ──


@pytest.mark.parametrize("kind", KINDS)
def test_the_boot_records_are_the_vendors(kind: Kind, sources: dict[Kind, Path], remade: dict[Kind, Path]) -> None:
    before, after = (records(isofile.contents(iso)) for iso in (sources[kind], remade[kind]))
    assert after == before
    assert [line for line in after if line.startswith("El Torito boot img")][1].split()[5:6] == ["UEFI"]
    assert sources[kind].read_bytes()[:432] == remade[kind].read_bytes()[:432]


@pytest.mark.parametrize("kind", KINDS)
def test_all_three_menus_are_the_golden_ones(kind: Kind, remade: dict[Kind, Path], tmp_path: Path) -> None:
    medium = vendor.look(remade[kind])
    golden = (GOLDEN / f"{kind}-efi-grub.cfg").read_text()
    assert medium.text(BIOS_MENU[kind]) == (GOLDEN / GOLDEN_BIOS[kind]).read_text()
    assert medium.text("/EFI/BOOT/grub.cfg") == golden
    assert efi_menu(remade[kind], tmp_path) == golden


@pytest.mark.parametrize("kind", KINDS)
def test_label_files_and_media_check_are_ours(kind: Kind, remade: dict[Kind, Path], ours: dict[str, Path]) -> None:
    medium = vendor.look(remade[kind])
    assert medium.label == LABEL
    for name, path in ours.items():
        assert isofile.read(remade[kind], medium.contents, f"/{name}") == path.read_bytes()
    subprocess.run(["checkisomd5", remade[kind]], check=True, capture_output=True)
    assert isofile.volume(remade[kind]).size == remade[kind].stat().st_size  # so nothing is outside of the media check


@pytest.mark.parametrize("kind", KINDS)
def test_the_treeinfo_of_a_dvd_gets_the_checksum_of_the_new_efi_partition(
    kind: Kind, small: Callable[..., Path], ours: dict[str, Path], tmp_path: Path
) -> None:
    remake(small(kind, Shape(treeinfo=True)), tmp_path / "dvd.iso", ours)
    medium = vendor.look(tmp_path / "dvd.iso")
    efi_image(medium, tmp_path / "efi.img")
    digest = hashlib.sha256((tmp_path / "efi.img").read_bytes()).hexdigest()
    assert f"images/efiboot.img = sha256:{digest}\n" in medium.text("/.treeinfo")
    assert (medium.efi_file is None) == (kind == "el10")  # a partition of its own behind the file system


@pytest.mark.parametrize("kind", KINDS)
def test_every_other_file_of_the_vendor_is_untouched(
    kind: Kind, sources: dict[Kind, Path], remade: dict[Kind, Path]
) -> None:
    before, after = vendor.look(sources[kind]), vendor.look(remade[kind])
    patched = {"/isolinux/isolinux.bin", "/images/eltorito.img"}  # the boot info table names their new place
    edited = {BIOS_MENU[kind], "/EFI/BOOT/grub.cfg", "/.treeinfo", "/images/efiboot.img", "/isolinux/boot.cat"}
    names = before.contents.files.keys() - patched - edited
    assert {"/EFI/BOOT/BOOTX64.EFI", "/images/pxeboot/vmlinuz", "/images/install.img", "/.discinfo"} <= names
    for name in names:
        first, second = (isofile.sha256(m.iso, m.contents, name) for m in (before, after))
        assert (name, first) == (name, second)


def test_files_that_are_one_on_the_vendors_medium_stay_one(remade: dict[Kind, Path]) -> None:
    files = isofile.contents(remade["el9"]).files
    assert files["/isolinux/vmlinuz"] == files["/images/pxeboot/vmlinuz"]


@pytest.mark.parametrize("kind", KINDS)
def test_dates_owners_and_modes_do_not_tell_who_made_it(kind: Kind, remade: dict[Kind, Path]) -> None:
    listed = subprocess.run(
        ["xorriso", "-indev", remade[kind], "-find", "/", "-exec", "lsdl", "--", "-pvd_info"],
        check=True, capture_output=True, text=True, env={**os.environ, "TZ": "UTC"},
    ).stdout.splitlines()  # fmt: skip
    files = [line.split() for line in listed if line[:1] in "-d" and line[1:2] in "r-"]
    assert len(files) > 20
    assert {(words[2], words[3]) for words in files} == {("0", "0")}
    assert {" ".join(words[5:8]) for words in files} == {"Nov 22 2025"}
    (kickstart,) = [words for words in files if words[-1] == "'/ks.cfg'"]
    assert kickstart[0] == "-rw-r--r--"
    assert [line.split()[-1] for line in listed if "Time" in line][:2] == ["2025112200000000"] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_inputs_give_the_same_bytes_at_another_time_and_place(
    kind: Kind, sources: dict[Kind, Path], remade: dict[Kind, Path], ours: dict[str, Path], tmp_path: Path
) -> None:
    time.sleep(2.1)  # FAT counts in steps of two seconds
    copies = {name: Path(shutil.copy(path, tmp_path)) for name, path in ours.items()}
    source = Path(shutil.copy(sources[kind], tmp_path / "boot.iso"))
    remake(source, tmp_path / "elsewhere" / "other.iso", copies)
    assert (tmp_path / "elsewhere" / "other.iso").read_bytes() == remade[kind].read_bytes()
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["other.iso", "other.log"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_ordinary_user_gets_the_same_bytes(
    kind: Kind, sources: dict[Kind, Path], remade: dict[Kind, Path], ours: dict[str, Path]
) -> None:
    program = (
        "import sys; from pathlib import Path; from builder import vendor; here = Path(sys.argv[1])\n"
        "menu = vendor.MenuOptions('Install asrbox 0.1.0', timeout=5, arguments=('console=ttyS0,115200',))\n"
        "add = {name.replace('--', '/'): here / name for name in sys.argv[2:]}\n"
        f"vendor.remake(here / 'boot.iso', here / 'out.iso', add=add, label={LABEL!r}, kickstart='ks.cfg', menu=menu,\n"
        f"    epoch={EPOCH}, log=here / 'log')\n"
    )
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        shutil.copy(sources[kind], folder / "boot.iso")
        names = [name.replace("/", "--") for name in ours]
        for name, path in zip(names, ours.values(), strict=True):
            shutil.copy(path, folder / name)
        for path in [folder, *folder.iterdir()]:
            os.chown(path, 65534, 65534)
        # Reading everything is all that this user may do besides: the checkout may lie in a folder of root's.
        only = "-all,+dac_read_search"
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
        command += [f"--inh-caps={only}", f"--ambient-caps={only}", f"--bounding-set={only}", sys.executable]
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([*command, "-c", program, folder, *names], check=True, env=environment, cwd=folder)
        assert (folder / "out.iso").read_bytes() == remade[kind].read_bytes()
        assert (folder / "out.iso").stat().st_uid == 65534


def test_a_medium_without_joliet_gets_none(small: Callable[..., Path], ours: dict[str, Path], tmp_path: Path) -> None:
    source = small("el9", Shape(joliet=False))
    remake(source, tmp_path / "a.iso", ours)
    assert not isofile.has_joliet(tmp_path / "a.iso")
    assert isofile.has_joliet(remake_target(small("el9"), tmp_path / "b.iso", ours))


def remake_target(source: Path, target: Path, ours: dict[str, Path]) -> Path:
    remake(source, target, ours)
    return target


def test_a_label_of_the_vendor_with_spaces_is_no_obstacle(
    small: Callable[..., Path], ours: dict[str, Path], tmp_path: Path
) -> None:
    menus = {
        "isolinux/isolinux.cfg": menu("el9-isolinux.cfg").replace(LABELS["el9"], r"Synthetic\x209"),
        "EFI/BOOT/grub.cfg": menu("el9-efi-grub.cfg").replace(f"'{LABELS['el9']}'", "'Synthetic 9'")
        .replace(LABELS["el9"], r"Synthetic\x209"),
    }  # fmt: skip
    source = small("el9", Shape(label="Synthetic 9", menus=menus))
    remake(source, tmp_path / "a.iso", ours)
    medium = vendor.look(tmp_path / "a.iso")
    assert medium.text("/EFI/BOOT/grub.cfg") == (GOLDEN / "el9-efi-grub.cfg").read_text()
    assert medium.text("/isolinux/isolinux.cfg") == (GOLDEN / "el9-isolinux.cfg").read_text()


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.iterdir() if "grub" in path.name))
def test_grubs_own_parser_accepts_every_edited_menu(name: str) -> None:
    subprocess.run(["grub-script-check", GOLDEN / name], check=True, capture_output=True)


# ── what is refused ──


def refused(source: Path, tmp_path: Path, ours: dict[str, Path], **other: object) -> AsrboxError:
    with pytest.raises(AsrboxError) as caught:
        remake(source, tmp_path / "out.iso", ours, **other)
    left = [path.name for path in tmp_path.iterdir() if path.name.lstrip(".").startswith("out.iso")]
    assert left == []  # neither half an ISO nor a scratch folder
    return caught.value


@pytest.mark.parametrize("label", ["ASR BOX", "", "Ä", "A" * 33, "A.B", "A:B"])
def test_a_label_that_cannot_be_used(
    label: str, sources: dict[Kind, Path], ours: dict[str, Path], tmp_path: Path
) -> None:
    error = refused(sources["el9"], tmp_path, ours, label=label)
    assert error.message == f"the volume label {label!r} cannot be used on the kernel's command line"
    assert error.hint == "use 1 to 32 letters, digits, _ and -, without spaces"


def test_a_medium_of_another_architecture(small: Callable[..., Path], ours: dict[str, Path], tmp_path: Path) -> None:
    source = small("el10", Shape(arch="aarch64"))
    error = refused(source, tmp_path, ours)
    assert (
        error.message
        == f"{source} is Synthetic-Stream-10-Base-x86_64 (release 10) for aarch64, but asrbox is for x86_64"
    )


def test_a_medium_of_another_release(sources: dict[Kind, Path], ours: dict[str, Path], tmp_path: Path) -> None:
    error = refused(sources["el10"], tmp_path, ours, release="9")
    product = "Synthetic-Stream-10-Base-x86_64 (release 10)"
    assert error.message == f"{sources['el10']} is {product}, but the base of the distribution is release 9"


def test_an_iso_that_is_no_installer(small: Callable[..., Path], ours: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/file").write_text("data\n")
    data = tmp_path / "data.iso"
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-o", data, tmp_path / "data"], check=True)
    error = refused(data, tmp_path, ours)
    assert error.message == f"{data} is not an installer ISO: it has no /.discinfo"
    without = small("el9", Shape(without=("images/install.img",)))
    error = refused(without, tmp_path, ours)
    product = "Synthetic-Stream-9-BaseOS-x86_64 (release 9)"
    assert error.message == f"{without} is not a complete installer of {product}: it lacks /images/install.img"


def test_something_that_is_no_iso(ours: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "a.iso").write_bytes(bytes(100_000))
    assert refused(tmp_path / "a.iso", tmp_path, ours).message == f"{tmp_path / 'a.iso'} is not an ISO 9660 image"
    assert refused(tmp_path / "b.iso", tmp_path, ours).message == f"the file {tmp_path / 'b.iso'} does not exist"


def test_the_vendors_iso_is_never_replaced(sources: dict[Kind, Path], ours: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "link.iso").symlink_to(sources["el9"])
    before = sources["el9"].read_bytes()
    with pytest.raises(AsrboxError, match="the new ISO would replace the vendor's "):
        remake(sources["el9"], tmp_path / "link.iso", ours)
    assert sources["el9"].read_bytes() == before


def test_a_truncated_iso(sources: dict[Kind, Path], ours: dict[str, Path], tmp_path: Path) -> None:
    whole = sources["el10"].stat().st_size
    short = Path(shutil.copy(sources["el10"], tmp_path / "short.iso"))
    os.truncate(short, whole - 2048)
    error = refused(short, tmp_path, ours)
    assert error.message == f"short.iso is truncated: {whole - 2048} of {whole} bytes are there, 2048 are missing"


def test_no_room_for_a_longer_menu_in_the_efi_partition(
    small: Callable[..., Path], ours: dict[str, Path], tmp_path: Path
) -> None:
    full = small("el10", Shape(spare=0))
    long = vendor.MenuOptions("A", arguments=tuple(f"argument{number}={'x' * 100}" for number in range(200)))
    error = refused(full, tmp_path, ours, menu=long)
    assert error.message.startswith("the EFI partition of the medium has no room for our boot menu: ")
    assert error.hint == "give fewer or shorter kernel arguments, a shorter title or a shorter label"


def test_a_menu_without_an_entry_that_installs(
    small: Callable[..., Path], ours: dict[str, Path], tmp_path: Path
) -> None:
    source = small("el9", Shape(menus={"EFI/BOOT/grub.cfg": "menuentry 'Rescue' { linux /k inst.rescue; }\n"}))
    error = refused(source, tmp_path, ours)
    assert error.message == (
        "no entry of the boot menu /EFI/BOOT/grub.cfg can be edited: none of the main menu installs (inst.stage2=…)"
    )


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("images/install.img", "/images/install.img"),
        ("IMAGES/Install.img", "/images/install.img"),
        (".discinfo/x", "/.discinfo"),
        ("images", "/images/"),
    ],
)
def test_a_file_that_is_on_the_medium_already(
    name: str, there: str, sources: dict[Kind, Path], ours: dict[str, Path], tmp_path: Path
) -> None:
    error = refused(sources["el9"], tmp_path, ours, add={**ours, name: ours["ks.cfg"]})
    assert error.message == f"{there} is already on the medium {sources['el9']}"


@pytest.mark.parametrize("name", ["/ks.cfg", "a/../b", "a b", "a//b", "a/", ".", "..", ""])
def test_a_path_that_cannot_be_on_a_medium(
    name: str, sources: dict[Kind, Path], ours: dict[str, Path], tmp_path: Path
) -> None:
    error = refused(sources["el9"], tmp_path, ours, add={**ours, name: ours["ks.cfg"]})
    assert error.message == f"{name!r} is no path for a file on the medium"


def test_files_that_are_missing_on_our_side(sources: dict[Kind, Path], ours: dict[str, Path], tmp_path: Path) -> None:
    error = refused(sources["el9"], tmp_path, {**ours, "a": tmp_path / "none"})
    assert error.message == f"the file {tmp_path / 'none'} for a on the medium does not exist"
    error = refused(sources["el9"], tmp_path, {"a": ours["ks.cfg"]})
    assert error.message == "the kickstart ks.cfg is not among the files that are added to the medium"


# ── the comparison afterwards ──


@pytest.mark.parametrize("kind", KINDS)
def test_one_changed_byte_of_the_vendors_files_is_found(
    kind: Kind, sources: dict[Kind, Path], remade: dict[Kind, Path], ours: dict[str, Path], tmp_path: Path
) -> None:
    spoilt = Path(shutil.copy(remade[kind], tmp_path / "spoilt.iso"))
    start, _ = isofile.contents(spoilt).files["/EFI/BOOT/BOOTX64.EFI"]
    with spoilt.open("r+b") as stream:
        stream.seek(start * isofile.BLOCK + 1000)
        byte = stream.read(1)[0]
        stream.seek(start * isofile.BLOCK + 1000)
        stream.write(bytes([byte ^ 1]))
    edited = {BIOS_MENU[kind], "/EFI/BOOT/grub.cfg", "/.treeinfo", "/images/efiboot.img"}
    changed = edited | {f"/{name}" for name in ours}
    assert compare(sources[kind], remade[kind], changed=changed) > 10
    with pytest.raises(AsrboxError, match=r"differs from .* where it must not: /EFI/BOOT/BOOTX64\.EFI has changed\n"):
        compare(sources[kind], spoilt, changed=changed)


def test_other_boot_records_are_found(sources: dict[Kind, Path]) -> None:
    with pytest.raises(AsrboxError) as caught:
        compare(sources["el9"], sources["el10"], changed=())
    assert "boot record lost (El Torito cat path: /isolinux/boot.cat)" in caught.value.message
    assert "boot record lost (El Torito img path: 2 /images/efiboot.img)" in caught.value.message
