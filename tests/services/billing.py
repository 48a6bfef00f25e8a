"""The billing's web daemon under gunicorn with TLS, beside a Firebird of its own and a small authority."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from tests.services.firebird import FirebirdServer, appliance_json
from tests.services.web_daemons import Authority, free_port

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "127.0.0.1"
READ, WRITE = "subscribers:read", "subscribers:write"


class FakeAuthority:
    """Answers as auth does (docs/architecture.md): tokens that the test hands out, one account olga / secret."""

    def __init__(self, tls: Path, port: int) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        people = self.people

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
                if self.path == "/api/v1/login":
                    right = (body["login"], body["password"]) == ("olga", "secret")
                    self.say(200 if right else 401, {"token": "session-olga", "expires_at": later()} if right else {})
                elif self.path == "/api/v1/introspect":
                    self.say(200, people.get(body["token"], {"active": False}))
                else:
                    self.say(204, {})

            def say(self, status: int, body: dict[str, Any]) -> None:
                text = json.dumps(body).encode() if status != 204 else b""
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        self.allow("session-olga", "session", "olga", "Ольга Петрова", [])
        self._server = ThreadingHTTPServer((ADDRESS, port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "auth.crt", tls / "auth.key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def allow(self, token: str, kind: str, login: str, name: str, scopes: list[str]) -> str:
        person = {"active": True, "kind": kind, "login": login, "name": name, "roles": ["administrator"]}
        self.people[token] = {**person, "scopes": scopes, "expires_at": later()}
        return token

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Billing:
    """Web daemon and authority on the configuration of one Firebird."""

    def __init__(self, firebird: FirebirdServer) -> None:
        self.firebird = firebird
        self.configuration = firebird.configuration
        self.port = free_port()
        self.url = f"https://{ADDRESS}:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        port_of_authority = free_port()
        configure(self.configuration, firebird.address, self.port, port_of_authority)
        self.authority = FakeAuthority(self.configuration / "tls", port_of_authority)
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(self.configuration / "tls" / "ca.crt")
        self.session.headers["Accept-Language"] = "en"

    def start(self) -> None:
        """Start gunicorn as asrbox-app@asr_billing.service does, and wait until it answers anything."""
        environment = {
            **os.environ,
            "ASRBOX_CONFIG": str(self.configuration),
            "ASRBOX_APPLIANCE": "asr_billing",
            "ASRBOX_DAEMON": "web",
            "ASRBOX_ADDRESS": ADDRESS,
            "ASRBOX_PORT": str(self.port),
            "PYTHONPATH": str(ROOT),
        }
        self.process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("gunicorn")),
                "--config", "python:appliances.common.gunicorn_conf",
                "appliances.asr_billing.app:create_app()",
            ],
            env=environment,
            stdout=(self.firebird.state / "web.log").open("ab"),
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.wait_for(lambda: self.get("/login").status_code == 200, "the web daemon does not answer")

    def stop(self) -> None:
        """End the web daemon as systemd does; it must obey within the unit's patience."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None

    def close(self) -> None:
        self.stop()
        self.authority.stop()

    def token(self, *scopes: str) -> str:
        """An API token of Olga with these scopes."""
        return self.authority.allow("api-" + "-".join(scopes), "api", "olga", "Ольга Петрова", list(scopes))

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=15, **options)

    def api(self, method: str, path: str, *, token: str | None = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token or self.token(READ, WRITE)}", **options.pop("headers", {})}
        return self.session.request(method, f"{self.url}/api/v1{path}", headers=headers, timeout=15, **options)

    def create(self, contract: str, name: str, **more: str) -> dict[str, Any]:
        """Create a subscriber by the API."""
        response = self.api("POST", "/subscribers", json={"contract": contract, "name": name, "kind": "person", **more})
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.json()
        return created

    def names(self, query: str) -> list[str]:
        """Names found by the API, sorted by name."""
        return [one["name"] for one in self.api("GET", "/subscribers", params={"q": query}).json()["subscribers"]]

    def check(self, name: str) -> tuple[int, dict[str, Any]]:
        """Status of /healthz and the outcome of one check."""
        response = self.get("/healthz")
        return response.status_code, response.json()["checks"][name]

    def wait_for_health(self, seconds: float = 30) -> None:
        self.wait_for(lambda: self.get("/healthz").status_code == 200, "the billing does not become healthy", seconds)

    def wait_for(self, true: Any, complaint: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process is None or self.process.poll() is None, self.log()
            try:
                if true():
                    return
            except requests.RequestException:
                pass
            time.sleep(0.1)
        raise AssertionError(f"{complaint}\n{self.log()}")

    def log(self) -> str:
        """The end of the web daemon's log."""
        return (self.firebird.state / "web.log").read_text()[-4000:]


def configure(folder: Path, firebird: str, web: int, authority: int) -> None:
    """Write into `folder` what the host's agent gives to the billing; `web` and `authority` are ports of 127.0.0.1."""
    (folder / "appliance.json").write_text(appliance_json(firebird, (ADDRESS, web), (ADDRESS, authority)))
    (folder / "secrets" / "session-key").write_text("a key for sessions of tests")
    (folder / "tokens").mkdir()
    (folder / "tokens" / "web.auth").write_text("service-token")
    (folder / "tls").mkdir()
    certificates = Authority()
    certificates.equip(folder / "tls", "web", "web.asr-billing.asrbox.internal")
    certificates.equip(folder / "tls", "auth", "web.auth.asrbox.internal")


def later() -> str:
    return (datetime.now(UTC) + timedelta(hours=8)).isoformat()


class Browser:
    """A browser without JavaScript: a session, and forms with the hidden fields of their page."""

    def __init__(self, billing: Billing) -> None:
        self.billing = billing
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = billing.session.verify
        self.session.headers["Accept-Language"] = "en"
        page = self.get("/login")
        self.send("/login", page, login="olga", password="secret")

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.billing.url + path, timeout=15)

    def send(self, path: str, page: requests.Response, **fields: str) -> requests.Response:
        """Send the form of `page` with `fields`."""
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        return self.session.post(self.billing.url + path, data={**hidden, **fields}, timeout=15)
