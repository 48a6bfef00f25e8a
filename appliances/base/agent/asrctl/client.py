"""HTTP to the agent over its unix socket."""

from __future__ import annotations

import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any

import click

TIMEOUT = 60.0  # seconds; the agent answers at once, except for logs


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("agent", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """Calls of the agent's API. Every failure is a click.ClickException with what to do."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._call("POST", path, body)

    def put(self, path: str, body: dict[str, Any]) -> Any:
        return self._call("PUT", path, body)

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = _UnixConnection(self._path)
        try:
            headers = {"X-Asrbox-User": _caller(), "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            answer = response.read()
        except PermissionError as error:
            raise click.ClickException("only root may ask the agent: run it with sudo") from error
        except (OSError, http.client.HTTPException) as error:
            raise click.ClickException(
                "the agent does not answer. Look at: systemctl status asrbox-agent; journalctl -u asrbox-agent"
            ) from error
        finally:
            connection.close()
        try:
            data = json.loads(answer)
        except ValueError as error:
            raise click.ClickException(
                f"the agent said {response.status} and no JSON. Look at: journalctl -u asrbox-agent"
            ) from error
        if response.status >= 400:
            raise click.ClickException(data.get("detail") or data.get("title") or str(response.status))
        return data


def _caller() -> str:
    """Who to name in the agent's journal: the person behind sudo, else root."""
    return os.environ.get("SUDO_USER") or "root"
