"""What the ISO brought is checked before anything is done with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliances.base.agent.distribution import load_distribution
from appliances.base.agent.errors import AgentError
from appliances.base.agent.imagelist import load_images
from tests.unit.agent.examples import distribution_json, images_json


def test_the_start_order_follows_what_is_consumed(tmp_path: Path) -> None:
    file = tmp_path / "distribution.json"
    file.write_text(json.dumps(distribution_json()))

    assert [one.name for one in load_distribution(file).start_order()] == ["auth", "asr_billing"]
    assert load_distribution(file).consumers("auth") == ["asr_billing"]


def test_a_circle_is_named(tmp_path: Path) -> None:
    spoiled = distribution_json()
    spoiled["appliances"][1]["consumes"] = ["web.asr_billing"]
    file = tmp_path / "distribution.json"
    file.write_text(json.dumps(spoiled))

    with pytest.raises(AgentError, match="asr_billing, auth wait for one another"):
        load_distribution(file)


def test_a_wrong_type_is_named_with_file_and_key(tmp_path: Path) -> None:
    spoiled = distribution_json()
    spoiled["appliances"][0]["daemons"][1]["port"] = "443"
    file = tmp_path / "distribution.json"
    file.write_text(json.dumps(spoiled))

    with pytest.raises(
        AgentError, match=r"distribution.json: appliances.0.daemons.1.port: Input should be a valid int"
    ):
        load_distribution(file)


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="distribution.json is missing"):
        load_distribution(tmp_path / "distribution.json")
    file = tmp_path / "images.json"
    file.write_text(json.dumps({**images_json(), "images": [{"appliance": "auth"}]}))
    with pytest.raises(AgentError, match="images.json: images.0.instance: Field required"):
        load_images(file)
