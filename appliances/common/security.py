"""Headers of every answer, and the protection of forms against being sent by another site.

Strict-Transport-Security is not among them: the entry knows whose certificate it shows, and sends it.
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import urlsplit

from flask import Flask, Response, request, session

from appliances.common.failures import Problem
from appliances.common.i18n import gettext as _


def content_policy(style_nonce: str = "") -> str:
    """The Content-Security-Policy. With a nonce, that page may make <style> elements that carry it, and no others."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self' 'nonce-{style_nonce}'" if style_nonce else "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


HEADERS = {
    "Content-Security-Policy": content_policy(),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
FIELD = "csrf_token"
HEADER = "X-CSRF-Token"


def csrf_token() -> str:
    """The token of this browser for this appliance; it lives in the signed session cookie."""
    if FIELD not in session:
        session[FIELD] = secrets.token_urlsafe(24)
    return str(session[FIELD])


def install(app: Flask) -> None:
    """Headers on every answer; changing requests outside /api/ need the token of the page they come from."""
    app.jinja_env.globals.update(csrf_token=csrf_token, home=home, here=here)

    @app.before_request
    def refuse_foreign_forms() -> None:
        # Under /api/ the caller proves itself with a bearer token, which no foreign page can make a browser send.
        if request.method in ("GET", "HEAD", "OPTIONS") or request.path.startswith("/api/"):
            return
        given = request.headers.get(HEADER) or request.form.get(FIELD, "")
        expected = str(session.get(FIELD, ""))
        if expected and hmac.compare_digest(given.encode(), expected.encode()) and _same_origin():
            return
        raise Problem(
            400,
            _("This form is out of date"),
            _("It was opened too long ago or in another window. Go back, reload the page and send it again."),
        )

    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        return response


def home() -> str:
    """The first page of this appliance, as a path of the site: the host shows all appliances below one name."""
    return f"{request.script_root}/"


def here() -> str:
    """The page that is asked for, as a path of the site to come back to; `home()` where a form was sent."""
    return request.script_root + request.full_path.rstrip("?") if request.method == "GET" else home()


def local_path(target: str | None) -> str:
    """`target` when it is a path on this very site, else `home()`: no redirect may lead elsewhere."""
    default = home()
    if not target or not target.startswith("/") or target.startswith("//"):
        return default
    if "\\" in target or any(ord(character) < 0x20 or ord(character) == 0x7F for character in target):
        return default
    parts = urlsplit(target)
    return target if not parts.scheme and not parts.netloc else default


def _same_origin() -> bool:
    """Ports of one host name share cookies, so the origin is compared with its port. All appliances behind the entry
    are one origin: the token of the form is what tells them apart.
    """
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host
