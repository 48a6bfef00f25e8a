"""A caller knows two addresses where IPv6 is on; real connections to 127.0.0.1 and ::1, over TLS."""

from __future__ import annotations

import contextlib
import datetime
import json
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from appliances.base.agent.ca import Authority, subject_of
from appliances.common.client import EndpointClient, EndpointError
from appliances.common.settings import Settings
from tests.unit.common import etc_asrbox


class Daemon:
    """An endpoint at one address: says where it was asked, or hangs up when it has read the request."""

    def __init__(self, address: str, port: int, folder: Path, *, hangs_up: bool = False) -> None:
        heard = self.heard = [0]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard[0] += 1
                if hangs_up:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                body = json.dumps({"at": address}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(HTTPServer):
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

        self.server = Server((address, port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "web.crt", folder / "web.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration folder, and the certificate of web.auth in it."""
    etc_asrbox.write(tmp_path, endpoints={"web.auth": 1})
    authority = Authority(tmp_path / "ca", "CA", datetime.date(2025, 1, 1), datetime.datetime.now(datetime.UTC))
    authority.ensure(tmp_path / "web.crt", tmp_path / "web.key", subject_of(["web.auth.asrbox.internal"], []))
    shutil.copyfile(tmp_path / "ca/ca.crt", tmp_path / "tls/ca.crt")
    return tmp_path


@pytest.fixture
def daemons() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def start(daemons: contextlib.ExitStack, *arguments: object, **more: bool) -> Daemon:
    daemon = Daemon(*arguments, **more)  # type: ignore[arg-type]
    daemons.callback(daemon.server.server_close)
    daemons.callback(daemon.server.shutdown)
    return daemon


def client(folder: Path, port: int) -> EndpointClient:
    """A client of web.auth, which has an address of each kind."""
    file = folder / "appliance.json"
    told = json.loads(file.read_text())
    told["endpoints"]["web.auth"] |= {"port": port, "address6": "::1"}
    file.write_text(json.dumps(told))
    return EndpointClient(Settings.load(folder), "web.auth")


def free_port() -> int:
    """A port that nobody has, of either kind."""
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as plug:
        port: int = plug.getsockname()[1]
    return port


def test_ipv4_is_asked_first(folder: Path, daemons: contextlib.ExitStack) -> None:
    port = free_port()
    start(daemons, "127.0.0.1", port, folder)
    second = start(daemons, "::1", port, folder)
    assert client(folder, port).post("login") == {"at": "127.0.0.1"}
    assert second.heard == [0]


def test_ipv6_is_asked_where_ipv4_takes_no_connection(folder: Path, daemons: contextlib.ExitStack) -> None:
    port = free_port()
    start(daemons, "::1", port, folder)
    assert client(folder, port).post("login") == {"at": "::1"}


def test_what_was_heard_is_not_said_again(folder: Path, daemons: contextlib.ExitStack) -> None:
    port = free_port()
    first = start(daemons, "127.0.0.1", port, folder, hangs_up=True)
    second = start(daemons, "::1", port, folder)
    with pytest.raises(EndpointError, match=r"^web\.auth: no answer from https://127\.0\.0\.1:"):
        client(folder, port).post("login")
    assert (first.heard, second.heard) == ([1], [0])


def test_when_neither_answers_the_last_one_is_named(folder: Path) -> None:
    with pytest.raises(EndpointError, match=r"^web\.auth: no answer from https://\[::1\]:"):
        client(folder, free_port()).post("login")
