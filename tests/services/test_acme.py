"""A certificate by ACME from a real authority (pebble), asked for by the agent's own code in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from appliances.base.agent import acmeclient, outsidecert
from appliances.base.agent.acme import Wanted
from appliances.base.agent.acmetrouble import Trouble
from appliances.base.agent.paths import Paths
from builder.run import run
from tests.services import acme_authority
from tests.services.acme_authority import HERE, NAMES, NOWHERE, REFUSED, Entry, Names, Pebble
from tests.services.web_daemons import ROOT

YEAR = 365 * 86400
STEPS = 12  # lines that an attempt says at most


@dataclass
class Host:
    """A host with settings; its names are looked up at the tests' name server."""

    root: Path
    pebble: Pebble
    names: Names
    entry: Entry
    resolver: str = NAMES

    @property
    def paths(self) -> Paths:
        return Paths(self.root)

    def want(self, *names: str, mail: str = "") -> None:
        settings = {"acme_names": ", ".join(names), "acme_terms_agreed": True, "acme_mail": mail}
        (self.root / "settings.json").write_text(json.dumps({**settings, "acme_directory": self.pebble.directory}))

    def begin(self, later: float = 0, *order: str) -> subprocess.Popen[str]:
        resolver = self.root / "resolv.conf"
        resolver.write_text(f"nameserver {self.resolver}\noptions timeout:10 attempts:2\n")
        inside = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
        command = [sys.executable, "-m", "tests.services.acme_host", str(self.root), str(later), *order]
        variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "SSL_CERT_FILE": str(self.pebble.trust)}
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", inside, "sh", str(resolver), *command],
            env=variables,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, later: float = 0, *order: str) -> tuple[dict[str, Any], list[str]]:
        """What is so in the end, and what was said on the way."""
        process = self.begin(later, *order)
        text, _ = process.communicate(timeout=90)
        *said, last = text.splitlines()
        answer: dict[str, Any] = json.loads(last)
        return answer, said

    def killed(self, line: int, *order: str) -> list[str]:
        """Begin, and kill -9 as soon as so many lines were said; returns them."""
        process = self.begin(0, *order)
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(line)]
        process.kill()
        process.communicate()
        return said

    def tokens(self) -> list[str]:
        return sorted(path.name for path in self.paths.challenges.iterdir())

    def accounts(self) -> int:
        """How many the authority has been asked to make."""
        return self.pebble.log.count("accounts in memory")


@pytest.fixture(scope="module")
def around() -> Iterator[tuple[Names, Entry, int]]:
    """A name server, and the web server that all names lead to."""
    entry = Entry()
    with acme_authority.names() as names, entry.serve() as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield names, entry, http.server_port
        http.shutdown()


@pytest.fixture
def host(around: tuple[Names, Entry, int], tmp_path: Path) -> Iterator[Host]:
    names, entry, port = around
    with ExitStack() as ends:
        pebble = ends.enter_context(acme_authority.running(tmp_path / "pebble", port))
        root = tmp_path / "root"
        root.mkdir()
        one = Host(root, pebble, names, entry)
        entry.folder, entry.asked, entry.wrong = one.paths.challenges, [], False
        for name in ("billing.isp.test", "cabinet.isp.test"):
            names.lead(name, HERE)
        names.lead("closed.isp.test", NOWHERE)
        yield one


def test_a_certificate_for_several_names_is_obtained_and_renewed(host: Host, tmp_path: Path) -> None:
    host.want("billing.isp.test", "Cabinet.isp.test", mail="noc@isp.test")

    answer, said = host.ask()

    found = answer["certificate"]
    assert (found["way"], found["acme"]["error"]) == ("acme", None)
    assert sorted(found["names"]) == ["billing.isp.test", "cabinet.isp.test"]
    assert answer["operations"] == [["done", "agent", None]]
    assert answer["check"][0]["ok"]
    assert "* billing.isp.test leads here" in said and "* shown" in said
    assert len(host.entry.asked) >= 2 and host.tokens() == []
    # browsers that trust this authority would take it
    shown = host.paths.outside_certificate
    root = tmp_path / "root.pem"
    root.write_text(host.pebble.get("/roots/0"))
    run(["openssl", "verify", "-CAfile", root, "-untrusted", shown, "-verify_hostname", "cabinet.isp.test", shown])
    secret = [*(host.paths.acme / "accounts").iterdir(), host.paths.acme / "certificate.pem", shown]
    assert [one.stat().st_mode & 0o777 for one in secret] == [0o600] * 3
    assert not (host.paths.acme / "order.json").exists()

    # nothing is due, until little of its life is left
    before = shown.read_bytes()
    known = json.loads(secret[0].read_text())
    answer, said = host.ask(4 * YEAR)
    assert shown.read_bytes() != before
    assert (answer["certificate"]["way"], answer["operations"][0]) == ("acme", ["done", "agent", None])
    assert json.loads(secret[0].read_text()) == known and host.accounts() == 1

    # another mail address is told
    host.want("billing.isp.test", mail="")
    answer, said = host.ask(0, "renew")
    assert answer["operations"][0] == ["done", "anna", None]
    assert json.loads(secret[0].read_text()) == {**known, "mail": ""}


