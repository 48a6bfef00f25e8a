"""The settings of the installed system: names, network, languages, accounts. Files are known before it is unpacked."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from appliances.base.installer.actions import Action, WriteFile, command
from appliances.base.installer.errors import InstallError
from appliances.base.installer.family import Family
from appliances.base.installer.fragments import templates
from appliances.base.installer.kickstart import Kickstart, Network, User
from appliances.base.installer.links import Link

MOUNTED_IN_TARGET = ("dev", "proc", "sys")


def enter(target: str) -> list[Action]:
    """What programs in the target need to see. Slaves, so that unmounting them does not reach the installer."""
    actions: list[Action] = []
    for name in MOUNTED_IN_TARGET:
        actions.append(command("mount", "--rbind", f"/{name}", f"{target}/{name}"))
        actions.append(command("mount", "--make-rslave", f"{target}/{name}"))
    actions.append(command("mount", "--types", "tmpfs", "tmpfs", f"{target}/run"))
    actions.append(command("mkdir", f"{target}/run/udev"))
    actions.append(command("mount", "--bind", "/run/udev", f"{target}/run/udev"))
    return actions


def configure(
    kickstart: Kickstart, target: str, *, links: Sequence[Link], machine_id: uuid.UUID, fstab: str
) -> list[Action]:
    """fstab, names, network, time zone, language, accounts, services."""
    name = kickstart.hostname
    short = name.split(".")[0]
    hosts = f"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 {name}"
    hosts += f" {short}\n" if short != name else "\n"
    return [
        WriteFile(f"{target}/etc/fstab", fstab),
        WriteFile(f"{target}/etc/machine-id", machine_id.hex + "\n", 0o444),
        WriteFile(f"{target}/etc/hostname", name + "\n"),
        WriteFile(f"{target}/etc/hosts", hosts),
        *network(kickstart.networks, target, links),
        command("ln", "-sfn", f"/usr/share/zoneinfo/{kickstart.timezone}", f"{target}/etc/localtime"),
        WriteFile(f"{target}/etc/timezone", kickstart.timezone + "\n"),
        WriteFile(f"{target}/etc/locale.conf", f"LANG={kickstart.lang}\n"),
        command("mkdir", "--parents", f"{target}/etc/default"),
        command("ln", "-sfn", "../locale.conf", f"{target}/etc/default/locale"),
        WriteFile(f"{target}/etc/default/keyboard", f'XKBMODEL="pc105"\nXKBLAYOUT="{kickstart.keyboard}"\n'),
        command(
            *("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"root@{short}"),
            *("-f", f"{target}/etc/ssh/ssh_host_ed25519_key"),
        ),
        *_root(kickstart, target),
        *(action for user in kickstart.users for action in _user(user, target)),
        *(command("chroot", target, "systemctl", "enable", unit) for unit in kickstart.enabled),
        *(command("chroot", target, "systemctl", "disable", unit) for unit in kickstart.disabled),
    ]


def label(family: Family, target: str) -> list[Action]:
    """SELinux labels for what the installer and the sections have written, where the target has labels at all."""
    if family.labels is None:
        return []
    guarded = f"test ! -e {family.labels} || exec setfiles -F {family.labels} /"
    return [command("chroot", target, "sh", "-c", guarded, timeout=1800)]


def network(networks: Sequence[Network], target: str, links: Sequence[Link]) -> list[Action]:
    """Settings of systemd-networkd and of the resolver. Raises InstallError for a fixed address without a card."""
    actions: list[Action] = []
    for number, one in enumerate(networks, start=1):
        text = templates.get_template("interface.network.j2").render(network=one, match=_match(one, links))
        actions.append(WriteFile(f"{target}/etc/systemd/network/{10 * number}-asrbox.network", text))
    if actions:
        stub = "../run/systemd/resolve/stub-resolv.conf"
        actions.append(command("ln", "-sfn", stub, f"{target}/etc/resolv.conf"))
    return actions


def _match(network: Network, links: Sequence[Link]) -> str:
    """The [Match] of systemd-networkd. DHCP on "link" means every physical Ethernet interface, now and later."""
    if ":" in network.device:
        return f"MACAddress={network.device}"
    if network.device != "link":
        return f"Name={network.device}"
    if network.address is None:
        return "Type=ether\nKind=!*"
    if not links:
        raise InstallError(
            "the answers give a fixed address, but this machine has no network interface",
            'check the network card, or set method = "dhcp" under [network] in seed.toml',
        )
    return f"MACAddress={links[0].mac}"


def _root(kickstart: Kickstart, target: str) -> list[Action]:
    if kickstart.root_hash:
        return [command("chroot", target, "chpasswd", "--encrypted", stdin=f"root:{kickstart.root_hash}\n")]
    return [command("chroot", target, "usermod", "--lock", "root")]


def _user(user: User, target: str) -> list[Action]:
    groups = ("--groups", ",".join(user.groups)) if user.groups else ()
    comment = ("--comment", user.comment) if user.comment else ()
    home = f"/home/{user.name}"
    actions: list[Action] = [
        command("chroot", target, "useradd", "--create-home", "--shell", user.shell, *groups, *comment, user.name)
    ]
    if user.password_hash:
        actions.append(
            command("chroot", target, "chpasswd", "--encrypted", stdin=f"{user.name}:{user.password_hash}\n")
        )
    if user.keys:
        keys = "".join(f"{key}\n" for key in user.keys)
        actions.append(WriteFile(f"{target}{home}/.ssh/authorized_keys", keys, 0o600))
        actions.append(command("chmod", "0700", f"{target}{home}/.ssh"))
        actions.append(command("chroot", target, "chown", "--recursive", f"{user.name}:{user.name}", f"{home}/.ssh"))
    return actions
