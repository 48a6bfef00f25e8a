"""A small signed Debian mirror: packages made here, indices by apt-ftparchive, signed by GnuPG, served on 127.0.0.1.

The server can be told to break off a file, and remembers what it was asked for.
"""

from __future__ import annotations

import contextlib
import mimetypes
import random
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

SUITE = "tiny"
COMPONENT = "main"


class Signer:
    """One OpenPGP key in a key ring of its own."""

    def __init__(self, home: Path, name: str) -> None:
        self.home = home
        self.home.mkdir(mode=0o700, parents=True)
        self.keyring = home / "mirror.gpg"
        self._gpg("--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "never")
        self.keyring.write_bytes(self._gpg("--export"))

    def sign(self, release: Path) -> None:
        """Release → InRelease."""
        target = release.with_name("InRelease")
        self._gpg("--yes", "--clearsign", "--output", str(target), str(release))

    def close(self) -> None:
        """End the agent that gpg has started for this key ring."""
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "gpg-agent"], check=True)

    def _gpg(self, *arguments: str) -> bytes:
        command = ["gpg", "--batch", "--quiet", "--homedir", str(self.home), "--pinentry-mode", "loopback", *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout


@dataclass
class Mirror:
    """A folder with pool/ and dists/. Add packages, then `publish`; remove or damage files to see what happens."""

    root: Path
    work: Path
    packages: dict[str, Path] = field(default_factory=dict)

    def add(
        self, name: str, version: str = "1.0-1", *, depends: str = "", essential: bool = False, size: int = 1000
    ) -> Path:
        """Make a package with one incompressible file of `size` bytes → its path below pool/."""
        tree = self.work / f"{name}_{version}"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "usr/share/tiny").mkdir(parents=True)
        (tree / "usr/share/tiny" / name).write_bytes(_noise(size, f"{name} {version}"))
        control = {
            "Package": name,
            "Version": version,
            "Architecture": "all",
            "Maintainer": "Nobody <nobody@example.org>",
            "Priority": "optional",
            "Description": f"test package {name}",
            **({"Essential": "yes"} if essential else {}),
            **({"Depends": depends} if depends else {}),
        }
        (tree / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
        folder = self.root / "pool/main" / name[0] / name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}_{version.replace(':', '%3a')}_all.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, path], check=True, capture_output=True)
        self.packages[name] = path
        return path

    def remove(self, name: str) -> None:
        """The package leaves the mirror; `publish` makes it known."""
        self.packages.pop(name).unlink()

    def publish(self, signer: Signer | None) -> None:
        """Write Packages and Release, signed unless `signer` is None."""
        suite = self.root / "dists" / SUITE
        binary = suite / COMPONENT / "binary-amd64"
        binary.mkdir(parents=True, exist_ok=True)
        (binary / "Packages").write_bytes(self._ftparchive("packages", "pool"))
        for name in ("Release", "InRelease"):
            (suite / name).unlink(missing_ok=True)
        fields = {"Suite": SUITE, "Codename": SUITE, "Components": COMPONENT, "Architectures": "amd64 all"}
        options = [f"-oAPT::FTPArchive::Release::{key}={value}" for key, value in fields.items()]
        release = self._ftparchive(*options, "release", str(suite))
        (suite / "Release").write_bytes(release)
        if signer:
            signer.sign(suite / "Release")

    def _ftparchive(self, *arguments: str) -> bytes:
        done = subprocess.run(["apt-ftparchive", *arguments], cwd=self.root, check=True, capture_output=True)
        return done.stdout


def _noise(size: int, seed: str) -> bytes:
    return random.Random(seed).randbytes(size)


@dataclass
class Served:
    """A folder behind HTTP. `asked` lists (path, Range header); `cut` breaks a path off half-way that many times."""

    url: str
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    cut: dict[str, int] = field(default_factory=dict)


@contextlib.contextmanager
def serve(root: Path) -> Iterator[Served]:
    """Serve a folder on a free port of 127.0.0.1, with byte ranges."""
    served = Served("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            served.asked.append((self.path, wanted))
            path = root / unquote(self.path.lstrip("/"))
            if path.is_dir():
                path /= "index.html"
            if not path.is_file():
                self.send_error(404)
                return
            body = path.read_bytes()
            start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Type", mimetypes.guess_type(path.name)[0] or "application/octet-stream")
            self.send_header("Last-Modified", self.date_time_string(int(path.stat().st_mtime)))
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            if served.cut.get(self.path):
                served.cut[self.path] -= 1
                self.wfile.write(body[start : start + (len(body) - start) // 2])
                self.wfile.flush()
                self.close_connection = True
                return
            self.wfile.write(body[start:])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """The test says what it wants to know."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
