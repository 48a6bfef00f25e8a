"""GRUB for BIOS and for UEFI on the same disk, its menu, and the same settings for later kernels."""

from __future__ import annotations

from collections.abc import Sequence

from appliances.base.installer.actions import Action, WriteFile, command
from appliances.base.installer.errors import InstallError
from appliances.base.installer.family import Family
from appliances.base.installer.fragments import templates
from appliances.base.installer.kickstart import Kickstart
from appliances.base.installer.storage import FileSystem


def install(
    kickstart: Kickstart,
    systems: Sequence[FileSystem],
    disk: str,
    target: str,
    *,
    kernel: str,
    uefi: bool,
    title: str,
    family: Family,
) -> list[Action]:
    """Everything after which firmware of either kind starts the installed system from `disk`.

    The kernel's command line names the root volume for dracut (rd.lvm.lv: it activates nothing else).
    """
    by_mount = {system.mountpoint: system for system in systems}
    boot = by_mount.get("/boot", by_mount["/"])
    values = {
        "title": title,
        "kernel": kernel,
        "initrd": family.initrd.format(kernel=kernel),
        "timeout": kickstart.boot_timeout,
        "prefix": "" if boot.mountpoint == "/boot" else "/boot",
        "boot_uuid": boot.uuid,
        "root": by_mount["/"].device,
        "append": " ".join(part for part in (_activate_root(kickstart), kickstart.append) if part),
    }
    actions: list[Action] = [
        WriteFile(f"{target}{family.grub_folder}/grub.cfg", templates.get_template("grub.cfg.j2").render(values)),
        WriteFile(f"{target}/etc/default/grub", templates.get_template("default-grub.j2").render(values)),
    ]
    if any(part.mountpoint == "biosboot" for part in kickstart.partitions):
        actions.append(command("chroot", target, family.grub_install, "--target=i386-pc", disk, timeout=300))
    if "/boot/efi" in by_mount:
        actions.append(
            command(
                *("chroot", target, family.grub_install, "--target=x86_64-efi", "--efi-directory=/boot/efi"),
                *("--removable", "--no-nvram", *family.efi_options),
                timeout=300,
            )
        )
        if uefi:
            actions.append(_nvram_entry(kickstart, disk, title))
    if len(actions) == 2:
        raise InstallError(
            "the kickstart has no partition for a boot loader", "add: part biosboot … and part /boot/efi …"
        )
    return actions


def _activate_root(kickstart: Kickstart) -> str:
    root = next((volume for volume in kickstart.volumes if volume.mountpoint == "/"), None)
    return f"rd.lvm.lv={root.group}/{root.name}" if root else ""


def _nvram_entry(kickstart: Kickstart, disk: str, title: str) -> Action:
    """A named entry in the firmware's boot menu. Optional: \\EFI\\BOOT\\BOOTX64.EFI boots without any."""
    number = next(at for at, part in enumerate(kickstart.partitions, start=1) if part.mountpoint == "/boot/efi")
    return command(
        *("efibootmgr", "--quiet", "--create", "--disk", disk, "--part", str(number)),
        *("--label", title, "--loader", r"\EFI\BOOT\BOOTX64.EFI"),
        optional=True,
    )
