"""Makes Firebird's files fit to be served: run as root by asrbox-firebird.service before the server, every time.

The root file system of the container is disposable and holds no secret, so the security database is made anew from the
host's secrets at each start. The billing database is on the volume: created once, under another name until it is whole.
Needs nothing but the standard library. Environment: FIREBIRD and FIREBIRD_LOCK (Firebird's own), FIREBIRD_PROGRAMS and
FIREBIRD_SECURITY (folders), all set by the unit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SECRETS = Path("/etc/asrbox/secrets")
DATABASE = Path("/var/lib/asrbox/database/billing.fdb")
SQL = Path(__file__).parent / "sql"
ACCOUNT = "firebird"


class SetupError(Exception):
    """One sentence for the log: what is wrong and what to do."""


def main() -> None:
    """Prepare both databases; on failure say why in one line and leave with exit code 1."""
    try:
        hand_over(DATABASE.parent)
        passwords = {name: secret(f"{name}-password") for name in ("sysdba", "billing")}
        make_security_database(Path(os.environ["FIREBIRD_SECURITY"]) / "security4.fdb", passwords)
        if not DATABASE.exists():
            create_billing_database(DATABASE)
            print(f"created {DATABASE}", flush=True)
        # Sorted indexes depend on the version of ICU: a newer image may bring a newer one.
        program("gfix", "-user", "SYSDBA", "-icu", "billing")
        script("billing", (SQL / "grants.sql").read_text())
    except SetupError as problem:
        sys.exit(f"firebird_setup: {problem}")


def hand_over(folder: Path) -> None:
    """Give the volume, which is fresh and root's on the first start, to the account of the server."""
    if not folder.is_dir():
        raise SetupError(f"the volume {folder} is not there; is it attached to this container?")
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, ACCOUNT, ACCOUNT)
    folder.chmod(0o700)


def secret(name: str) -> str:
    """The value of one secret of the appliance: one line."""
    path = SECRETS / name
    try:
        value = path.read_text(encoding="utf-8").removesuffix("\n")
    except OSError as error:
        raise SetupError(f"cannot read {path}: {error.strerror}; the host's agent renders it") from error
    if not value.isprintable() or not value:
        raise SetupError(f"{path} must hold one line of printable text")
    return value


def make_security_database(path: Path, passwords: dict[str, str]) -> None:
    """Write the users SYSDBA and BILLING with their passwords into a new security database, then put it in place."""
    new = fresh(path)
    statements = ["create database 'security.new';"]
    for user, password in passwords.items():
        quoted = password.replace("'", "''")
        statements.append(f"create or alter user {user} password '{quoted}' using plugin Srp;")
    script(None, "\n".join([*statements, "commit;"]))
    put_in_place(new, path)


def create_billing_database(path: Path) -> None:
    """Create the database as <name>.new and rename it: a power cut leaves either nothing or a whole one."""
    new = fresh(path)
    script(None, (SQL / "create_database.sql").read_text())
    put_in_place(new, path)


def fresh(path: Path) -> Path:
    """The name under which a file is made, with the leftover of an interrupted start removed."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    return new


def put_in_place(new: Path, path: Path) -> None:
    """Rename `new` to `path`, on the disk before this returns."""
    sync(new)
    new.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Flush one file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def script(database: str | None, statements: str) -> None:
    """Run SQL as SYSDBA in the embedded engine, stopping at the first error. Passwords go by standard input."""
    program("isql-fb", "-quiet", "-bail", "-user", "SYSDBA", *([database] if database else []), statements=statements)


def program(name: str, *arguments: str, statements: str = "") -> None:
    """Run one of Firebird's programs as the account of the server."""
    done = subprocess.run(
        [str(Path(os.environ["FIREBIRD_PROGRAMS"]) / name), *arguments],
        input=statements,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        user=ACCOUNT,
        group=ACCOUNT,
        extra_groups=[],
        cwd=os.environ["FIREBIRD_LOCK"],
    )
    if done.returncode:
        said = " ".join(done.stdout.split()) or f"exit code {done.returncode}"
        raise SetupError(f"{name} {' '.join(arguments)}: {said}")


if __name__ == "__main__":
    main()
