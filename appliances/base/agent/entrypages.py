"""What browsers and programs see while an appliance does not answer: files that nginx shows instead of its own 502."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jinja2

import appliances.common
from appliances.base.agent.board import ApplianceStatus
from appliances.base.agent.distribution import Published, PublishedPath

TEMPLATE = Path(__file__).parent / "host" / "entry-page.html.j2"
LOOK = Path(appliances.common.__file__).parent / "ui" / "static"
LOOK_FILES = ("ui.css", "vendor/bootstrap.min.css", "mark.svg")

Reason = Literal["starting", "stopped", "disabled", "away"]


@dataclass(frozen=True)
class Words:
    """What happened, what it means, what to do, and the command that does it."""

    title: str
    meaning: str
    advice: str
    command: str = ""


WORDS: dict[str, dict[Reason, Words]] = {
    "ru": {
        "starting": Words(
            "«{title}» запускается",
            "Эта часть сервера только что включена. Обычно это занимает минуту-другую.",
            "Подождите немного и откройте страницу снова.",
        ),
        "stopped": Words(
            "«{title}»: работа остановлена",
            "Эту часть сервера остановил администратор. Её данные на месте.",
            "Запустить её можно в панели управления или командой на сервере:",
            "sudo asrctl start {name}",
        ),
        "disabled": Words(
            "«{title}»: эта часть выключена",
            "На этом сервере эта часть выключена. Её данные на месте.",
            "Включить её можно в панели управления или командой на сервере:",
            "sudo asrctl enable {name}",
        ),
        "away": Words(
            "«{title}» не отвечает",
            "Сервер замечает это и чинит сам. Данные на месте.",
            "Попробуйте через минуту. Если не проходит, администратор увидит причину командой:",
            "sudo asrctl check",
        ),
    },
    "en": {
        "starting": Words(
            "“{title}” is starting",
            "This part of the server has just been switched on. It usually takes a minute or two.",
            "Wait a moment and open the page again.",
        ),
        "stopped": Words(
            "“{title}” is stopped",
            "An administrator has stopped this part of the server. Its data is in place.",
            "It is started in the control panel, or by this command on the server:",
            "sudo asrctl start {name}",
        ),
        "disabled": Words(
            "“{title}” is switched off",
            "This part is switched off on this server. Its data is in place.",
            "It is switched on in the control panel, or by this command on the server:",
            "sudo asrctl enable {name}",
        ),
        "away": Words(
            "“{title}” does not answer",
            "The server notices that and repairs it by itself. The data is in place.",
            "Try again in a minute. If it lasts, an administrator sees why with this command:",
            "sudo asrctl check",
        ),
    },
}
BUTTONS = {
    "ru": {"again": "Попробовать снова", "panel": "Панель управления"},
    "en": {"again": "Try again", "panel": "Control panel"},
}
CLIENT = {
    "ru": Words(
        "Нужен клиентский сертификат этого сервера",
        "Он не показан, истёк или отозван.",
        "Администратор выпускает его командой:",
        "sudo asrctl client-certificate issue NAME",
    ),
    "en": Words(
        "A client certificate of this server is needed",
        "None was shown, or it has ended or was revoked.",
        "An administrator issues one with:",
        "sudo asrctl client-certificate issue NAME",
    ),
}


def pages(published: list[Published], statuses: list[ApplianceStatus]) -> dict[str, bytes]:
    """All files, by their path below the folder of the pages."""
    found = {f"ui/{Path(name).name}": (LOOK / name).read_bytes() for name in LOOK_FILES}
    states = {one.name: one for one in statuses}
    for one in published:
        why = reason(states.get(one.appliance.name), one.daemon.name)
        for language, by_reason in WORDS.items():
            title = one.appliance.title.get(language, one.appliance.name)
            name = one.appliance.name if why != "stopped" and why != "disabled" else _off(one, states)
            words = _filled(by_reason[why], title, name)
            found[f"{one.endpoint}.{language}.html"] = _page(language, words, one)
            found[f"{one.endpoint}.{language}.json"] = _problem(503, words)
    for language, words in CLIENT.items():
        found[f"client-certificate.{language}.json"] = _problem(403, words)
    return found


def reason(status: ApplianceStatus | None, daemon: str) -> Reason:
    """Why a daemon may not answer, as far as the agent knows."""
    if status is None:
        return "away"
    own = next((one.state for one in status.daemons if one.name == daemon), status.state)
    for state in (status.state, own):
        if state == "disabled":
            return "disabled"
        if state == "stopped":
            return "stopped"
    return "starting" if status.state in ("starting", "absent") else "away"


def _off(one: Published, states: dict[str, ApplianceStatus]) -> str:
    """What has to be switched on: the appliance, or the daemon alone."""
    whole = states[one.appliance.name].state in ("disabled", "stopped")
    return one.appliance.name if whole else f"{one.appliance.name}.{one.daemon.name}"


def _filled(words: Words, title: str, name: str) -> Words:
    return Words(words.title.format(title=title), words.meaning, words.advice, words.command.format(name=name))


def _page(language: str, words: Words, one: Published) -> bytes:
    path = f"{one.at.prefix}/" if isinstance(one.at, PublishedPath) else "/"
    page = _template().render(
        language=language,
        title=words.title,
        meaning=words.meaning,
        advice=words.advice,
        command=words.command,
        path=path,
        **BUTTONS[language],
    )
    return page.encode()


def _problem(status: int, words: Words) -> bytes:
    """RFC 9457, as appliances answer under /api/."""
    detail = " ".join(part for part in (words.meaning, words.advice, words.command) if part)
    document = {"type": "about:blank", "title": words.title, "status": status, "detail": detail}
    return (json.dumps(document, ensure_ascii=False) + "\n").encode()


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=True
    )
    return environment.from_string(TEMPLATE.read_text())
