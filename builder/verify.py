"""`asrbox verify`: everything that can be known of an ISO without booting it, one line per question."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from builder import isofile, sign
from builder.errors import AsrboxError
from builder.isofile import Contents
from builder.sbom import SUFFIX
from builder.vendor.medium import EFI_MENU, LOADERS, Medium, look

MENU = "/boot/grub/grub.cfg"
# docs/architecture.md, "The medium"
REQUIRED = (
    "/EFI/BOOT/BOOTX64.EFI",
    "/images/pxeboot/vmlinuz",
    "/images/pxeboot/initrd.img",
    "/LiveOS/squashfs.img",
    "/ks.cfg",
    "/asrbox/images.squashfs",
    "/asrbox/images.json",
    "/asrbox/distribution.json",
    "/asrbox/build.json",
    "/.discinfo",
)
OWN = (MENU, "/.treeinfo")  # only on a medium of our own, not on a vendor's that was remade
ESP_TYPE = "28732ac11ff8d211ba4b00a0c93ec93b"  # C12A7328-F81F-11D2-BA4B-00A0C93EC93B as it lies on disk
STATES = {"ok": "ok", "failed": "FAILED", "absent": "none"}


@dataclass(frozen=True)
class Check:
    """One question and its answer. `absent` is something that may be missing (a signature): no failure."""

    name: str
    state: Literal["ok", "failed", "absent"]
    detail: str


@dataclass
class Report:
    """All answers about one ISO."""

    iso: Path
    checks: list[Check] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True when nothing failed."""
        return all(check.state != "failed" for check in self.checks)

    def __str__(self) -> str:
        """A table: the answers, one line each, and the verdict as the last line."""
        width = max(len(check.name) for check in self.checks)
        lines = [f"{check.name:<{width}}  {STATES[check.state]:<6}  {check.detail}" for check in self.checks]
        failed = sum(check.state == "failed" for check in self.checks)
        verdict = "is good" if self.ok else f"is NOT good: {failed} of {len(self.checks)} checks failed"
        return "\n".join([*lines, f"{self.iso.name} {verdict}"])

    def ask(self, name: str, question: Callable[[], str]) -> None:
        """Note the answer: the text that `question` returns, or the AsrboxError it raises."""
        try:
            self.checks.append(Check(name, "ok", question()))
        except AsrboxError as error:
            detail = error.message.replace("\n", " ") + (f" ({error.hint})" if error.hint else "")
            self.checks.append(Check(name, "failed", detail))
        except (KeyError, TypeError) as error:  # JSON of another shape than docs/architecture.md says
            self.checks.append(
                Check(name, "failed", f"a file of the medium has another shape than it should: {error!r}")
            )


def verify(iso: Path, *, keyring: Path | None = None) -> Report:
    """Check an ISO. `keyring` is a file of public keys, one of which must have signed SHA256SUMS beside the ISO.

    Raises AsrboxError only when there is no file or it is no ISO at all; everything else is in the report.
    """
    if not iso.is_file():
        raise AsrboxError(f"the file {iso} does not exist", hint="the ISO is made by `make iso`, into dist/")
    report = Report(iso)
    volume = isofile.volume(iso)
    report.ask("size", lambda: _whole(iso, volume.size))
    if not report.ok:  # half an ISO: every other answer would only repeat that
        return report
    _ask_checksum(report, keyring)
    report.ask("media check", lambda: _media_check(iso))
    inside = isofile.contents(iso)
    menus = [MENU]
    if any(name in inside.files for _, name in LOADERS.values()):
        report.ask("boot: vendor's", lambda: _vendor(look(iso)))
        menus = [name for name in (*(name for _, name in LOADERS.values()), EFI_MENU) if name in inside.files]
        report.ask("files", lambda: _files(inside, REQUIRED))
    else:
        report.ask("boot: BIOS", lambda: _bios(inside.report))
        report.ask("boot: UEFI", lambda: _uefi(inside.report))
        report.ask("boot: as a disk", lambda: _hybrid(inside.report))
        report.ask("files", lambda: _files(inside, (*OWN, *REQUIRED)))
    report.ask("images", lambda: _images(iso, inside))
    report.ask("label", lambda: _label(iso, inside, volume.label, menus))
    report.ask("build manifest", lambda: _build(iso, inside))
    report.ask("bill of materials", lambda: _bill(iso, inside))
    return report


