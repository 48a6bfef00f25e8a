"""How one appliance calls another: HTTPS to its address, verified with the host's CA by its name, a bearer token, short
timeouts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import requests
from flask import g, has_request_context
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from appliances.common.settings import Settings
from appliances.common.sse import HEARTBEAT, Event, decode

CONNECT_TIMEOUT = 2.0  # seconds: the other side is on the same bridge
READ_TIMEOUT = 6.0  # seconds
SILENCE = 3 * HEARTBEAT  # seconds after which a stream is given up

_log = logging.getLogger(__name__)


class EndpointError(Exception):
    """The endpoint did not answer, or answered with a refusal. `status` is None when there was no answer."""

    def __init__(self, endpoint: str, detail: str, status: int | None = None, body: Mapping[str, Any] | None = None):
        super().__init__(f"{endpoint}: {detail}")
        self.endpoint = endpoint
        self.detail = detail
        self.status = status
        self.body = dict(body or {})

    @property
    def refused(self) -> bool:
        """The other side is there and said no (4xx), as opposed to being away or broken."""
        return self.status is not None and 400 <= self.status < 500


class _Named(HTTPAdapter):
    """Connects to an address and asks for `hostname` (SNI), which the certificate has to be for."""

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, server_hostname=self._hostname)


class Stream:
    """Server-sent events of another appliance: None for each sign of life without an event. Close it."""

    def __init__(self, session: requests.Session, response: requests.Response) -> None:
        self._session = session
        self._response = response

    def __iter__(self) -> Iterator[Event | None]:
        try:
            yield from decode(self._response.iter_lines(chunk_size=16384))
        except (requests.RequestException, OSError) as error:
            _log.info("a stream has ended: %s", _cause(error))

    def close(self) -> None:
        """Hang up."""
        self._response.close()
        self._session.close()


class EndpointClient:
    """Calls one endpoint. Safe to share between threads: every call has a connection of its own."""

    def __init__(self, settings: Settings, name: str, *, read_timeout: float = READ_TIMEOUT) -> None:
        """Raises SettingsError when the appliance does not consume `name`."""
        self.name = name
        self._settings = settings
        endpoint = settings.endpoint(name)
        self._bases, self._hostname = endpoint.urls, endpoint.hostname
        self._read_timeout = read_timeout

    def get(self, *path: str, params: Mapping[str, str | int] | None = None) -> Any:
        """GET /api/v1/<path…>; each part is quoted. Returns the JSON body. Raises EndpointError."""
        return self.call("GET", path, params=params)

    def post(
        self,
        *path: str,
        json: Mapping[str, Any] | None = None,
        bearer: str | None = None,
        read_timeout: float | None = None,
    ) -> Any:
        """POST /api/v1/<path…> with a JSON body. Returns the JSON body. Raises EndpointError."""
        return self.call("POST", path, json=json or {}, bearer=bearer, read_timeout=read_timeout)

    def delete(self, *path: str, bearer: str | None = None) -> Any:
        """DELETE /api/v1/<path…>. Returns the JSON body or None. Raises EndpointError."""
        return self.call("DELETE", path, bearer=bearer)

    def call(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, str | int] | None = None,
        bearer: str | None = None,
        read_timeout: float | None = None,
    ) -> Any:
        """One request. `bearer` replaces the service token of this appliance for calls on behalf of a person.

        `read_timeout` (seconds) is for what takes its time on purpose. The other side's second address is called when
        its first one takes no connection: then nobody has heard the request yet.
        """
        with requests.Session() as session:
            return self._read(
                self._ask(session, method, path, json=json, params=params, bearer=bearer, read_timeout=read_timeout)
            )

    def _ask(
        self,
        session: requests.Session,
        method: str,
        path: tuple[str, ...],
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, str | int] | None = None,
        bearer: str | None = None,
        read_timeout: float | None = None,
        stream: bool = False,
    ) -> requests.Response:
        place = "/api/v1/" + "/".join(quote(part, safe="") for part in path)
        headers = {
            "Authorization": f"Bearer {bearer or self._settings.token(self.name)}",
            "Accept": "text/event-stream" if stream else "application/json",
            "Connection": "close",
        }
        if has_request_context() and "request_id" in g:
            headers["X-Request-Id"] = g.request_id
            headers["Accept-Language"] = str(g.get("language", "ru"))
            if g.get("person"):
                headers["X-Asrbox-User"] = quote(g.person.login)
        session.trust_env = False  # no proxy and no other CA may come in from the environment
        session.mount("https://", _Named(self._hostname))
        bases = list(self._bases)
        while True:
            base = bases.pop(0)
            try:
                return session.request(
                    method,
                    base + place,
                    json=json,
                    params=params,
                    headers=headers,
                    timeout=(CONNECT_TIMEOUT, read_timeout or self._read_timeout),
                    verify=str(self._settings.ca),
                    allow_redirects=False,
                    stream=stream,
                )
            except (requests.RequestException, OSError) as error:
                if not bases or not _unheard(error):
                    raise EndpointError(self.name, f"no answer from {base}: {_cause(error)}") from error

    def stream(self, *path: str, params: Mapping[str, str | int] | None = None) -> Stream:
        """Open GET /api/v1/<path…>, which answers with server-sent events. Raises EndpointError for a refusal.

        What breaks later ends the stream: whoever reads it asks again.
        """
        session = requests.Session()
        try:
            response = self._ask(session, "GET", path, params=params, stream=True, read_timeout=SILENCE)
            if response.status_code != 200:
                self._read(response)
                raise EndpointError(self.name, f"{response.status_code} without a stream", response.status_code)
        except BaseException:
            session.close()
            raise
        return Stream(session, response)

    def _read(self, response: requests.Response) -> Any:
        if response.status_code == 204:
            return None
        try:
            body = response.json()
        except ValueError as error:
            raise EndpointError(self.name, f"{response.status_code} without JSON", response.status_code) from error
        if response.status_code >= 300:
            problem = body if isinstance(body, dict) else {}
            detail = str(problem.get("detail") or problem.get("title") or response.reason)
            raise EndpointError(self.name, f"{response.status_code} {detail}", response.status_code, problem)
        return body


def _unheard(error: Exception) -> bool:
    """Whether there was no connection at all."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def _cause(error: BaseException) -> str:
    """The innermost reason: urllib3 wraps "Connection refused" four times."""
    reason: BaseException = error
    while True:
        inner = getattr(reason, "reason", None) or reason.__cause__ or reason.__context__
        if not isinstance(inner, BaseException):
            return str(reason) or type(reason).__name__
        reason = inner
