"""Serves the API: on a unix socket for root, and over TLS on the bridge for the appliance `base`."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter
from flask import Flask

from appliances.base.agent import files
from appliances.base.agent.errors import AgentError

THREADS = 4


def serve_socket(app: Flask, path: Path) -> wsgi.Server:
    """Serve on a unix socket that only root can open; returns the running server."""
    files.folder(path.parent, mode=0o700)
    server = wsgi.Server(str(path), app, numthreads=THREADS, server_name="asrbox")
    before = os.umask(0o177)
    try:
        server.prepare()
    finally:
        os.umask(before)
    return _in_thread(server, "api-socket")


def serve_tls(app: Flask, address: str, port: int, certificate: Path, key: Path) -> wsgi.Server:
    """Serve over TLS; returns the running server. Raises AgentError when the address cannot be bound."""
    server = wsgi.Server((address, port), app, numthreads=THREADS, server_name="asrbox")
    server.ssl_adapter = BuiltinSSLAdapter(str(certificate), str(key))
    try:
        server.prepare()
    except OSError as error:
        raise AgentError(f"cannot listen on {address}:{port}: {error}", step="serve the API") from error
    return _in_thread(server, "api-tls")


def renew(server: wsgi.Server, certificate: Path, key: Path) -> None:
    """Use a renewed certificate for new connections."""
    adapter: Any = server.ssl_adapter
    adapter.context.load_cert_chain(str(certificate), str(key))


def _in_thread(server: wsgi.Server, name: str) -> wsgi.Server:
    threading.Thread(target=server.serve, name=name, daemon=True).start()
    return server
