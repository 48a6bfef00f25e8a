"""The part of the agent's API that is about the host itself: /api/v1/host/…"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from flask import Flask, Response, jsonify, request

from appliances.base.agent.errors import AgentError


class Host(Protocol):
    """What these routes need of the host (hostadmin.py). It writes the journal itself."""

    def network(self) -> dict[str, Any]: ...
    def change_network(self, given: Mapping[str, Any], author: str) -> dict[str, Any]: ...
    def confirm_network(self, author: str) -> dict[str, Any]: ...
    def revert_network(self, author: str) -> None: ...
    def people(self) -> list[dict[str, Any]]: ...
    def add_person(
        self, name: str, keys: Sequence[str], password_hash: str | None, administrator: bool, author: str
    ) -> list[dict[str, Any]]: ...
    def set_keys(self, name: str, keys: Sequence[str], author: str) -> list[dict[str, Any]]: ...
    def act_on_person(self, name: str, action: str, author: str) -> list[dict[str, Any]]: ...


def register(app: Flask, host: Host, author: Callable[[], str]) -> None:
    """Add the routes."""

    @app.get("/api/v1/host/network")
    def host_network() -> Response:
        return jsonify(host.network())

    @app.post("/api/v1/host/network")
    def change_host_network() -> tuple[Response, int]:
        given = _object()
        if not given:
            raise AgentError('expected an object such as {"method": "dhcp"}')
        return jsonify(host.change_network(given, author())), 202

    @app.post("/api/v1/host/network/confirm")
    def confirm_host_network() -> Response:
        return jsonify(host.confirm_network(author()))

    @app.post("/api/v1/host/network/revert")
    def revert_host_network() -> Response:
        host.revert_network(author())
        return jsonify(host.network())

    @app.get("/api/v1/host/people")
    def host_people() -> Response:
        return jsonify(host.people())

    @app.post("/api/v1/host/people")
    def add_host_person() -> Response:
        given = _object()
        name, secret = given.get("name"), given.get("password_hash")
        administrator = given.get("administrator", False)
        right = isinstance(name, str) and isinstance(secret, str | None) and isinstance(administrator, bool)
        if not right or not isinstance(name, str):
            raise AgentError('expected {"name": "anna", "keys": ["ssh-ed25519 …"], "administrator": false}')
        return jsonify(host.add_person(name, _keys(given), secret, administrator, author()))

    @app.post("/api/v1/host/people/<name>/keys")
    def set_host_keys(name: str) -> Response:
        return jsonify(host.set_keys(name, _keys(_object()), author()))

    @app.post("/api/v1/host/people/<name>/<action>")
    def act_on_host_person(name: str, action: str) -> Response:
        return jsonify(host.act_on_person(name, action, author()))


def _object() -> dict[str, Any]:
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        raise AgentError("expected an object as JSON")
    return given


def _keys(given: Mapping[str, Any]) -> list[str]:
    keys = given.get("keys", [])
    if not isinstance(keys, list) or not all(isinstance(one, str) for one in keys):
        raise AgentError('keys: expected a list of texts, such as ["ssh-ed25519 AAAA… anna"]')
    return keys
