"""A real ACME authority for tests: Debian's pebble, with names of its own, and what it fetches from us over HTTP."""

from __future__ import annotations

import functools
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.services.web_daemons import Authority, free_port

NAMES = "127.77.0.53"  # the name server of the tests, on port 53, since resolv.conf knows no other
EMPTY = "127.77.0.54"  # one that knows none
HERE = "127.77.0.80"  # where the names lead: a web server of the tests
NOWHERE = "127.77.0.81"  # nobody listens there
REFUSED = "refused.isp.test"  # a name that the authority signs nothing for
PATIENCE = 20.0  # seconds for a daemon to answer
PLACE = "/.well-known/acme-challenge/"


@dataclass
class Pebble:
    """An authority that runs; `log` is what it says, `trust` the certificate of its own HTTPS."""

    folder: Path
    port: int
    management: int
    http: int
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def directory(self) -> str:
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def trust(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def log(self) -> str:
        return (self.folder / "pebble.log").read_text()

    def start(self) -> None:
        """It remembers nothing of an earlier run."""
        settings = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(self.folder / "pebble.crt"),
            "privateKey": str(self.folder / "pebble.key"),
            "httpPort": self.http,
            "tlsPort": free_port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "domainBlocklist": [REFUSED],
            "retryAfter": {"authz": 1, "order": 1},
        }
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        variables = {"PATH": os.environ["PATH"], "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "30"}
        command = ["pebble", "-config", str(self.folder / "pebble.json"), "-dnsserver", f"{NAMES}:53"]
        with (self.folder / "pebble.log").open("wb") as log:
            self.process = subprocess.Popen(
                command, env=variables | self.environment, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder
            )
        self.get("/roots/0")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def get(self, path: str) -> str:
        """From its management address, as soon as it answers."""
        context = ssl.create_default_context(cafile=str(self.trust))
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with suppress(OSError):
                url = f"https://127.0.0.1:{self.management}{path}"
                with urllib.request.urlopen(url, context=context, timeout=5) as answer:
                    return str(answer.read().decode())
            time.sleep(0.05)
        raise AssertionError(f"pebble did not answer:\n{self.log}")


@contextmanager
def running(folder: Path, http: int) -> Iterator[Pebble]:
    folder.mkdir()
    Authority().equip(folder, "pebble", "pebble.test")
    pebble = Pebble(folder, free_port(), free_port(), http)
    pebble.start()
    try:
        yield pebble
    finally:
        pebble.stop()


class Names:
    """The name server: it knows the names that it was told, and no others."""

    def __init__(self, management: int) -> None:
        self._management = management

    def lead(self, name: str, address: str) -> None:
        for action in ("clear-a", "add-a"):
            self._tell(action, {"host": f"{name}.", "addresses": [address]})

    def _tell(self, action: str, what: dict[str, object]) -> None:
        body, url = json.dumps(what).encode(), f"http://127.0.0.1:{self._management}/{action}"
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with suppress(OSError):
                urllib.request.urlopen(urllib.request.Request(url, body), timeout=5).close()
                return
            time.sleep(0.05)
        raise AssertionError("the name server did not answer")


@contextmanager
def names() -> Iterator[Names]:
    port = free_port()
    command = ["pebble-challtestsrv", "-dns01", f"{NAMES}:53", "-management", f"127.0.0.1:{port}"]
    command += ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "", "-defaultIPv6", ""]
    if "-doh " in subprocess.run([command[0], "-h"], stderr=subprocess.PIPE, text=True, check=False).stderr:
        command += ["-doh", ""]  # Debian 13's has that too, and wants a certificate for it
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield Names(port)
    finally:
        process.kill()
        process.wait()


@contextmanager
def no_names() -> Iterator[str]:
    """The address of a name server that says of every name: there is no such (RFC 1035, section 4.1.1)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((EMPTY, 53))
        server.settimeout(0.2)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                with suppress(TimeoutError):
                    query, sender = server.recvfrom(512)
                    server.sendto(query[:2] + b"\x81\x83" + query[4:6] + bytes(6) + query[12:], sender)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield EMPTY
        finally:
            ended.set()
            thread.join()


class Entry:
    """What the TLS entry does on port 80: serves the folder of challenges under its address, and nothing else.

    `asked` is what was fetched; while `open` is not set, an answer waits; with `wrong` it is another text.
    """

    def __init__(self) -> None:
        self.folder = Path("/nonexistent")
        self.asked: list[str] = []
        self.open = threading.Event()
        self.open.set()
        self.wrong = False

    def serve(self) -> ThreadingHTTPServer:
        entry = self

        class Handler(SimpleHTTPRequestHandler):
            def translate_path(self, path: str) -> str:
                return str(entry.folder / path.removeprefix(PLACE)) if path.startswith(PLACE) else "/nonexistent"

            def do_GET(self) -> None:  # noqa: N802  http.server's name
                entry.asked.append(self.path)
                entry.open.wait(30)
                if entry.wrong:
                    self.send_error(404)
                else:
                    super().do_GET()

            def log_message(self, *arguments: object) -> None:
                pass

        return ThreadingHTTPServer((HERE, 0), functools.partial(Handler))
