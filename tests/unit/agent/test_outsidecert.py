"""A certificate that people bring for the published pages: taken when it would work, else refused with the reason."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliances.base.agent import checks, outsidecert
from appliances.base.agent.errors import AgentError
from appliances.base.agent.paths import Paths
from tests.services.web_daemons import Authority

NOW = datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Brought:
    chain: str
    key: str
    authority: str


def brought(folder: Path, name: str = "isp.example") -> Brought:
    """A certificate for `name` with the authority that signed it."""
    folder.mkdir()
    Authority().equip(folder, "web", name)
    authority = (folder / "ca.crt").read_text()
    return Brought((folder / "web.crt").read_text(), (folder / "web.key").read_text(), authority)


def test_what_would_work_is_kept_in_one_file(tmp_path: Path) -> None:
    one = brought(tmp_path / "one")
    path = tmp_path / "ca" / "outside.pem"
    assert outsidecert.shown(path) is None

    taken = outsidecert.install(path, one.chain + one.authority, one.key, NOW)

    assert taken == outsidecert.shown(path)
    assert taken.names == ("isp.example", "localhost", "127.0.0.1")
    assert taken.issuer == "asrbox tests"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().count("BEGIN CERTIFICATE") == 2


def test_what_would_not_work_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    one, other = brought(tmp_path / "one"), brought(tmp_path / "other", "other.example")
    path = tmp_path / "outside.pem"
    outsidecert.install(path, one.chain, one.key, NOW)
    before = path.read_bytes()
    late = NOW + datetime.timedelta(days=4000)
    for chain, key, now, says in [
        ("no PEM", one.key, NOW, "the certificate cannot be read"),
        (one.chain, "no PEM", NOW, "the key cannot be read"),
        (one.chain, other.key, NOW, "the key is not that of isp.example"),
        (one.chain + other.authority, one.key, NOW, "isp.example is not signed by asrbox tests"),
        (one.chain, one.key, late, f"today is {late:%Y-%m-%d}"),
        (one.authority, one.key, NOW, "the key is not that of asrbox tests"),
    ]:
        with pytest.raises(AgentError) as refused:
            outsidecert.install(path, chain, key, now)
        assert says in refused.value.sentence()
        assert "both as PEM" in refused.value.sentence()
    assert path.read_bytes() == before


def test_a_check_says_until_when_it_is_valid(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert checks._outside(paths) == []
    one = brought(tmp_path / "one")
    outsidecert.install(paths.outside_certificate, one.chain, one.key, NOW)
    (found,) = checks._outside(paths)
    assert found["name"] == "outside certificate"
    assert "for isp.example, localhost, 127.0.0.1, valid until" in found["detail"]
    paths.outside_certificate.write_text("rubbish")
    (damaged,) = checks._outside(paths)
    assert (damaged["ok"], "install it again: asrctl certificate install" in damaged["detail"]) == (False, True)
