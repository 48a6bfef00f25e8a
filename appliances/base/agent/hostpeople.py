"""Who may log in on the host itself: made, locked and removed with the system's own programs (shadow-utils).

Always one administrator stays who can log in. Keys are written by a process that is that person: a home folder is its
owner's, and what root wrote there could be led elsewhere.
"""

from __future__ import annotations

import grp
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliances.base.agent.errors import AgentError, UnknownName, WrongSettings
from appliances.base.agent.machine import ADMINISTRATORS, FIRST_PERSON, LAST_PERSON, NO_SHELL
from appliances.base.hostrules import ACCOUNT, HASH, SSH_KEY, TAKEN

STEP = "host people"
SHELL = "/bin/bash"
EXPIRED = "1"  # a day long gone, in days of the epoch: shadow(5)
LIMIT = 60  # seconds for one program
WRITE_KEYS = 'umask 077; cd "$HOME" && mkdir -p .ssh && cat > .ssh/.asrbox && mv .ssh/.asrbox .ssh/authorized_keys'


@dataclass(frozen=True)
class Account:
    """Somebody who may log in, or may not while `locked`; `keys` are whole lines of authorized_keys."""

    name: str
    administrator: bool
    password: bool
    locked: bool
    keys: tuple[str, ...]

    @property
    def way_in(self) -> bool:
        """Whether this account can look after the host."""
        return self.administrator and not self.locked and (self.password or bool(self.keys))


def listed(root: Path = Path("/")) -> list[Account]:
    """People, and root where it has a password."""
    administrators = _administrators(root)
    secrets = {line.split(":")[0]: line.split(":") for line in _text(root / "etc/shadow").splitlines()}
    found = []
    for line in _text(root / "etc/passwd").splitlines():
        user = line.split(":")
        if len(user) < 7 or user[6].endswith(NO_SHELL):
            continue
        name, number = user[0], int(user[2])
        secret = secrets.get(name, [])
        stored = secret[1] if len(secret) > 1 else ""
        expires = secret[7] if len(secret) > 7 else ""
        password = stored.lstrip("!")[:1] not in ("", "*")
        locked = stored.startswith("!$") or (expires.isdigit() and int(expires) <= int(EXPIRED))
        if FIRST_PERSON <= number <= LAST_PERSON:
            keys = _keys(_text(root / user[5].lstrip("/") / ".ssh/authorized_keys"))
            found.append(Account(name, name in administrators, password, locked, keys))
        elif number == 0 and password and not locked:
            found.append(Account(name, True, True, False, ()))
    return found


def add(name: str, keys: Sequence[str], password_hash: str | None, administrator: bool) -> None:
    """Make an account. Raises WrongSettings, AgentError; then there is none."""
    wrong = _wrong_keys(keys)
    if not ACCOUNT.fullmatch(name):
        wrong["name"] = "name takes small letters, digits, - and _, such as anna"
    elif name in TAKEN or _exists(name):
        wrong["name"] = f"there is an account {name!r} already"
    if password_hash is not None and not HASH.fullmatch(password_hash):
        wrong["password_hash"] = "password_hash takes what `openssl passwd -6` prints"
    if not keys and password_hash is None:
        wrong["keys"] = "keys or password_hash has to be given: nobody could log in otherwise"
    if wrong:
        raise WrongSettings(wrong, appliance="people")
    groups = ["--groups", ",".join(_groups())] if administrator else []
    _run(["useradd", "--create-home", "--shell", SHELL, *groups, name])
    try:
        if password_hash is not None:
            _run(["chpasswd", "--encrypted"], f"{name}:{password_hash}\n")
        if keys:
            _write_keys(name, keys)
    except AgentError:
        _run(["userdel", "--remove", name])
        raise


def set_keys(name: str, keys: Sequence[str]) -> None:
    """Let these keys in for an account, and no others. Raises WrongSettings, UnknownName, AgentError."""
    account = _of(name)
    wrong = _wrong_keys(keys)
    if wrong:
        raise WrongSettings(wrong, appliance="people")
    if not keys and not account.password:
        _keep_one_way_in(account, "take its last key away")
    _write_keys(name, keys)