def test_a_name_that_leads_elsewhere_is_told_with_what_to_do(host: Host) -> None:
    host.want("billing.isp.test", "closed.isp.test")

    answer, _ = host.ask()

    found = answer["certificate"]
    assert (found["way"], found["own"]) == ("own", True)
    assert "the authority did not find this host under closed.isp.test: " in found["acme"]["error"]
    assert "port 80 has to be open there" in found["acme"]["error"]
    assert found["acme"]["next_at"] > found["acme"]["failed_at"]
    assert answer["operations"] == [["failed", "agent", found["acme"]["error"]]]
    assert (answer["check"][0]["ok"], found["acme"]["error"] in answer["check"][0]["detail"]) == (False, True)
    assert host.tokens() == []

    # it leads here now, but what answers is not the folder of the agent
    host.names.lead("closed.isp.test", HERE)
    host.entry.wrong = True
    answer, _ = host.ask(0, "renew")
    assert "the authority did not find this host under " in answer["certificate"]["acme"]["error"]

    host.entry.wrong = False
    answer, _ = host.ask(0, "renew")
    assert answer["certificate"]["way"] == "acme"
    assert answer["certificate"]["acme"]["failures"] == 0


def test_a_name_without_an_address_is_refused_before_anybody_is_asked(host: Host) -> None:
    host.want("nobody.isp.test", "billing.isp.test")

    with acme_authority.no_names() as host.resolver:
        answer, _ = host.ask()

    error = answer["certificate"]["acme"]["error"]
    assert "nobody.isp.test has no address: the authority was not asked" in error
    assert "give the name an A or AAAA record" in error
    assert host.entry.asked == [] and host.accounts() == 0

    # it may lead somewhere, but nobody says so now
    host.resolver = NOWHERE
    answer, _ = host.ask(0, "renew")
    error = answer["certificate"]["acme"]["error"]
    assert "no name server told where nobody.isp.test leads: the authority was not asked" in error
    assert "getent hosts nobody.isp.test" in error


def test_a_name_that_the_authority_signs_nothing_for_is_named(host: Host) -> None:
    host.names.lead(REFUSED, HERE)
    host.want("billing.isp.test", REFUSED)

    answer, _ = host.ask()

    error = answer["certificate"]["acme"]["error"]
    assert re.search(rf"127\.0\.0\.1:\d+ refuses.*{re.escape(REFUSED)}", error)
    assert "see the names: asrctl config base acme_names" in error
    assert host.entry.asked == []


def test_an_authority_that_is_away_or_has_forgotten_us_is_asked_again(host: Host) -> None:
    host.want("billing.isp.test")
    host.pebble.stop()

    answer, _ = host.ask()
    assert f"127.0.0.1:{host.pebble.port} does not answer" in answer["certificate"]["acme"]["error"]

    host.pebble.start()
    answer, _ = host.ask(0, "renew")
    assert answer["certificate"]["way"] == "acme"

    host.pebble.stop()
    host.pebble.start()  # pebble forgets its accounts, as an authority does that was made anew
    answer, said = host.ask(0, "renew")
    assert answer["operations"][0] == ["done", "anna", None]
    assert "* the authority does not know our account any more: registering it anew" in said


