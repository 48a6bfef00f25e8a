"""/etc/passwd and its kin of the package base-passwd, made of its masters as Debian's script makes them."""

from __future__ import annotations

from tests.synthetic.package import Package
from tests.synthetic.root import PASSWD, Root


def write_accounts(root: Root, package: Package, day: int) -> None:
    """passwd, group, shadow, gshadow; nobody has a password. `day` is that of the last change (days since 1970)."""
    users = (root.folder / PASSWD / "passwd.master").read_text().replace(":*:", ":x:")
    groups = (root.folder / PASSWD / "group.master").read_text().replace(":*:", ":x:")
    shadow = "".join(f"{_name(line)}:*:{day}:0:99999:7:::\n" for line in users.splitlines())
    gshadow = "".join(f"{_name(line)}:*::\n" for line in groups.splitlines())
    root.write(package, "/etc/passwd", users)
    root.write(package, "/etc/group", groups)
    root.write(package, "/etc/shadow", shadow, "0640")
    root.write(package, "/etc/gshadow", gshadow, "0640")


def _name(line: str) -> str:
    return line.partition(":")[0]
