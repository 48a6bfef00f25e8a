"""The entry on the test host: nginx of the built host tree, an address of 127.0.0.0/8, daemons of ours behind it."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from appliances.base.agent import ca, entryservice
from appliances.base.agent.board import ApplianceStatus
from appliances.base.agent.clientcerts import ClientCertificates
from appliances.base.agent.distribution import Distribution
from appliances.base.agent.outside import Outside
from tests.unit.agent import examples

ROOT = Path(__file__).resolve().parents[2]
SYSTEMCTL = ROOT / "tests" / "entry_unit.sh"
UNIT = ROOT / "appliances/base/agent/host/asrbox-entry.service"
CLIENT_PORT = 9443
RELEASED = datetime.date(2026, 1, 1)


def own_address() -> str:
    """An address of 127.0.0.0/8 for this test process, so that two runs on one machine do not meet."""
    return f"127.84.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 2}"


def nginx_of(tree: Path, folder: Path) -> Path:
    """The tree's nginx with its own libraries, where any user may run it, as one program."""
    linked = subprocess.run(["chroot", tree, "ldd", "/usr/sbin/nginx"], capture_output=True, text=True, check=True)
    libraries = {word for line in linked.stdout.splitlines() for word in line.split() if word.startswith("/")}
    for library in (*libraries, "/usr/sbin/nginx"):
        shutil.copy(tree / library.lstrip("/"), folder)
    program = folder / "run-nginx"
    program.write_text(f'#!/bin/sh\nexec {folder}/ld-linux-x86-64.so.2 --library-path {folder} {folder}/nginx "$@"\n')
    program.chmod(0o755)
    return program


class Echo(BaseHTTPRequestHandler):
    """A daemon that shows what reached it; `go_on` lets the second event out."""

    protocol_version = "HTTP/1.1"
    go_on: threading.Event

    def do_GET(self) -> None:
        if self.path == "/events":
            self.send_response(200)
            for name, value in {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}.items():
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"data: 1\n\n")
            self.wfile.flush()
            self.go_on.wait(20)
            self.wfile.write(b"data: 2\n\n")
            self.close_connection = True
        elif self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "upgrade")
            self.end_headers()
            self.wfile.write(self.rfile.read(4)[::-1])
            self.close_connection = True
        elif self.path == "/broken":
            self._answer(502, {"own": "page of the daemon"})
        else:
            self._answer(
                200, {"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}}
            )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, {"length": len(body)})

    def _answer(self, status: int, told: dict[str, Any]) -> None:
        data = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  as the base class calls it
        pass


@dataclass
class EntryHouse:
    """A host with an entry: `root` is its file system, `address` where the entry listens."""

    root: Path
    address: str
    nginx: Path
    daemons: dict[str, dict[str, Any]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    outside: Outside = field(default_factory=lambda: Outside("box.example", ("192.0.2.7",)))

    def __post_init__(self) -> None:
        self.paths = examples.installed(self.root)
        self.paths.var.chmod(0o711)
        self.authority = ca.Authority(self.paths.ca, "CA of box", RELEASED, datetime.datetime.now(datetime.UTC))
        self.clients = ClientCertificates(
            self.paths.client_authority,
            lambda: ca.Authority(self.paths.client_authority, "clients", RELEASED, datetime.datetime.now(datetime.UTC)),
        )
        self.service = entryservice.EntryService(self.paths, self.said.append, str(self.nginx), self.address)

    @property
    def distribution(self) -> Distribution:
        told = examples.distribution_json()
        told["appliances"] = [
            {
                **told["appliances"][1],
                "name": name,
                "instance": name,
                "block": f"198.18.{90 + number}.0/24",
                "title": {"en": name.title(), "ru": f"Часть {name}"},
                "daemons": [examples.daemon("web", "127.0.0.1", **daemon)],
            }
            for number, (name, daemon) in enumerate(self.daemons.items())
        ]
        return Distribution.model_validate_json(json.dumps(told))

    def ensure(self, *statuses: ApplianceStatus) -> bool:
        """What a round of the agent does."""
        self.service.show(self.distribution, list(statuses))
        return self.service.ensure(self.distribution, self.authority, self.outside, self.clients.for_the_entry())

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.ask("GET", path, **options)

    def ask(self, method: str, path: str, *, port: int = 443, **options: Any) -> requests.Response:
        """A request of a browser that believes the host's CA; it follows no redirect."""
        scheme = "http" if port == 80 else "https"
        with requests.Session() as session:
            session.trust_env = False
            session.mount("https://", Named("box.example"))
            url = f"{scheme}://{self.address}:{port}{path}"
            options = {"verify": str(self.paths.ca / "ca.crt"), "timeout": 20, "allow_redirects": False} | options
            return session.request(method, url, **options)

    @property
    def pid(self) -> int:
        return int((self.root / "run/asrbox-entry/nginx.pid").read_text())

    def kill(self) -> None:
        """SIGKILL to nginx, master and workers; returns when they are gone."""
        group = self.pid
        os.killpg(group, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.killpg(group, 0)
                time.sleep(0.05)


class Named(requests.adapters.HTTPAdapter):
    """Connects to an address and asks for a name, which the certificate has to be for."""

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, server_hostname=self._name, assert_hostname=self._name)


@contextlib.contextmanager
def entry_house(tree: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EntryHouse]:
    """A host on which the agent has not made a round yet; the entry ends with it."""
    folder.chmod(0o711)  # nginx is another user
    programs = folder / "programs"
    programs.mkdir()
    (programs / "systemctl").symlink_to(SYSTEMCTL)
    root = folder / "root"
    root.mkdir()
    nginx = nginx_of(tree, programs)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    for name, value in {"ENTRY_UNIT": UNIT, "ENTRY_ROOT": root, "ENTRY_NGINX": nginx}.items():
        monkeypatch.setenv(name, str(value))
    house = EntryHouse(root, own_address(), nginx)
    try:
        yield house
    finally:
        subprocess.run(["systemctl", "stop", entryservice.UNIT], check=True, timeout=60)


@contextlib.contextmanager
def echoing() -> Iterator[int]:
    """The daemon Echo on 127.0.0.1, http; yields its port."""
    handler = type("Handler", (Echo,), {"go_on": threading.Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        handler.go_on.set()
        server.shutdown()
        server.server_close()


def connected(house: EntryHouse, port: int = 443) -> ssl.SSLSocket:
    """A TLS connection to the entry, on which a test writes what it wants."""
    context = ssl.create_default_context(cafile=str(house.paths.ca / "ca.crt"))
    return context.wrap_socket(socket.create_connection((house.address, port), 20), server_hostname="box.example")