def lock(name: str) -> None:
    """Nobody logs in as this any more, neither by password nor by key; sessions end. Raises UnknownName, AgentError."""
    account = _of(name)
    _keep_one_way_in(account, "lock it")
    _run(["usermod", "--lock", name])
    _run(["chage", "--expiredate", EXPIRED, name])
    _end_sessions(name)


def unlock(name: str) -> None:
    """Undo `lock()`. Raises UnknownName, AgentError."""
    account = _of(name)
    if account.password:
        _run(["usermod", "--unlock", name])
    _run(["chage", "--expiredate", "-1", name])


def remove(name: str) -> None:
    """Remove an account with its home folder. Raises UnknownName, AgentError."""
    account = _of(name)
    _keep_one_way_in(account, "remove it")
    _end_sessions(name)
    _run(["userdel", "--remove", name])


def shown(account: Account) -> dict[str, Any]:
    """For the API: of each key its type, its last characters and its comment."""
    return {**asdict(account), "keys": [short(key) for key in account.keys]}


def short(key: str) -> str:
    """A key as people know it: `ssh-ed25519 …Rk3v anna@laptop`. What is none is not shown: the file is its owner's,
    and may be a link to what only root can read.
    """
    if not SSH_KEY.fullmatch(key.strip()):
        return "(not a plain key)"
    kind, _, rest = key.partition(" ")
    body, _, comment = rest.partition(" ")
    return f"{kind} …{body[-8:]} {comment}".rstrip()


def _keep_one_way_in(account: Account, what: str) -> None:
    if account.way_in and not any(one.way_in for one in listed() if one.name != account.name):
        raise AgentError(
            f"{account.name} is the last who can look after this host: it is not possible to {what}",
            step=STEP,
            hint="first make another administrator: asrctl host people add",
        )


def _of(name: str) -> Account:
    found = {one.name: one for one in listed() if one.name != "root"}
    if name not in found:
        raise UnknownName(f"there is no account {name!r}", step=STEP, hint=f"there are: {', '.join(found) or 'none'}")
    return found[name]


def _write_keys(name: str, keys: Sequence[str]) -> None:
    user = pwd.getpwnam(name)
    _run(
        ["sh", "-c", WRITE_KEYS],
        "".join(f"{key.strip()}\n" for key in keys),
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        cwd="/",
        env={"HOME": user.pw_dir, "PATH": "/usr/bin:/bin"},
    )
    if Path("/usr/sbin/restorecon").exists():
        _run(["restorecon", "-R", f"{user.pw_dir}/.ssh"])


def _end_sessions(name: str) -> None:
    """What the person runs ends too; that there is nothing to end is no error."""
    number = pwd.getpwnam(name).pw_uid
    subprocess.run(["pkill", "-KILL", "-U", str(number)], capture_output=True, check=False, timeout=LIMIT)  # noqa: S603, S607


def _wrong_keys(keys: Sequence[str]) -> dict[str, str]:
    bad = [key for key in keys if not SSH_KEY.fullmatch(key.strip())]
    return {"keys": f"{bad[0][:40]!r} is not a public SSH key: give the whole line of a .pub file"} if bad else {}


def _groups() -> list[str]:
    """The groups of administrators that this system has: sudo on Debian, wheel on EL."""
    return sorted(ADMINISTRATORS & {one.gr_name for one in grp.getgrall()})


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _administrators(root: Path) -> set[str]:
    groups = [line.split(":") for line in _text(root / "etc/group").splitlines()]
    return {name for one in groups if one[0] in ADMINISTRATORS and len(one) > 3 for name in one[3].split(",")}


def _keys(text: str) -> tuple[str, ...]:
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _run(argv: list[str], given: str = "", **how: Any) -> None:
    try:
        done = subprocess.run(  # noqa: S603
            argv, input=given, capture_output=True, text=True, check=False, timeout=LIMIT, **how
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise AgentError(f"{argv[0]}: {error}", step=STEP) from error
    if done.returncode != 0:
        raise AgentError(f"{argv[0]}: {done.stderr.strip() or f'exit {done.returncode}'}", step=STEP)
