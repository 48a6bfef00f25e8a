"""The agent's API is what its description says: the same routes, answers of that shape, no input that gives a 500."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from appliances.base.agent.api import DESCRIPTION, create_app
from tests.unit.agent.test_api import Backend

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
EXAMPLES = 15  # for each operation and each kind of input
PATHS = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))["paths"]
OPERATIONS = [(method, path) for path, item in PATHS.items() for method in item if method != "parameters"]


TAKING = [(m, path) for m, path in OPERATIONS if "{" in path or {"parameters", "requestBody"} & PATHS[path][m].keys()]
ASKED = [(*one, GenerationMode.POSITIVE) for one in OPERATIONS] + [(*one, GenerationMode.NEGATIVE) for one in TAKING]


@pytest.fixture
def described(tmp_path: Path) -> schemathesis.BaseSchema:
    """The description as the API serves it, with an API behind it in which things have happened."""
    backend = Backend(tmp_path)
    backend.channels = ["mail"]
    backend.standing = [{"name": "disk", "detail": "96%", "since": "2026-11-23T08:00:00+00:00"}]
    backend.known.fail(backend.request("start", "auth", "anna"), "auth: start: it did not")
    backend.request("configure", "asr_billing", "anna")
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", create_app(backend, None, 0))


@pytest.mark.parametrize(("method", "path", "kind"), ASKED)
def test_answers_are_as_described(
    described: schemathesis.BaseSchema, method: str, path: str, kind: GenerationMode
) -> None:
    operation = described[path][method]

    @given(case=operation.as_strategy(generation_mode=kind))
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    ask()


def test_every_route_is_described_and_nothing_else(tmp_path: Path) -> None:
    served = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in create_app(Backend(tmp_path), None).url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert set(OPERATIONS) == served
