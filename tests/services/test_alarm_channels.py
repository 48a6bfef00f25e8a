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
from aiosmtpd.smtp import AuthResult, LoginPassword

from appliances.base.agent.alarms import Alarm, Message
from appliances.base.agent.channels import WORDS, Mail, Webhook, wanted
from appliances.base.agent.zabbix import Zabbix
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


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context, and its certificate (self-signed, for 127.0.0.1)."""
    files = [folder / "server.crt", folder / "server.key"]
    about = ["-subj", "/CN=relay", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    kind = ["-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    run(["openssl", "req", *kind, *about, "-out", files[0], "-keyout", files[1]])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*files)
    return context, files[0]


@pytest.fixture(params=[False, True], ids=["plain", "starttls"])
def server(request: pytest.FixtureRequest, letterbox: Letterbox, tmp_path: Path) -> Iterator[Controller]:
    context = certificate(tmp_path)[0] if request.param else None
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


class Doorkeeper:
    """Lets one login in, and remembers what was tried."""

    def __init__(self) -> None:
        self.tried: list[LoginPassword] = []

    def __call__(self, server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        self.tried.append(data)
        return AuthResult(success=data == LoginPassword(b"noc", b"pa ss"), handled=False)


@pytest.fixture
def submission(letterbox: Letterbox, tmp_path: Path) -> Iterator[tuple[Controller, Doorkeeper, Path]]:
    """A server that wants a login, and takes it encrypted only."""
    doorkeeper = Doorkeeper()
    context, trusted = certificate(tmp_path)
    controller = Controller(
        letterbox,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        authenticator=doorkeeper,
        auth_required=True,
    )
    controller.start()
    yield controller, doorkeeper, trusted
    controller.stop()


def with_login(server: Controller, password: str) -> Mail:
    return Mail("noc@example.net", f"{server.hostname}:{server.port}", "box", "en", "noc", password)


def test_a_login_is_used_where_the_certificate_is_believed(
    submission: tuple[Controller, Doorkeeper, Path], letterbox: Letterbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, doorkeeper, trusted = submission
    message = Message("mail", "raised", ALARM, AT)
    with pytest.raises(ssl.SSLCertVerificationError):
        with_login(server, "pa ss").send(message)
    assert doorkeeper.tried == []

    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))  # as the host's own certificate authorities do
    with_login(server, "pa ss").send(message)
    ((_, encrypted, _),) = letterbox.letters
    assert encrypted
    with pytest.raises(OSError, match="Authentication credentials invalid"):
        with_login(server, "wrong").send(message)


def test_a_password_is_never_sent_in_the_clear(letterbox: Letterbox) -> None:
    doorkeeper = Doorkeeper()
    plain = Controller(
        letterbox, hostname="127.0.0.1", port=free_port(), authenticator=doorkeeper, auth_require_tls=False
    )
    plain.start()
    try:
        with pytest.raises(OSError, match="offers no encryption: the password was not sent"):
            with_login(plain, "pa ss").send(Message("mail", "raised", ALARM, AT))
    finally:
        plain.stop()
    assert doorkeeper.tried == []


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
    settings = {
        "alarm_mail": "", "alarm_mail_server": "localhost:25", "alarm_mail_login": "", "alarm_mail_password": "",
        "alarm_webhook": "", "alarm_zabbix": "", "alarm_zabbix_host": "", "alarm_language": "ru",
    }  # fmt: skip
    assert wanted(settings, "box") == {}
    assert wanted({**settings, "alarm_mail": "noc@example.net"}, "box") == {
        "mail": Mail("noc@example.net", "localhost:25", "box", "ru")
    }
    assert wanted({**settings, "alarm_webhook": "https://chat.example.net/x"}, "box") == {
        "webhook": Webhook("https://chat.example.net/x", "box")
    }
    at = {**settings, "alarm_zabbix": "zabbix.example.net:10051"}
    assert wanted(at, "box") == {"zabbix": Zabbix("zabbix.example.net:10051", "box", WORDS["ru"])}
    named = {**at, "alarm_zabbix_host": "billing 1"}
    assert wanted(named, "box") == {"zabbix": Zabbix("zabbix.example.net:10051", "billing 1", WORDS["ru"])}
