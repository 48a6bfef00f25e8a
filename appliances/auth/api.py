"""The API of auth: log in and out, ask about a token, tokens for programs (docs/architecture.md, "APIs")."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint, current_app, g, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ConfigDict, Field

from appliances.auth import accounts, tokens
from appliances.auth.store import Store
from appliances.common.auth import authority, bearer_token, token_required
from appliances.common.authority import LoginRefused, Person
from appliances.common.bodies import json_body
from appliances.common.failures import Problem
from appliances.common.i18n import gettext as _

routes = Blueprint("api", __name__, url_prefix="/api/v1")


class LoginRequest(BaseModel):
    """`address` and `browser` are those of the person, told by an appliance of ours that shows the sign-in page."""

    model_config = ConfigDict(extra="forbid")

    login: Annotated[str, Field(min_length=1, max_length=200)]
    password: Annotated[str, Field(max_length=1000)]
    address: Annotated[str, Field(max_length=64)] = ""
    browser: Annotated[str, Field(max_length=200)] = ""


class IntrospectRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(max_length=500)]


class TokenRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    scopes: list[str]
    days: int = tokens.API_DAYS[0]


def store() -> Store:
    """The store of this app."""
    found: Store = current_app.extensions["asrbox-store"]
    return found


@routes.post("/login")
def login() -> ResponseReturnValue:
    asked = json_body(LoginRequest)
    caller = authority().introspect(bearer_token() or "")
    if caller and caller.kind == "service":
        address, browser = asked.address or request.remote_addr or "", asked.browser
    else:
        address, browser = request.remote_addr or "", request.user_agent.string[:200]
    try:
        issued = authority().login(asked.login, asked.password, address, browser)
    except LoginRefused as refused:
        if refused.retry_after is None:
            raise Problem(401, _("Login or password is wrong.")) from refused
        problem = Problem(429, _("Too many attempts"), retry_after=refused.retry_after)
        problem.headers["Retry-After"] = str(refused.retry_after)
        raise problem from refused
    person = authority().introspect(issued.token)
    assert person is not None, "a session that was opened a moment ago is live"
    return jsonify(
        token=issued.token,
        expires_at=issued.expires_at.isoformat(timespec="seconds"),
        account={"login": person.login, "name": person.name, "roles": sorted(person.roles)},
    )


@routes.post("/introspect")
@token_required("introspect")
def introspect() -> ResponseReturnValue:
    person = authority().introspect(json_body(IntrospectRequest).token)
    if person is None:
        return jsonify(active=False)
    return jsonify(
        active=True,
        kind=person.kind,
        login=person.login,
        name=person.name,
        roles=sorted(person.roles),
        scopes=sorted(person.scopes),
        expires_at=person.expires_at.isoformat(timespec="seconds") if person.expires_at else None,
        must_change_password=person.must_change_password,
    )


@routes.post("/logout")
@token_required()
def logout() -> ResponseReturnValue:
    if not tokens.end_session(store(), bearer_token() or "", request.remote_addr or ""):
        raise Problem(403, _("This token is not a session"), _("Revoke tokens of programs by their number."))
    return "", 204


@routes.get("/tokens")
@token_required()
def list_tokens() -> ResponseReturnValue:
    account = _administrator()
    return jsonify(tokens=[_public(token) for token in tokens.of_account(store(), account.id, "api")])


@routes.post("/tokens")
@token_required()
def issue_token() -> ResponseReturnValue:
    account, asked = _administrator(), json_body(TokenRequest)
    try:
        issued = tokens.issue(
            store(), account.id, account.login, asked.name, asked.scopes, asked.days, request.remote_addr or ""
        )
    except tokens.TokenRefused as refused:
        raise Problem(
            422, _("The token cannot be issued"), _("Wrong value: %(field)s", field=refused.field)
        ) from refused
    newest = tokens.of_account(store(), account.id, "api", issued.token)
    return jsonify(token=issued.token, **next(_public(token) for token in newest if token.current)), 201


@routes.delete("/tokens/<int:token_id>")
@token_required()
def revoke_token(token_id: int) -> ResponseReturnValue:
    account = _administrator()
    if not tokens.revoke(store(), account.id, account.login, token_id, request.remote_addr or ""):
        raise Problem(404, _("There is no such token"))
    return "", 204


def _administrator() -> accounts.Account:
    """The account of a signed-in administrator: a token that could make tokens would never end."""
    person: Person = g.person
    if person.kind != "session" or accounts.ADMINISTRATOR not in person.roles:
        raise Problem(403, _("Only a signed-in administrator may do this"))
    account = accounts.by_login(store(), person.login)
    assert account is not None, "introspection knew this account a moment ago"
    return account


def _public(token: tokens.Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": list(token.scopes),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_seen_at": token.last_seen_at,
    }
