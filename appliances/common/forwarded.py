"""What the host's TLS entry says of a request (docs/architecture.md, "The entry"): believed from the host itself only.

The entry writes these headers anew for each request. Whoever else reaches an appliance, a neighbour on the bridge for
example, may write into them what it likes: then they are taken away before any view can see them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PREFIX = "HTTP_X_FORWARDED_PREFIX"  # path below which the entry shows this appliance: "/billing", "" for the root
ADDRESS = "HTTP_X_FORWARDED_FOR"  # one address: that of the browser
SCHEME = "HTTP_X_FORWARDED_PROTO"
HOST = "HTTP_X_FORWARDED_HOST"  # host and port as the browser wrote them
CLIENT = "HTTP_X_ASRBOX_CLIENT"  # subject of a verified client certificate, such as "CN=payments"
OTHERS = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_PORT", "HTTP_X_REAL_IP")  # nobody here reads or writes them
CLIENT_KEY = "asrbox.client"  # where the environment of a request has the subject, when there is one


class Forwarded:
    """WSGI middleware. `host` is the host's own address on the bridge; None believes nobody."""

    def __init__(self, app: WSGIApplication, host: str | None) -> None:
        self._app = app
        self._host = host

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        told = {name: environ.pop(name, "") for name in (PREFIX, ADDRESS, SCHEME, HOST, CLIENT, *OTHERS)}
        environ.pop(CLIENT_KEY, None)
        if self._host is not None and environ.get("REMOTE_ADDR") == self._host:
            environ["SCRIPT_NAME"] = told[PREFIX].rstrip("/")
            environ["REMOTE_ADDR"] = told[ADDRESS] or environ["REMOTE_ADDR"]
            environ["wsgi.url_scheme"] = told[SCHEME] or environ["wsgi.url_scheme"]
            environ["HTTP_HOST"] = told[HOST] or environ.get("HTTP_HOST", "")
            if told[CLIENT]:
                environ[CLIENT_KEY] = told[CLIENT]
        return self._app(environ, start_response)
