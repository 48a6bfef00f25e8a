"""What the tests of the EL back end install: a few packages that show one thing each, in three signed repositories."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.bases import LockedPackage, Sources, back_end
from builder.bases.rpm import RpmBase
from tests.services import rpm_mirror
from tests.services.mirror import Signer
from tests.services.rpm_mirror import RpmMirror, Spec

CORE = ("shell", "libgreet", "greet", "weak", "router", "orphan", "kernel-tiny", "broken", "broken-lua", "policy")
NEEDS_SHELL = "Requires(post): shell"

SPECS = [
    Spec(
        "shell",
        files={**rpm_mirror.shell(), "/usr/bin/kernel-install": (rpm_mirror.KERNEL_INSTALL.encode(), "755")},
        listed=("%dir /proc", "%dir /sys", "%dir /dev", "%dir /etc", "%dir /var/lib/rpm", "%dir /boot"),
    ),
    Spec(
        "libgreet",
        "0.9",
        files={
            "/usr/lib/libgreet": (b"a library", "644"),
            "%lang(de) /usr/share/locale/de/greet": (b"hallo", "644"),
            "%lang(ru) /usr/share/locale/ru/greet": ("привет".encode(), "644"),
            "%doc /usr/share/doc/greet/README": (b"nobody reads this", "644"),
        },
    ),
    Spec(
        "greet",
        lines=("Requires: libgreet >= 0.9", "Recommends: weak", NEEDS_SHELL),
        files={"/usr/bin/greet": (random.Random("greet").randbytes(100_000), "755")},
        scripts="%post\nread name rest < /proc/self/stat\necho made in a scriptlet > /dev/null\n"
        "echo made in a scriptlet > /usr/lib/made-by-post\n",
    ),
    Spec("weak"),
    Spec(
        "router",
        "2.0",
        lines=("Epoch: 1", "Requires: libgreet"),
        files={"%caps(cap_net_raw=p) /usr/bin/router": (b"routes", "755")},
    ),
    Spec("orphan", lines=("Requires: libnowhere >= 3",)),
    Spec(
        "kernel-tiny",
        "6.1",
        lines=("Requires(posttrans): shell",),
        files={"/usr/lib/modules/6.1-1/vmlinuz": (b"MZ", "755")},
        scripts="%posttrans\n/usr/bin/kernel-install add 6.1-1 /usr/lib/modules/6.1-1/vmlinuz\n",
    ),
    Spec("broken", lines=(NEEDS_SHELL,), scripts="%post\necho the disk is made of cheese\nexit 3\n"),
    Spec("broken-lua", scripts='%post -p <lua>\nerror("no moon")\n'),
    Spec(
        "policy",
        files={
            "/etc/selinux/targeted/contexts/files/file_contexts": (
                b"/.*\tsystem_u:object_r:default_t:s0\n/usr/bin/greet\t--\tsystem_u:object_r:greet_exec_t:s0\n",
                "644",
            )
        },
    ),
    Spec("zabbix-agent", "7.0", files={"/usr/bin/zabbix": (b"vendor", "755")}),
]
EXTRA = [Spec("zabbix-agent", "8.0"), Spec("tool", lines=("Requires: greet",))]


@dataclass(frozen=True)
class Shelf:
    """Everything that is built once: signed and unsigned packages, and the two keys."""

    ready: Path
    unsigned: dict[str, Path]
    signer: Signer
    stranger: Signer

    def close(self) -> None:
        """End the agents of the keys."""
        self.signer.close()
        self.stranger.close()


def make_shelf(work: Path) -> Shelf:
    """Build and sign everything: repositories core, vendor and extra."""
    signer, stranger = Signer(work / "key", "Tiny mirror"), Signer(work / "stranger", "Somebody else")
    unsigned = rpm_mirror.build(SPECS, work / "core")
    extra = rpm_mirror.build(EXTRA, work / "extra")
    ready = RpmMirror(work / "ready")
    ready.put("core", *(unsigned[name] for name in CORE))
    ready.put("vendor", unsigned["zabbix-agent"])
    ready.put("extra", *extra.values())
    rpm_mirror.sign(list(ready.root.glob("*/Packages/*.rpm")), signer)
    ready.publish("core", "vendor", "extra")
    return Shelf(ready.root, unsigned, signer, stranger)


def manifest(shelf: Shelf, url: str = "http://127.0.0.1:1") -> dict[str, Any]:
    key = {"fingerprint": rpm_mirror.fingerprint(shelf.signer), "file": str(shelf.signer.keyring), "url": None}
    rows: list[dict[str, Any]] = [
        {"name": "core", "on_mirrors": ["BaseOS/x86_64/os"]},
        {"name": "vendor"},
        {"name": "extra", "exclude": ["zabbix*"]},
    ]
    return {
        "base": "tiny-9",
        "family": "el",
        "architecture": "x86_64",
        "release": "9",
        "module_platform": "platform:el9",
        "rpmdb": "/var/lib/rpm",
        "repositories": [{"url": f"{url}/{row['name']}", "keys": [key], **row} for row in rows],
    }


def base_of(
    shelf: Shelf, pool: Path, mirror: str | Path | None, *, offline: bool = False, keyrings: tuple[Path, ...] = ()
) -> RpmBase:
    where = None if mirror is None else str(mirror)
    base = back_end(manifest(shelf), Sources(pool, mirror=where, offline=offline, keyrings=keyrings))
    assert isinstance(base, RpmBase)
    return base


def names(packages: list[LockedPackage]) -> list[str]:
    return [package.name for package in packages]


def everything(trees: dict[str, list[LockedPackage]]) -> list[LockedPackage]:
    return sorted({package for tree in trees.values() for package in tree})


def named(packages: list[LockedPackage], name: str) -> LockedPackage:
    return next(package for package in packages if package.name == name)