def _whole(iso: Path, wanted: int) -> str:
    isofile.whole(iso, wanted)
    return f"{iso.stat().st_size} bytes"


def _ask_checksum(report: Report, keyring: Path | None) -> None:
    sums, signature = report.iso.with_name(sign.SUMS), report.iso.with_name(sign.SIGNATURE)
    if sums.is_file():
        report.ask("checksum", lambda: _checksum(report.iso, sums))
    else:
        report.checks.append(Check("checksum", "absent", f"there is no {sign.SUMS} beside the ISO"))
    if signature.is_file():
        report.ask("signature", lambda: f"signed by {sign.check_signature(sums, signature, keyring)}")
    elif keyring is not None:
        report.checks.append(Check("signature", "failed", f"a keyring was given, but there is no {sign.SIGNATURE}"))
    else:
        report.checks.append(Check("signature", "absent", "not signed"))


def _checksum(iso: Path, sums: Path) -> str:
    known = sign.read_checksums(sums)
    if iso.name not in known:
        raise AsrboxError(f"{sums.name} has no line for {iso.name}")
    digest = sign.sha256(iso)
    if digest != known[iso.name]:
        raise AsrboxError(f"the sha256 is {digest}, but {sums.name} says {known[iso.name]}")
    return f"sha256 {digest}"


def _media_check(iso: Path) -> str:
    isofile.media_check(iso)
    return "the implanted checksum fits"


def _bios(report: str) -> str:
    if not re.search(r"^El Torito boot img : +\d+ +BIOS +y +none ", report, re.MULTILINE):
        raise AsrboxError("no El Torito entry for BIOS: a CD does not boot on such machines")
    if not re.search(r"^El Torito img opts : .*boot-info-table.*grub2-boot-info", report, re.MULTILINE):
        raise AsrboxError("the BIOS boot image lacks the boot info table that GRUB needs")
    return "El Torito, no emulation, GRUB"


def _uefi(report: str) -> str:
    if not re.search(r"^El Torito boot img : +\d+ +UEFI +y +none ", report, re.MULTILINE):
        raise AsrboxError("no El Torito entry for UEFI: a CD does not boot on such machines")
    return "El Torito, no emulation"


def _hybrid(report: str) -> str:
    summary = re.search(r"^System area summary: (.+)$", report, re.MULTILINE)
    words = set(summary[1].split()) if summary else set()
    if not {"MBR", "grub2-mbr"} <= words:
        raise AsrboxError("no boot code in the MBR: a stick does not boot by BIOS")
    if "GPT" not in words:
        raise AsrboxError("no GPT: a stick does not boot by UEFI")
    partition = re.search(rf"^GPT type GUID +: +(\d+) +{ESP_TYPE}$", report, re.MULTILINE)
    if not partition:
        raise AsrboxError("the GPT has no EFI system partition: a stick does not boot by UEFI")
    area = re.search(rf"^GPT start and size : +{partition[1]} +(\d+) +(\d+)$", report, re.MULTILINE)
    boot_image = re.search(r"^El Torito boot img : +\d+ +UEFI .* (\d+)$", report, re.MULTILINE)
    if area and boot_image and int(area[1]) != int(boot_image[1]) * 4:  # sectors of 512 and of 2048 bytes
        raise AsrboxError("the EFI system partition is not the one that El Torito names")
    return f"MBR with GRUB, GPT, EFI system partition {partition[1]}"


def _vendor(medium: Medium) -> str:
    return f"{medium.about.product}, BIOS and UEFI, as CD and as disk, layout {medium.layout}"


