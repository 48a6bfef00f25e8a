"""Who may log in on the host: read out of a tree. That accounts are made and locked is shown in tests/containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliances.base.agent import hostpeople
from appliances.base.agent.errors import AgentError, UnknownName, WrongSettings
from appliances.base.agent.hostpeople import Account

KEY = "ssh-ed25519 " + "A" * 60 + "Rk3vZZ== anna@laptop"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "root:x:0:0::/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n"
        "anna:x:1000:1000::/home/anna:/bin/bash\nboris:x:1001:1001::/home/boris:/bin/bash\n"
        "vera:x:1002:1002::/home/vera:/bin/bash\nold:x:1003:1003::/home/old:/bin/bash\n"
    )
    (tmp_path / "etc/group").write_text("sudo:x:27:anna,old\nasrbox:x:900:\n")
    (tmp_path / "etc/shadow").write_text(
        "root:!:1::::::\nanna:!:1::::::\nboris:$6$abc:1::::::\nvera:!$6$abc:1:::::1:\nold:$6$abc:1:::::1:\n"
    )
    keys = tmp_path / "home/anna/.ssh/authorized_keys"
    keys.parent.mkdir(parents=True)
    keys.write_text(f"# mine\n{KEY}\n\n")
    return tmp_path


def test_people_are_read(root: Path) -> None:
    assert hostpeople.listed(root) == [
        Account("anna", True, False, False, (KEY,)),
        Account("boris", False, True, False, ()),
        Account("vera", False, True, True, ()),
        Account("old", True, True, True, ()),
    ]
    assert [one.name for one in hostpeople.listed(root) if one.way_in] == ["anna"]
    shadow = root / "etc/shadow"
    shadow.write_text(shadow.read_text().replace("root:!", "root:$6$abc"))
    assert hostpeople.listed(root)[0] == Account("root", True, True, False, ())


def test_a_key_is_shown_by_its_end_and_comment() -> None:
    assert hostpeople.short(KEY) == "ssh-ed25519 …k3vZZ== anna@laptop".replace("…k", "…Rk")
    assert hostpeople.short("root:$6$abc:1::::::") == "(not a plain key)"
    assert hostpeople.shown(Account("anna", True, False, False, (KEY,)))["keys"] == [hostpeople.short(KEY)]


@pytest.mark.parametrize("act", [hostpeople.lock, hostpeople.remove, lambda name: hostpeople.set_keys(name, [])])
def test_the_last_way_in_stays(root: Path, monkeypatch: pytest.MonkeyPatch, act: object) -> None:
    found = hostpeople.listed(root)
    monkeypatch.setattr(hostpeople, "listed", lambda: found)
    with pytest.raises(AgentError, match=r"anna is the last who can look after this host.*first make another"):
        act("anna")  # type: ignore[operator]
    with pytest.raises(UnknownName, match="there is no account 'nobody'"):
        act("nobody")  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "keys", "secret", "key", "says"),
    [
        ("Anna", [KEY], None, "name", "name takes small letters"),
        ("-x", [KEY], None, "name", "name takes small letters"),
        ("sudo", [KEY], None, "name", "there is an account 'sudo' already"),
        ("root", [KEY], None, "name", "there is an account 'root' already"),
        ("clara", [], None, "keys", "nobody could log in otherwise"),
        ("clara", ["ssh-ed25519 x"], None, "keys", "'ssh-ed25519 x' is not a public SSH key"),
        ("clara", [KEY + "\nevil"], None, "keys", "is not a public SSH key"),
        ("clara", [KEY], "hunter2", "password_hash", "takes what `openssl passwd -6` prints"),
        ("clara", [KEY], "$6$abcdefgh\nroot:x", "password_hash", "takes what `openssl passwd -6` prints"),
    ],
)
def test_what_does_not_fit_makes_no_account(
    name: str, keys: list[str], secret: str | None, key: str, says: str
) -> None:
    with pytest.raises(WrongSettings) as refused:
        hostpeople.add(name, keys, secret, administrator=False)
    assert set(refused.value.fields) == {key}
    assert says in refused.value.fields[key]
