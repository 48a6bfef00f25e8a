"""A real Zabbix proxy (Debian's zabbix-proxy-sqlite3) that knows one host, in a folder of the test.

Its server does not exist: a proxy goes on with the configuration that it has, and keeps what it was sent in its own
database until a server asks. So that configuration is written there as a server's would be.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAM = shutil.which("zabbix_proxy", path="/usr/sbin:/usr/bin")
TRAPPER, ENABLED = 2, 0
VALUE_TYPES = {"UNSIGNED": 3, "TEXT": 4}
DISCOVERY_RULE, PLAIN = 1, 0  # flags of an item
STARTS_WITHIN = 20.0  # seconds


@dataclass(frozen=True)
class Item:
    """A trapper item of the known host."""

    key: str
    value_type: str = "TEXT"
    discovery: bool = False


class ZabbixProxy:
    """One proxy; `known_as` is the host whose values it takes."""

    def __init__(self, folder: Path, known_as: str) -> None:
        self.known_as = known_as
        self.port = _free_port()
        self._database = folder / "proxy.sqlite"
        self._log = folder / "proxy.log"
        self._conf = folder / "proxy.conf"
        self._process: subprocess.Popen[bytes] | None = None
        lines = {
            "ProxyMode": "0",
            "Server": f"127.0.0.1:{_free_port()}",
            "Hostname": "test proxy",
            "ListenIP": "127.0.0.1",
            "ListenPort": str(self.port),
            "SourceIP": "127.0.0.1",
            "DBName": str(self._database),
            "LogType": "file",
            "LogFile": str(self._log),
            "PidFile": str(folder / "proxy.pid"),
            "SocketDir": str(folder),
            "AllowRoot": "1",
            "StartTrappers": "1",
            "StartDiscoverers": "0",
            "StartHTTPPollers": "0",
        }
        self._conf.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def configure(self, items: Sequence[Item]) -> None:
        """What a server would tell it; it must be off. The first start has made the tables."""
        with contextlib.closing(sqlite3.connect(self._database)) as database, database:
            database.execute(
                "insert or replace into hosts (hostid, host, name, status) values (1, ?, ?, ?)",
                (self.known_as, self.known_as, ENABLED),
            )
            tables = {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}
            for number, item in enumerate(items, start=1):
                flags = DISCOVERY_RULE if item.discovery else PLAIN
                database.execute(
                    "insert or replace into items (itemid, hostid, name, key_, type, value_type, delay, status, flags)"
                    " values (?, 1, ?, ?, ?, ?, '0', ?, ?)",
                    (number, item.key, item.key, TRAPPER, VALUE_TYPES[item.value_type], ENABLED, flags),
                )
                if "item_rtdata" in tables:
                    database.execute("insert or replace into item_rtdata (itemid) values (?)", (number,))

    def taken(self) -> list[tuple[str, str, int]]:
        """Key, value and moment (seconds of the epoch) of everything it keeps for its server, in its order."""
        with contextlib.closing(sqlite3.connect(self._database, timeout=5)) as database:
            rows = database.execute(
                "select i.key_, h.value, h.clock from proxy_history h join items i using (itemid) order by h.id"
            )
            return [(str(key), str(value), int(clock)) for key, value, clock in rows]

    def start(self) -> None:
        """Start it and wait until it answers."""
        assert PROGRAM is not None, "zabbix_proxy is missing: see distro/build-host.txt"
        self._process = subprocess.Popen([PROGRAM, "--foreground", "--config", self._conf])
        until = time.monotonic() + STARTS_WITHIN
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            log = self._log.read_text() if self._log.exists() else ""
            assert self._process.poll() is None and time.monotonic() < until, f"the proxy does not answer:\n{log}"
            time.sleep(0.1)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None


def _free_port() -> int:
    """A free port of those that Zabbix takes: 1024 to 32767."""
    while True:
        port = random.randrange(20000, 32768)  # noqa: S311  no secret
        with socket.socket() as plug, contextlib.suppress(OSError):
            plug.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def zabbix_proxy(folder: Path, known_as: str, items: Sequence[Item]) -> Iterator[ZabbixProxy]:
    """A running proxy that knows the items of one host."""
    proxy = ZabbixProxy(folder, known_as)
    try:
        proxy.start()  # makes its database
        proxy.stop()
        proxy.configure(items)
        proxy.start()
        yield proxy
    finally:
        proxy.stop()
