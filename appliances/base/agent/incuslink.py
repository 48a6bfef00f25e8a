"""The way to Incus: its socket, a client for each thread, waiting with a bound, and what is said when it fails.

pylxd gives the transport and the nodes of the REST API; its own waiting has no bound, so operations are waited for
here.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pylxd
import requests
from pylxd.exceptions import LXDAPIException, NotFound

from appliances.base.agent.errors import AgentError

CONNECT = 10  # seconds
ANSWER = 600  # seconds for the answer to one request: an image import answers when the upload is stored
POLL = 10  # seconds per `wait` request

Json = dict[str, Any]


def find_socket(environment: dict[str, str], root: Path = Path("/")) -> Path:
    """The unix socket of the container daemon: LXD_DIR, INCUS_DIR, then the places where packages put it."""
    candidates = [Path(environment[name]) / "unix.socket" for name in ("LXD_DIR", "INCUS_DIR") if environment.get(name)]
    candidates += [
        root / place / "unix.socket"
        for place in ("var/lib/incus", "run/incus", "var/lib/lxd", "var/snap/lxd/common/lxd")
    ]
    for candidate in candidates:
        if candidate.is_socket():
            return candidate
    raise AgentError(
        "the container daemon does not run: there is no socket",
        step="connect to Incus",
        hint="look at: systemctl status incus.socket incus.service",
    )


class IncusLink:
    """To one daemon, by default to the one whose socket is found. Safe to use from threads."""

    def __init__(self, socket: Path | None = None) -> None:
        self._socket = socket
        self._local = threading.local()

    def socket(self) -> Path:
        """Raises AgentError when there is none."""
        return self._socket or find_socket(dict(os.environ))

    def folder(self) -> Path:
        """Where the daemon keeps what it has: its socket is there too."""
        return self.socket().parent

    def api(self) -> Any:
        """The root node of its REST API, for this thread."""
        client = getattr(self._local, "client", None)
        if client is None:
            client = pylxd.Client(endpoint=str(self.socket()), timeout=(CONNECT, ANSWER))
            self._local.client = client
        return client.api

    def done(self, response: Any, timeout: float) -> Json:
        """Wait at most `timeout` seconds for the operation of a response; returns it. Raises AgentError."""
        body = response.json()
        if body.get("type") != "async":
            return {}
        operation = body["operation"].split("?")[0].rsplit("/", 1)[-1]
        deadline = time.monotonic() + timeout
        while True:
            seconds = max(1, min(POLL, int(deadline - time.monotonic())))
            node = self.api().operations[operation]
            answer = node.wait.get(params={"timeout": seconds}, is_api=False).json()
            if answer.get("type") == "error":
                # Incus calls a wait that ran out an error, with status 200 (LXD tells how far the operation is).
                answer = node.get(is_api=False).json()
            state: Json = answer.get("metadata") or {}
            if answer.get("type") == "error" or state.get("status_code", 0) >= 400:
                raise AgentError(state.get("err") or answer.get("error") or "the operation failed")
            if state.get("status_code") == 200:
                return state
            if time.monotonic() > deadline:
                raise AgentError(f"did not end within {timeout:.0f} s")

    @staticmethod
    def metadata(response: Any) -> Any:
        """What an answer holds."""
        return response.json()["metadata"]

    def maybe(self, call: Callable[[], Any], step: str) -> Json | None:
        """What a call answers; None when there is no such thing."""
        with self.explained(step):
            try:
                found: Json = self.metadata(call())
            except NotFound:
                return None
            return found

    @contextmanager
    def explained(self, step: str, appliance: str | None = None) -> Iterator[None]:
        """Turn whatever goes wrong inside into an AgentError that says at which step."""
        try:
            yield
        except AgentError as error:
            raise AgentError(
                error.message, appliance=error.appliance or appliance, step=error.step or step, hint=error.hint
            ) from error
        except LXDAPIException as error:
            raise AgentError(str(error).strip(), appliance=appliance, step=step) from error
        except (pylxd.exceptions.ClientConnectionFailed, requests.RequestException, OSError) as error:
            self._local.client = None  # the next call connects anew, perhaps to another socket
            raise AgentError(
                f"Incus does not answer: {error}",
                appliance=appliance,
                step=step,
                hint="look at: systemctl status incus.service",
            ) from error
