"""Alarms as they arrive: at a mail server (aiosmtpd) with and without TLS, at an HTTP server."""

from __future__ import annotations

import email
import json
import ssl
import threading
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from appliances.base.agent.alarms import Alarm, Message
from appliances.base.agent.channels import Mail, Webhook, wanted
from builder.run import run
from tests.services.web_daemons import free_port

ALARM = Alarm("auth.web", "198.18.82.2:443 does not answer: timed out", "2026-11-23T08:00:00+00:00")
AT = "2026-11-23T08:20:00+00:00"


class Letterbox:
    """What a mail server was given; with `refuses` it takes nothing."""

    def __init__(self) -> None:
        self.letters: list[tuple[list[str], bool, EmailMessage]] = []
        self.refuses = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        if self.refuses:
            return "452 4.3.1 Insufficient system storage"
        letter = email.message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append((envelope.rcpt_tos, session.ssl is not None, letter))
        return "250 OK"


@pytest.fixture
def letterbox() -> Letterbox:
    return Letterbox()


@pytest.fixture(params=[False, True], ids=["plain", "starttls"])
def server(request: pytest.FixtureRequest, letterbox: Letterbox, tmp_path: Path) -> Iterator[Controller]:
    context = None
    if request.param:
        files = [tmp_path / "server.crt", tmp_path / "server.key"]
        run(["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-subj", "/CN=relay", "-days", "2", "-out", files[0], "-keyout", files[1]])  # fmt: skip
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*files)
    controller = Controller(
        letterbox, hostname="127.0.0.1", port=free_port(), tls_context=context, require_starttls=bool(context)
    )
    controller.start()
    yield controller
    controller.stop()


def mail(server: Controller, language: str = "ru") -> Mail:
    return Mail("noc@example.net", f"{server.hostname}:{server.port}", "box", language)


def test_a_mail_arrives_and_can_be_read(server: Controller, letterbox: Letterbox) -> None:
    mail(server).send(Message("mail", "raised", ALARM, AT))
    ((receivers, encrypted, letter),) = letterbox.letters
    assert receivers == ["noc@example.net"]
    assert encrypted is bool(server.SMTP_kwargs.get("require_starttls"))
    assert letter["Subject"] == "[box] ТРЕВОГА: auth.web"
    assert letter["Auto-Submitted"] == "auto-generated"
    body = letter.get_content()
    assert "198.18.82.2:443 does not answer: timed out" in body
    assert "sudo asrctl check" in body


def test_each_kind_in_each_language(server: Controller, letterbox: Letterbox) -> None:
    for language in ("ru", "en"):
        for kind in ("raised", "cleared", "test"):
            mail(server, language).send(Message("mail", kind, ALARM, AT))
    assert [letter["Subject"] for _, _, letter in letterbox.letters] == [
        "[box] ТРЕВОГА: auth.web", "[box] снова в порядке: auth.web", "[box] проверка оповещений",
        "[box] ALARM: auth.web", "[box] well again: auth.web", "[box] a test of the alarms",
    ]  # fmt: skip
    assert AT in letterbox.letters[1][2].get_content()


def test_a_server_that_refuses_is_trouble_with_its_words(server: Controller, letterbox: Letterbox) -> None:
    letterbox.refuses = True
    with pytest.raises(OSError, match="Insufficient system storage"):
        mail(server).send(Message("mail", "raised", ALARM, AT))


def test_no_server_is_trouble_too() -> None:
    with pytest.raises(ConnectionRefusedError):
        Mail("noc@example.net", "127.0.0.1:9", "box", "en").send(Message("mail", "raised", ALARM, AT))


@pytest.fixture
def hooks() -> Iterator[tuple[str, list[Any], list[int]]]:
    """Address of an HTTP server, what was posted to it, and the status that it answers with next."""
    posted: list[Any] = []
    status = [204]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802  http.server's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/hooks/noc", posted, status
        http.shutdown()


def test_a_web_address_is_given_the_facts(hooks: tuple[str, list[Any], list[int]]) -> None:
    url, posted, _ = hooks
    Webhook(url, "box").send(Message("webhook", "cleared", ALARM, AT))
    assert posted == [
        (
            "/hooks/noc",
            "application/json",
            {
                "host": "box",
                "kind": "cleared",
                "name": "auth.web",
                "detail": "198.18.82.2:443 does not answer: timed out",
                "since": "2026-11-23T08:00:00+00:00",
                "at": AT,
            },
        )
    ]


def test_an_answer_that_is_no_yes_is_trouble(hooks: tuple[str, list[Any], list[int]]) -> None:
    url, _, status = hooks
    status[0] = 500
    with pytest.raises(OSError, match="500"):
        Webhook(url, "box").send(Message("webhook", "raised", ALARM, AT))


def test_settings_choose_the_channels() -> None:
    settings = {"alarm_mail": "", "alarm_mail_server": "localhost:25", "alarm_webhook": "", "alarm_language": "ru"}
    assert wanted(settings, "box") == {}
    assert wanted({**settings, "alarm_mail": "noc@example.net"}, "box") == {
        "mail": Mail("noc@example.net", "localhost:25", "box", "ru")
    }
    assert wanted({**settings, "alarm_webhook": "https://chat.example.net/x"}, "box") == {
        "webhook": Webhook("https://chat.example.net/x", "box")
    }
