"""The pages of auth: one's own profile, sessions and tokens, and the journal for administrators."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from appliances.auth import accounts, audit, tokens
from appliances.auth.api import store
from appliances.common.auth import COOKIE, login_required, roles_required
from appliances.common.authority import LoginRefused
from appliances.common.failures import Problem
from appliances.common.i18n import gettext as _
from appliances.common.i18n import lazy, ngettext

routes = Blueprint("pages", __name__)

REASONS = {
    "wrong": ("current", lazy("This is not your current password.")),
    "same": ("new", lazy("The new password is the same as the current one.")),
    "short": ("new", lazy("Too short: at least %(least)s characters.")),
    "long": ("new", lazy("Too long: at most 1000 characters.")),
    "simple": ("new", lazy("Too simple: repeats a few characters or is the login.")),
}
TOKEN_ERRORS = {
    "name": lazy("Give it a name of 1 to 60 characters, so that you know later what it is for."),
    "scopes": lazy("Write scopes as part:right, separated by spaces: asr_billing:read."),
    "days": lazy("Choose one of the terms."),
}
ACTIONS = {
    "account.created": lazy("Account created"),
    "login.done": lazy("Signed in"),
    "login.failed": lazy("Wrong login or password"),
    "login.blocked": lazy("Attempt refused: too many failures"),
    "logout": lazy("Signed out"),
    "password.changed": lazy("Password changed"),
    "password.refused": lazy("Password not changed: current one wrong"),
    "token.issued": lazy("Token issued"),
    "token.revoked": lazy("Token revoked"),
    "session.ended": lazy("Session ended"),
}


@routes.get("/")
def index() -> ResponseReturnValue:
    return redirect(url_for("pages.profile"))


@routes.get("/profile")
@login_required
def profile() -> ResponseReturnValue:
    return _profile_page(_account(), {})


@routes.post("/profile/password")
@login_required
def change_password() -> ResponseReturnValue:
    account, form = _account(), request.form
    errors: dict[str, str] = {}
    if form.get("new", "") != form.get("again", ""):
        errors["again"] = _("The two new passwords differ.")
    else:
        try:
            accounts.change_password(
                store(), account, form.get("current", ""), form.get("new", ""), keep=_token(), address=_address()
            )
        except accounts.PasswordRefused as refused:
            field, text = REASONS[refused.reason]
            errors[field] = str(text) % {"least": store().policy.shortest_password}
        except LoginRefused as refused:
            wait = refused.retry_after or 0
            errors["current"] = ngettext(
                "Too many attempts. Try again in %(n)s second.", "Too many attempts. Try again in %(n)s seconds.", wait
            )
    if errors:
        return _profile_page(account, errors), 422
    flash(_("The password is changed. Your other sessions have ended."), "success")
    return redirect(url_for("pages.profile"), 303)


def _profile_page(account: accounts.Account, errors: dict[str, str]) -> str:
    least = store().policy.shortest_password
    return render_template("auth/profile.html", account=account, errors=errors, least=least)


@routes.get("/sessions")
@login_required
def sessions() -> ResponseReturnValue:
    found = tokens.of_account(store(), _account().id, "session", _token())
    return render_template("auth/sessions.html", found=found)


@routes.post("/sessions/<int:token_id>/end")
@login_required
def end_session(token_id: int) -> ResponseReturnValue:
    _revoke(token_id)
    flash(_("The session has ended."), "success")
    return redirect(url_for("pages.sessions"), 303)


@routes.get("/tokens")
@roles_required(accounts.ADMINISTRATOR)
def tokens_page() -> ResponseReturnValue:
    return _tokens_page(form={}, errors={})


@routes.post("/tokens")
@roles_required(accounts.ADMINISTRATOR)
def issue_token() -> ResponseReturnValue:
    account, form = _account(), request.form
    try:
        days = int(form.get("days", ""))
    except ValueError:
        days = 0
    try:
        issued = tokens.issue(
            store(), account.id, account.login, form.get("name", ""), form.get("scopes", "").split(), days, _address()
        )
    except tokens.TokenRefused as refused:
        return _tokens_page(form=form, errors={refused.field: str(TOKEN_ERRORS[refused.field])}), 422
    # Shown in the answer itself and nowhere kept: a redirect would have to carry the token in a cookie or an address.
    return _tokens_page(form={}, errors={}, issued=issued.token)


@routes.post("/tokens/<int:token_id>/revoke")
@roles_required(accounts.ADMINISTRATOR)
def revoke_token(token_id: int) -> ResponseReturnValue:
    _revoke(token_id)
    flash(_("The token is revoked. Within half a minute no part of the system accepts it."), "success")
    return redirect(url_for("pages.tokens_page"), 303)


@routes.get("/journal")
@roles_required(accounts.ADMINISTRATOR)
def journal() -> ResponseReturnValue:
    size = 50
    entries = audit.page(store(), request.args.get("before", type=int), size + 1)
    older = entries[size - 1].id if len(entries) > size else None
    return render_template("auth/journal.html", entries=entries[:size], older=older, actions=ACTIONS)


def _tokens_page(form: Mapping[str, str], errors: dict[str, str], issued: str = "") -> str:
    found = tokens.of_account(store(), _account().id, "api")
    return render_template(
        "auth/tokens.html", found=found, form=form, errors=errors, issued=issued, terms=tokens.API_DAYS
    )


def _revoke(token_id: int) -> None:
    account = _account()
    if not tokens.revoke(store(), account.id, account.login, token_id, _address()):
        raise Problem(404, _("There is no such token"), _("It may have ended already."))


def _account() -> accounts.Account:
    account = accounts.by_login(store(), g.person.login)
    assert account is not None, "introspection knew this account a moment ago"
    return account


def _token() -> str:
    return request.cookies.get(COOKIE, "")


def _address() -> str:
    return request.remote_addr or ""


@routes.app_template_filter("term")
def term(days: int) -> tuple[int, str]:
    """An entry of the choice of terms."""
    return days, ngettext("%(n)s day", "%(n)s days", days)


@routes.app_template_filter("browser")
def browser(user_agent: str) -> str:
    """Browser and system in a User-Agent, as people name them; empty when it is none that we know."""
    names = {
        "Edg/": "Edge",
        "YaBrowser/": "Yandex Browser",
        "OPR/": "Opera",
        "Firefox/": "Firefox",
        "Chrome/": "Chrome",
    }
    systems = {"Android": "Android", "iPhone": "iPhone", "Windows": "Windows", "Mac OS X": "macOS", "Linux": "Linux"}
    names["Safari/"] = "Safari"
    found = [next((name for mark, name in table.items() if mark in user_agent), "") for table in (names, systems)]
    return ", ".join(filter(None, found))
