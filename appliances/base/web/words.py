"""What the states and actions of the agent are called on the pages, and which colour they have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from appliances.base.web.agent import Appliance, Daemon, Setting
from appliances.common.i18n import LazyText, lazy, pick
from appliances.common.i18n import gettext as _


@dataclass(frozen=True)
class Verdict:
    """How a part fares, in one word and one tone (good, warn, bad, busy, quiet)."""

    tone: str
    text: LazyText


@dataclass(frozen=True)
class Action:
    """A thing that can be asked for: the button, what stands over the list of operations, and what it leads to."""

    name: str
    button: LazyText
    noun: LazyText
    consequence: LazyText
    icon: str
    tone: str = "primary"


BY_HEALTH = {
    "ok": Verdict("good", lazy("Works")),
    "degraded": Verdict("warn", lazy("Works in part")),
    "failing": Verdict("bad", lazy("Does not answer")),
    "unknown": Verdict("busy", lazy("Being checked")),
}
BY_STATE = {
    "starting": Verdict("busy", lazy("Starting")),
    "stopped": Verdict("warn", lazy("Stopped")),
    "disabled": Verdict("quiet", lazy("Switched off")),
    "error": Verdict("bad", lazy("Failed")),
    "absent": Verdict("quiet", lazy("Not created yet")),
}

ACTIONS = {
    one.name: one
    for one in (
        Action(
            "start",
            lazy("Start"),
            lazy("Start of %(part)s"),
            lazy("It starts now and is ready when its checks pass."),
            "play-fill",
        ),
        Action(
            "restart",
            lazy("Restart"),
            lazy("Restart of %(part)s"),
            lazy("It is away for a few seconds. Whoever works with it has to wait; nothing stored is lost."),
            "arrow-clockwise",
        ),
        Action(
            "stop",
            lazy("Stop"),
            lazy("Stop of %(part)s"),
            lazy("It stays away until it is started again, or until the server is restarted. Nothing stored is lost."),
            "stop-fill",
            "danger",
        ),
        Action(
            "enable",
            lazy("Switch on"),
            lazy("Switching on of %(part)s"),
            lazy("It starts now, and again with each start of the server."),
            "power",
        ),
        Action(
            "disable",
            lazy("Switch off"),
            lazy("Switching off of %(part)s"),
            lazy("It stops now and stays off after a restart of the server too. Nothing stored is lost."),
            "power",
            "danger",
        ),
    )
}

# Without these nobody gets back to this page with a browser, so stopping them asks for the name.
VITAL = {
    "base": lazy("This very page comes from it: afterwards it can be started only with asrctl on the server itself."),
    "auth": lazy("Nobody can sign in without it: afterwards it can be started only with asrctl on the server itself."),
}


def verdict(part: Appliance | Daemon) -> Verdict:
    """State and health in one."""
    if part.state != "running":
        return BY_STATE[part.state]
    return BY_HEALTH[part.health]


VOLUME = "volume "  # the agent's checks of volumes begin so
CHECKS = {
    "agent": lazy("Agent"),
    "disk": lazy("Disk"),
    "files": lazy("Files on the disk"),
    "memory": lazy("Memory"),
    "storage pool": lazy("Storage of the parts"),
    "clock": lazy("Clock"),
    "certificate authority": lazy("Certificate authority"),
    "outside certificate": lazy("Certificate"),
    "entry": lazy("Entry from outside"),
    "firewall": lazy("Firewall"),
    "routes": lazy("Routes"),
}


def checks(names: Iterable[str]) -> dict[str, str]:
    """What the checks of the host are called here; one of a daemon keeps the name by which `asrctl` knows it."""
    volumes = {name: name.removeprefix(VOLUME) for name in names if name.startswith(VOLUME)}
    known = {name: str(text) for name, text in CHECKS.items()}
    return known | {name: str(_("Volume %(name)s", name=volume)) for name, volume in volumes.items()}


def possible(part: Appliance | Daemon) -> list[Action]:
    """The actions that make sense now, the likeliest first."""
    if not part.enabled or part.state == "disabled":
        names = ["enable"]
    elif part.state in ("stopped", "absent"):
        names = ["start", "disable"]
    else:
        names = ["restart", "stop", "disable"]
    return [ACTIONS[name] for name in names]


def is_vital(action: str, appliance: str) -> bool:
    """Whether this takes the reader's own way back away."""
    return action in ("stop", "disable") and appliance in VITAL


def place(part: Appliance, own: str) -> str:
    """A part as the trail above a page names it; that begins with the title of the panel, whose name is `own`."""
    return str(_("This panel")) if part.name == own else pick(part.title)


def as_typed(value: bool | int | str) -> str:
    """A value of a setting as a form has it."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


CERTIFICATES = {
    "own": lazy("signed by this server's own authority"),
    "brought": lazy("brought by people"),
    "acme": lazy("obtained by ACME, renewed by itself"),
}


def as_read(setting: Setting, value: bool | int | str) -> str:
    """A value of a setting as people read it."""
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if value == "":
        return str(_("nothing"))
    return pick(setting.choices.get(str(value), {})) or str(value)


def options(setting: Setting) -> list[tuple[str, str]]:
    """What a choice offers: value and label."""
    return [(value, pick(title)) for value, title in setting.choices.items()]


def takes(setting: Setting, others: Mapping[str, Setting], given: Mapping[str, str]) -> str:
    """What a setting takes, for the field that was filled in wrongly, beside the `others` of the form."""
    for key, value in setting.needs.items():
        if given.get(key) != as_typed(value):
            title, wanted = pick(others[key].title), _("yes") if value is True else _("no") if value is False else value
            return str(_("First: “%(title)s” — %(value)s.", title=title, value=wanted))
    if setting.kind == "int" and setting.minimum is not None and setting.maximum is not None:
        return str(_("A number from %(low)s to %(high)s.", low=setting.minimum, high=setting.maximum))
    if setting.kind == "int":
        return str(_("A whole number."))
    if setting.example is not None:
        return str(_("Something like %(example)s.", example=setting.example))
    return str(_("This does not fit here."))
