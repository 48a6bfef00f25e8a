"""What a vendor's medium says of itself."""

from __future__ import annotations

import pytest

from builder.errors import AsrboxError
from builder.vendor.treeinfo import Description, describe, with_checksum

TREEINFO = (
    f"[checksums]\nimages/efiboot.img = sha256:{'a' * 64}\nimages/install.img = sha256:{'b' * 64}\n\n"
    "[release]\nname = CentOS Stream\nshort = CentOS-Stream\nversion = 9\n\n"
    "[stage2]\nmainimage = images/install.img\n\n[tree]\narch = x86_64\n\n[variant-BaseOS]\nid = BaseOS\n"
)
DISCINFO = "1700000000.123456\n9\nx86_64\n"


def told(discinfo: str, treeinfo: str | None) -> Description:
    return describe(discinfo, treeinfo, iso="a.iso", label="CentOS-Stream-9-BaseOS-x86_64")


def test_product_release_architecture_and_runtime_are_read() -> None:
    assert told(DISCINFO, TREEINFO) == Description("CentOS Stream 9", "9", "x86_64", "images/install.img")


@pytest.mark.parametrize(
    ("line", "product", "release"),
    [
        ("9", "CentOS-Stream-9-BaseOS-x86_64 (release 9)", "9"),
        ("10.1", "CentOS-Stream-9-BaseOS-x86_64 (release 10.1)", "10"),
        ("CentOS Stream 10", "CentOS Stream 10", "10"),
    ],
)
def test_a_boot_iso_has_no_treeinfo_and_is_understood(line: str, product: str, release: str) -> None:
    found = told(f"1700000000.1\n{line}\nx86_64\n", None)
    assert found == Description(product, release, "x86_64", "images/install.img")


def test_the_older_section_is_read_where_the_new_ones_are_missing() -> None:
    older = "[general]\nfamily = Old\nversion = 9\narch = x86_64\n[stage2]\nmainimage = images/install.img\n"
    assert told(DISCINFO, older).product == "Old 9"


@pytest.mark.parametrize(
    ("treeinfo", "discinfo", "error"),
    [
        ("no ini", DISCINFO, "the .treeinfo of a.iso cannot be read: File contains no section headers."),
        (TREEINFO.replace("version = 9", ""), DISCINFO, "has no [release] version or [general] version"),
        (TREEINFO, "1\n9\naarch64\n", "a.iso contradicts itself: .treeinfo says x86_64, .discinfo says aarch64"),
        (TREEINFO, "", "the .discinfo of a.iso does not name a release and an architecture"),
        (TREEINFO, "1\nrawhide\nx86_64\n", "the .discinfo of a.iso does not name a release and an architecture"),
    ],
)
def test_what_is_missing_or_contradicts_is_named(treeinfo: str, discinfo: str, error: str) -> None:
    with pytest.raises(AsrboxError) as caught:
        told(discinfo, treeinfo)
    assert error in caught.value.message


def test_one_checksum_changes_and_nothing_else() -> None:
    after = with_checksum(TREEINFO, "images/efiboot.img", "c" * 64)
    assert after == TREEINFO.replace("a" * 64, "c" * 64)
    assert with_checksum(TREEINFO, "images/boot.iso", "c" * 64) == TREEINFO