def test_whose_certificate_is_not_believed_is_not_asked(host: Host, tmp_path: Path) -> None:
    host.want("billing.isp.test")
    other = tmp_path / "other"
    other.mkdir()
    acme_authority.Authority().equip(other, "web", "other.test")
    host.pebble.trust.write_bytes((other / "ca.crt").read_bytes())

    answer, _ = host.ask()

    assert "the certificate of 127.0.0.1:" in answer["certificate"]["acme"]["error"]
    assert "is not believed" in answer["certificate"]["acme"]["error"]
    assert host.accounts() == 0


def test_killed_while_the_authority_looks_the_same_order_goes_on(host: Host) -> None:
    host.want("billing.isp.test")
    host.entry.open.clear()
    process = host.begin()
    assert process.stdout is not None
    while "looks whether billing.isp.test leads here" not in process.stdout.readline():
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert len(host.tokens()) == 1
    kept = json.loads((host.paths.acme / "order.json").read_text())
    host.entry.open.set()

    answer, said = host.ask(60)

    assert [one[0] for one in answer["operations"]] == ["done", "failed"]
    assert "the agent was restarted meanwhile" in answer["operations"][1][2]
    assert answer["certificate"]["way"] == "acme"
    assert (host.tokens(), host.accounts()) == ([], 1)
    if "* going on with the order that was begun" in said:  # else the authority had found nothing, and gave it up
        assert kept["key"] in host.paths.outside_certificate.read_text()


def test_killed_after_any_line_it_ends_with_one_account_and_no_token(host: Host) -> None:
    host.want("billing.isp.test")
    for line in range(1, STEPS):
        if not host.killed(line, "renew")[-1]:
            break  # it was done before
    answer, _ = host.ask(0, "renew")

    assert answer["certificate"]["way"] == "acme"
    assert (host.tokens(), host.accounts()) == ([], 1)
    assert not (host.paths.acme / "order.json").exists()
    shown = outsidecert.shown(host.paths.outside_certificate)
    assert shown is not None and shown.names == ("billing.isp.test",)
    left = sorted(path.name for path in host.paths.acme.rglob("*") if path.name.startswith("."))
    assert left == []


@pytest.fixture
def busy() -> Iterator[tuple[str, list[tuple[int, dict[str, str]]]]]:
    """The directory of an authority that answers calls with what is in the list."""
    answers: list[tuple[int, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, body: object, headers: dict[str, str]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            kind = "application/json" if status < 400 else "application/problem+json"
            for key, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def do_GET(self) -> None:  # noqa: N802  http.server's name
            here = f"http://{self.headers['Host']}"
            self.answer(200, {key: f"{here}/{key}" for key in ("newNonce", "newAccount", "newOrder")}, {})

        def do_HEAD(self) -> None:  # noqa: N802  http.server's name
            self.answer(200, {}, {"Replay-Nonce": "bm9uY2U"})

        def do_POST(self) -> None:  # noqa: N802  http.server's name
            self.rfile.read(int(self.headers["Content-Length"]))
            status, headers = answers.pop(0)
            problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many\nnew orders."}
            self.answer(status, problem, headers)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/", answers
        http.shutdown()


def test_what_the_authority_asks_for_when_it_has_too_much_is_heard(
    busy: tuple[str, list[tuple[int, dict[str, str]]]], tmp_path: Path
) -> None:
    url, answers = busy
    answers.append((429, {"Retry-After": "7200", "Replay-Nonce": "bm9uY2U"}))
    paths = Paths(tmp_path)
    attempt = acmeclient.Attempt(Wanted(("localhost",), "", url), paths.acme, paths.challenges, lambda text: None)

    with pytest.raises(Trouble) as refused:
        attempt.obtain()

    assert refused.value.wish == 7200
    assert "refuses: too many new orders (too much was asked for in a short time" in refused.value.sentence()


def test_what_is_no_authority_is_told(busy: tuple[str, list[tuple[int, dict[str, str]]]], tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    for url in (f"{busy[0]}?", "http://127.0.0.1:9/"):
        attempt = acmeclient.Attempt(Wanted(("localhost",), "", url), paths.acme, paths.challenges, lambda text: None)
        busy[1].append((200, {}))
        with pytest.raises(Trouble) as refused:
            attempt.obtain()
        says = "does not answer as an authority has to" if url.startswith(busy[0]) else "127.0.0.1:9 does not answer"
        assert says in refused.value.sentence()
