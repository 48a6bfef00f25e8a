"""What the agent takes orders for and what it refuses, before anything is carried out: certificates and ACME."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from appliances.base.agent import acme
from appliances.base.agent.agent import Agent
from appliances.base.agent.backend import Backend
from appliances.base.agent.errors import AgentError, WrongSettings
from appliances.base.agent.incus import Incus
from appliances.base.agent.paths import Paths
from tests.services.web_daemons import Authority
from tests.unit.agent.examples import distribution_json, installed

ON = {"acme_names": "isp.example", "acme_terms_agreed": "yes"}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A host whose appliance auth declares what base declares."""
    found = installed(tmp_path)
    manifest = Path(acme.__file__).parents[1] / "appliance.yaml"
    declared = yaml.safe_load(manifest.read_text())["settings"]
    shipped = distribution_json()
    shipped["appliances"][1]["settings"] = [{"key": key, **one} for key, one in declared.items()]
    found.distribution.write_text(json.dumps(shipped))
    return found


@pytest.fixture
def agent(paths: Paths) -> Backend:
    """Orders are taken, and nobody carries them out: its thread does not run."""
    return Agent(paths, cast(Incus, None)).backend


def bring(agent: Backend, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    Authority().equip(folder, "web", "isp.example")
    return agent.bring_certificate((folder / "web.crt").read_text(), (folder / "web.key").read_text())


def write_plan(paths: Paths, **settings: Any) -> None:
    planned = {"auth": {"settings": settings}, "asr_billing": {}}
    paths.plan.write_text(yaml.safe_dump({"version": 1, "appliances": planned}))


def test_names_are_not_taken_without_agreement_and_together_with_it_they_are(agent: Backend) -> None:
    with pytest.raises(WrongSettings) as refused:
        agent.configure("auth", {"acme_names": "isp.example"}, "anna")
    assert refused.value.fields == {"acme_names": "acme_names needs acme_terms_agreed to be yes"}
    with pytest.raises(WrongSettings, match="acme_names takes a text such as"):
        agent.configure("auth", {**ON, "acme_names": "192.0.2.1"}, "anna")
    assert agent.operations() == []

    assert agent.configure("auth", ON, "anna").arguments == {"acme_names": "isp.example", "acme_terms_agreed": True}


def test_acme_is_not_switched_on_beside_a_certificate_that_was_brought(
    agent: Backend, paths: Paths, tmp_path: Path
) -> None:
    assert agent.certificate()["way"] == "own"
    assert bring(agent, tmp_path / "brought")["way"] == "brought"
    with pytest.raises(AgentError, match=r"remove it first \(asrctl certificate remove\)"):
        agent.configure("auth", ON, "anna")
    write_plan(paths, acme_names="isp.example", acme_terms_agreed=True)
    with pytest.raises(AgentError, match="remove it first"):
        agent.apply("anna")
    assert agent.operations() == []
    assert agent.drop_certificate()["way"] == "own"
    assert agent.apply("anna").action == "apply"


def test_while_acme_is_on_none_is_brought(agent: Backend, paths: Paths, tmp_path: Path) -> None:
    paths.plan.parent.mkdir(parents=True)
    write_plan(paths, acme_names="isp.example", acme_terms_agreed=True)  # what a new host begins with is in force
    found = agent.certificate()
    assert (found["acme"]["names"], found["acme"]["error"]) == (["isp.example"], None)
    with pytest.raises(AgentError, match="ACME looks after the certificate for isp.example"):
        bring(agent, tmp_path / "brought")
    assert agent.renew_certificate("anna") == agent.operations()[0]
    with pytest.raises(WrongSettings, match="acme_names needs acme_terms_agreed to be yes"):
        agent.configure("auth", {"acme_terms_agreed": "no"}, "anna")


def test_an_authority_is_not_asked_while_nothing_is_wanted_of_it(agent: Backend) -> None:
    with pytest.raises(AgentError, match="ACME is off .*asrctl config base acme_names NAME"):
        agent.renew_certificate("anna")
