"""Secrets that people enter: kept by reference, found again, forgotten when no plan names them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from appliances.base.agent import secretstore
from appliances.base.agent.distribution import Appliance
from appliances.base.agent.errors import AgentError
from appliances.base.agent.settings import Setting
from tests.unit.agent.examples import distribution

WORDS = {"en": "x", "ru": "x"}


@pytest.fixture
def auth() -> Appliance:
    secret = Setting(key="key", kind="secret", title=WORDS, help=WORDS, default="", restart=["web"])
    found = distribution().appliance("auth")
    return found.model_copy(update={"settings": [*found.settings, secret]})


def test_what_was_entered_is_found_by_its_reference(tmp_path: Path, auth: Appliance) -> None:
    first = secretstore.enter(tmp_path, "auth", "hunter2")
    second = secretstore.enter(tmp_path, "auth", "hunter3")
    assert secretstore.entered(tmp_path, auth, {"key": first}) == {"key": "hunter2"}
    assert secretstore.entered(tmp_path, auth, {"key": second}) == {"key": "hunter3"}
    assert secretstore.entered(tmp_path, auth, {"key": ""}) == {"key": ""}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()} == {0o600}


def test_one_that_is_lost_is_named_with_the_way_out(tmp_path: Path, auth: Appliance) -> None:
    with pytest.raises(AgentError, match="the secret key is lost") as lost:
        secretstore.entered(tmp_path, auth, {"key": "secret:0123456789abcdef"})
    assert "asrctl config auth key -" in lost.value.sentence()


def test_only_what_no_plan_names_is_forgotten_and_not_at_once(tmp_path: Path, auth: Appliance) -> None:
    named, old, new = (secretstore.enter(tmp_path, "auth", word) for word in ("a", "b", "c"))
    long_ago = time.time() - 2 * secretstore.STALE
    for reference in (named, old):
        os.utime(tmp_path / "auth/entered" / reference.removeprefix("secret:"), (long_ago, long_ago))
    secretstore.forget(tmp_path, {named})
    assert secretstore.entered(tmp_path, auth, {"key": named}) == {"key": "a"}
    assert secretstore.entered(tmp_path, auth, {"key": new}) == {"key": "c"}
    with pytest.raises(AgentError):
        secretstore.entered(tmp_path, auth, {"key": old})
