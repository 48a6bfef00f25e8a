"""The ways by which an alarm leaves this host: a mail, a call of a web address, Zabbix, as base's settings say."""

from __future__ import annotations

import json
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage

from appliances.base.agent.alarms import Channel, Message
from appliances.base.agent.settings import Value
from appliances.base.agent.zabbix import Zabbix

OWNER = "alarm_mail"  # the appliance that declares this setting is the one whose settings count
SMTPS = 465
LIMIT = 20.0  # seconds for one message
WORDS = {
    "en": {
        "raised": "ALARM: {name}",
        "cleared": "well again: {name}",
        "test": "a test of the alarms",
        "text": "{detail}\n\nSince {since} (UTC). Seen by the host {host}.\nSee: sudo asrctl check",
        "over": "It was: {detail}\n\nFrom {since} to {at} (UTC), on the host {host}.",
        "hello": "This message shows that alarms of the host {host} arrive here.",
    },
    "ru": {
        "raised": "ТРЕВОГА: {name}",
        "cleared": "снова в порядке: {name}",
        "test": "проверка оповещений",
        "text": "{detail}\n\nС {since} (UTC). Заметил сервер {host}.\nПосмотреть: sudo asrctl check",
        "over": "Было: {detail}\n\nС {since} по {at} (UTC), на сервере {host}.",
        "hello": "Это сообщение показывает, что оповещения сервера {host} сюда доходят.",
    },
}
_BODY = {"raised": "text", "cleared": "over", "test": "hello"}


@dataclass(frozen=True)
class Mail:
    """A mail to one address. Without a `login` by a relay of the own network: encrypted when it offers that, its
    certificate is not verified, since no secret is sent. With a login encrypted by a certificate that the host believes
    (from the first byte on port 465), or not at all.
    """

    to: str
    server: str
    host: str
    language: str
    login: str = ""
    password: str = ""

    def send(self, message: Message) -> None:
        """Raises OSError: smtplib's own errors are some."""
        words = WORDS[self.language]
        values = {
            "host": self.host,
            "name": message.alarm.name,
            "detail": message.alarm.detail,
            "since": message.alarm.since,
            "at": message.at,
        }
        mail = EmailMessage()
        mail["Subject"] = f"[{self.host}] {words[message.kind].format(**values)}"
        mail["From"] = f"asrbox <asrbox@{self.host}>"
        mail["To"] = self.to
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(words[_BODY[message.kind]].format(**values) + "\n")
        with self._connected() as server:
            if self.login:
                server.login(self.login, self.password)
            server.send_message(mail)

    def _connected(self) -> smtplib.SMTP:
        name, _, port = self.server.partition(":")
        context = ssl.create_default_context() if self.login else ssl._create_unverified_context()  # noqa: S323  as above
        if int(port) == SMTPS:
            return smtplib.SMTP_SSL(name, SMTPS, timeout=LIMIT, context=context)
        server = smtplib.SMTP(name, int(port), timeout=LIMIT)
        server.ehlo_or_helo_if_needed()
        if server.has_extn("starttls"):
            server.starttls(context=context)
        elif self.login:
            server.close()
            raise OSError(f"{self.server} offers no encryption: the password was not sent")
        return server


@dataclass(frozen=True)
class Webhook:
    """POST of a JSON object to one address: `host`, `kind` (raised, cleared, test), `name`, `detail`, `since`, `at`."""

    url: str
    host: str

    def send(self, message: Message) -> None:
        """Raises OSError: urllib's own errors are some; an answer that is not 2xx counts as one."""
        alarm = message.alarm
        body = {
            "host": self.host,
            "kind": message.kind,
            "name": alarm.name,
            "detail": alarm.detail,
            "since": alarm.since,
            "at": message.at,
        }
        request = urllib.request.Request(  # noqa: S310  the setting takes http and https only
            self.url, json.dumps(body, ensure_ascii=False).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=LIMIT).close()  # noqa: S310


def wanted(settings: Mapping[str, Value], host: str) -> dict[str, Channel]:
    """The channels that base's settings ask for: `mail`, `webhook`, `zabbix`, several or none."""
    found: dict[str, Channel] = {}
    if to := str(settings[OWNER]):
        found["mail"] = Mail(
            to,
            str(settings["alarm_mail_server"]),
            host,
            str(settings["alarm_language"]),
            str(settings["alarm_mail_login"]),
            str(settings["alarm_mail_password"]),
        )
    if url := str(settings["alarm_webhook"]):
        found["webhook"] = Webhook(url, host)
    if server := str(settings["alarm_zabbix"]):
        known_as = str(settings["alarm_zabbix_host"]) or host
        found["zabbix"] = Zabbix(server, known_as, WORDS[str(settings["alarm_language"])])
    return found
