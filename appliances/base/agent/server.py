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
from appliances.common import sse

# Streams keep a thread each; what is answered at once always finds one of the others free.
THREADS = 4 + sse.THREADS


class Gateway(wsgi.Gateway_10):
    """Gives the app its connection as well, so that a stream sees when its reader is gone."""

    def __init__(self, asked: Any) -> None:
        super().__init__(asked)
        self.env["asrbox.socket"] = asked.conn.socket


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
    server.gateway = Gateway
    threading.Thread(target=server.serve, name=name, daemon=True).start()
    return server
