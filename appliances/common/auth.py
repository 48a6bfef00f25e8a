"""Sign-in as every appliance has it: the pages /login and /logout, and the decorators that guard views."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlsplit

from flask import Blueprint, Response, current_app, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from appliances.common.authority import Authority, LoginRefused, Person
from appliances.common.failures import Problem
from appliances.common.i18n import gettext as _
from appliances.common.i18n import ngettext
from appliances.common.security import here, local_path

COOKIE = "__Host-asrbox"

View = TypeVar("View", bound=Callable[..., Any])
routes = Blueprint("session", __name__)


def authority() -> Authority:
    """The authority that this app was made with."""
    return cast(Authority, current_app.extensions["asrbox-authority"])


def person_of_session() -> Person | None:
    """Who sits at the browser, asked once per request. Raises EndpointError when auth cannot be asked."""
    if "person" not in g:
        token = request.cookies.get(COOKIE)
        found = authority().introspect(token) if token else None
        # Only log-ins are browser sessions: an API token in a cookie is somebody's mistake or attack.
        g.person = found if found and found.kind == "session" and not _expired(found) else None
    return cast("Person | None", g.person)


def login_required(view: View) -> View:
    """Let in everybody who is signed in; show others the sign-in page and bring them back afterwards."""
    return _guarded(view, frozenset())


def roles_required(*roles: str) -> Callable[[View], View]:
    """Let in people who have at least one of `roles`; everybody else signed in gets a 403."""
    return functools.partial(_guarded, roles=frozenset(roles))


def token_required(*scopes: str) -> Callable[[View], View]:
    """Guard an API view: a bearer token that has all of `scopes` (none given: any valid token). 401 or 403."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            token = bearer_token()
            person = authority().introspect(token) if token else None
            if person is None or _expired(person):
                problem = Problem(401, _("A valid token is needed"), _("Send it as “Authorization: Bearer …”."))
                problem.headers["WWW-Authenticate"] = 'Bearer realm="asrbox"'
                raise problem
            g.person = person
            missing = sorted(set(scopes) - person.scopes)
            if missing:
                raise Problem(
                    403, _("The token does not allow this"), _("Missing: %(scopes)s", scopes=", ".join(missing))
                )
            return view(*args, **kwargs)

        return cast(View, guarded)

    return decorate


def bearer_token() -> str | None:
    """The token of the Authorization header, if there is one."""
    scheme, _space, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None


@routes.get("/login")
def login_page() -> ResponseReturnValue:
    target = local_path(request.args.get("next"))
    if person_of_session() is not None:
        return redirect(target)
    return render_template("ui/login.html", target=target, login="", error="")


@routes.post("/login")
def login() -> ResponseReturnValue:
    target = local_path(request.form.get("next"))
    name = request.form.get("login", "").strip()
    try:
        issued = authority().login(
            name, request.form.get("password", ""), request.remote_addr or "", request.user_agent.string[:200]
        )
    except LoginRefused as refused:
        page = render_template("ui/login.html", target=target, login=name, error=_refusal(refused))
        answer = Response(page, 429 if refused.retry_after else 401)
        if refused.retry_after:
            answer.headers["Retry-After"] = str(refused.retry_after)
        return answer
    session.clear()  # a form token from before the log-in is worth nothing after it
    response = redirect(target, 303)
    seconds = int((issued.expires_at - datetime.now(UTC)).total_seconds())
    response.set_cookie(COOKIE, issued.token, max_age=seconds, secure=True, httponly=True, samesite="Lax", path="/")
    return response


@routes.post("/logout")
def logout() -> ResponseReturnValue:
    token = request.cookies.get(COOKIE)
    if token:
        authority().logout(token)
    session.clear()
    response = redirect(url_for("session.login_page"), 303)
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Lax")
    return response


def _guarded(view: View, roles: frozenset[str]) -> View:
    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        person = person_of_session()
        if person is None:
            return _to_login()
        if roles and not roles & person.roles:
            raise Problem(
                403, _("Not allowed"), _("Your account does not have the role that this needs. Ask an administrator.")
            )
        return view(*args, **kwargs)

    return cast(View, guarded)


def _to_login() -> Response:
    if request.headers.get("HX-Request"):
        # A fragment was asked for: the whole page has to go to the sign-in and come back to where it was.
        shown = urlsplit(request.headers.get("HX-Current-URL", ""))
        target = local_path(shown.path + (f"?{shown.query}" if shown.query else ""))
        return Response("", 401, {"HX-Redirect": _login_for(target)})
    return cast(Response, redirect(_login_for(here()), 303))


def _login_for(target: str) -> str:
    return f"{url_for('session.login_page')}?next={quote(target, safe='/')}"


def _expired(person: Person) -> bool:
    return person.expires_at is not None and person.expires_at <= datetime.now(UTC)


def _refusal(refused: LoginRefused) -> str:
    if refused.retry_after is None:
        return _("Login or password is wrong.")
    wait = refused.retry_after
    if wait < 60:
        return ngettext(
            "Too many attempts. Try again in %(n)s second.", "Too many attempts. Try again in %(n)s seconds.", wait
        )
    minutes = -(-wait // 60)
    return ngettext(
        "Too many attempts. Try again in %(n)s minute.", "Too many attempts. Try again in %(n)s minutes.", minutes
    )