def _files(inside: Contents, wanted: Sequence[str]) -> str:
    missing = [name for name in wanted if name not in inside.files]
    missing += [name for name in wanted if name in inside.files and inside.files[name][1] == 0]
    if missing:
        raise AsrboxError(f"missing or empty: {', '.join(missing)}")
    return f"all {len(wanted)} that a medium needs, {len(inside.files)} in all"


def _images(iso: Path, inside: Contents) -> str:
    told = _json(iso, inside, "/asrbox/images.json")
    name = f"/asrbox/{told['squashfs']}"
    if name not in inside.files:
        raise AsrboxError(f"images.json names {name}, which is not on the medium")
    if inside.files[name][1] != told["size"]:
        raise AsrboxError(f"{name} has {inside.files[name][1]} bytes, images.json says {told['size']}")
    digest = isofile.sha256(iso, inside, name)
    if digest != told["sha256"]:
        raise AsrboxError(f"the sha256 of {name} is {digest}, images.json says {told['sha256']}")
    images = {image["appliance"] for image in told["images"]}
    planned = _appliances(iso, inside)
    if images != planned:
        differ = ", ".join(sorted(images ^ planned))
        raise AsrboxError(f"images.json and distribution.json do not list the same appliances: {differ}")
    return f"{', '.join(sorted(images))}; sha256 {digest}"


def _label(iso: Path, inside: Contents, label: str, menus: Sequence[str]) -> str:
    version = str(_json(iso, inside, "/asrbox/distribution.json")["version"])
    configuration = "\n".join(isofile.read(iso, inside, name).decode(errors="replace") for name in menus)
    if not label.endswith(re.sub(r"[^A-Za-z0-9]", "_", version)):
        raise AsrboxError(f"the volume is labelled {label}, which does not fit version {version}")
    for wanted in re.findall(r"\b(?:CD)?LABEL=([^\s\"':]+)", configuration):
        if wanted != label:
            raise AsrboxError(f"the boot menu looks for a medium labelled {wanted}, but this one is {label}")
    return label


def _build(iso: Path, inside: Contents) -> str:
    steps = _json(iso, inside, "/asrbox/build.json").get("steps", {})
    wrong = [name for name, step in steps.items() if not re.fullmatch(r"[0-9a-f]{64}", str(step))]
    if wrong:
        raise AsrboxError(f"build.json has no id for: {', '.join(sorted(wrong))}")
    wanted = {"tree:host", "imageset", *(f"image:{name}" for name in _appliances(iso, inside))}
    if missing := sorted(wanted - set(steps)):
        raise AsrboxError(f"build.json lacks the steps: {', '.join(missing)}")
    return f"ids of {len(steps)} steps"


def _bill(iso: Path, inside: Contents) -> str:
    counted = 0
    for tree in sorted({"host", *_appliances(iso, inside)}):
        name = f"/asrbox/sbom/{tree}{SUFFIX}"
        document = _json(iso, inside, name)
        if document.get("spdxVersion") != "SPDX-2.3":
            raise AsrboxError(f"{name} is no SPDX 2.3 document")
        packages = len(document.get("packages", []))
        if packages < 2:  # the tree itself, and what it is made of
            raise AsrboxError(f"{name} lists no packages")
        counted += packages - 1
    return f"SPDX 2.3, {counted} packages in all"


def _appliances(iso: Path, inside: Contents) -> set[str]:
    return {appliance["name"] for appliance in _json(iso, inside, "/asrbox/distribution.json")["appliances"]}


def _json(iso: Path, inside: Contents, name: str) -> dict[str, Any]:
    if name not in inside.files:
        raise AsrboxError(f"{name} is not on the medium")
    try:
        value = json.loads(isofile.read(iso, inside, name))
    except ValueError as error:
        raise AsrboxError(f"{name} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise AsrboxError(f"{name} is no JSON object")
    return value
