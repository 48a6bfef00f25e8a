"""The journal of actions: who did what and when, as the agent wrote it down; filtered, page by page, and as a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from flask import Blueprint, Response, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue

from appliances.base.web import words
from appliances.base.web.agent import Agent, Appliance, Entry
from appliances.common.auth import roles_required
from appliances.common.i18n import gettext as _
from appliances.common.i18n import lazy, pick

READERS = frozenset({"administrator", "auditor"})
SIZE, AT_ONCE = 50, 500  # entries on a page; entries that one call of the agent gives for a table
LARGEST = 10**12  # no entry has this number
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would carry out
KINDS = {
    "power": lazy("Starts and stops"),
    "settings": lazy("Settings"),
    "plan": lazy("Plan"),
    "certificate": lazy("Certificate"),
    "host": lazy("Server"),
    "terminal": lazy("Terminals"),
    "alarms": lazy("Alarms"),
    "repair": lazy("Repairs by the agent"),
    "journal": lazy("The journal itself"),
    "other": lazy("Other"),
}
WHAT = {
    ("plan", "apply"): lazy("Bringing the plan into force"),
    ("plan", "in force"): lazy("A plan came into force"),
    ("plan", "restore"): lazy("An earlier plan was put into the file"),
    ("certificate", "install"): lazy("A certificate was brought"),
    ("certificate", "remove"): lazy("The brought certificate was removed"),
    ("certificate", "client issue"): lazy("A client certificate was issued"),
    ("certificate", "client revoke"): lazy("A client certificate was revoked"),
    ("certificate", "renew"): lazy("A certificate was asked for"),
    ("alarms", "test"): lazy("Test of the alarms"),
    ("repair", "converge"): lazy("Adjusting"),
    ("settings", "configure"): lazy("Change of settings"),
    ("host", "network on trial"): lazy("A change of the server's network was put on trial"),
    ("host", "network confirmed"): lazy("The change of the network was confirmed"),
    ("host", "network not confirmed"): lazy("The change of the network was not confirmed and is undone"),
    ("host", "network taken back"): lazy("The change of the network was taken back"),
    ("host", "network failed"): lazy("The change of the network could not be tried"),
    ("host", "person added"): lazy("Somebody may log in on the server"),
    ("host", "person keys"): lazy("Other SSH keys"),
    ("host", "person lock"): lazy("A login was locked"),
    ("host", "person unlock"): lazy("A login was unlocked"),
    ("host", "person remove"): lazy("A login was removed"),
    ("terminal", "terminal"): lazy("Terminal as root"),
    ("journal", "cut"): lazy("A line that was half written when the power went was removed"),
}
RESULTS = {"asked": ("quiet", lazy("asked for")), "done": ("good", lazy("done")), "failed": ("bad", lazy("failed"))}


def blueprint(agent: Agent) -> Blueprint:
    """The routes, on one agent."""
    routes = Blueprint("audit", __name__)

    @routes.get("/audit")
    @roles_required(*READERS)
    def page() -> ResponseReturnValue:
        wanted, wrong = _wanted()
        before = request.args.get("before", type=int)
        before = before if before is None or 0 < before < LARGEST else None
        appliances = agent.status().appliances
        found = agent.journal(wanted, before, SIZE) if not wrong else None
        return render_template(
            "base/audit.html",
            entries=found.entries if found else [],
            older=found.next if found else None,
            before=before,
            wanted=wanted,
            wrong=[request.args[name] for name in sorted(wrong)],
            given=request.args,
            kinds=KINDS,
            parts=[(one.name, pick(one.title)) for one in appliances],
            results=RESULTS,
            title_of=lambda entry: title(entry),
            part_of=lambda entry: part(entry, appliances),
            told=told,
        )

    @routes.get("/audit.csv")
    @roles_required(*READERS)
    def table() -> ResponseReturnValue:
        wanted, wrong = _wanted()
        if wrong:
            return page()
        first = agent.journal(wanted, None, AT_ONCE)  # whether the agent answers shows before the first byte

        def rows() -> Iterator[str]:
            found = first
            head = (_("No."), _("When"), _("Who"), _("Kind"), _("Part"), _("What"), _("Result"), _("Details"))
            yield "\ufeff" + _line(head)  # by this mark spreadsheets know that it is UTF-8
            while True:
                for one in found.entries:
                    details = json.dumps(one.details, ensure_ascii=False) if one.details else ""
                    at = one.at.astimezone(UTC).isoformat(timespec="seconds")
                    result = str(RESULTS[one.result][1])
                    kind = KINDS.get(one.kind, one.kind)
                    yield _line((one.number, at, one.who, kind, one.part, title(one), result, details))
                if found.next is None:
                    return
                found = agent.journal(wanted, found.next, AT_ONCE)

        name = f"asrbox-journal-{datetime.now(UTC):%Y-%m-%d}.csv"
        answer = Response(stream_with_context(rows()), content_type="text/csv; charset=utf-8")
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    return routes


def title(entry: Entry) -> str:
    """What was done, in words."""
    if entry.kind == "power" and entry.what in words.ACTIONS:
        return str(words.ACTIONS[entry.what].button)
    return str(WHAT.get((entry.kind, entry.what), entry.what))


def part(entry: Entry, appliances: list[Appliance]) -> str:
    """The part that it was done to, as people call it."""
    if not entry.part:
        return str(_("the server"))
    names = []
    for target in entry.part.split(", "):
        name, _dot, daemon_name = target.partition(".")
        appliance = next((one for one in appliances if one.name == name), None)
        daemon = appliance.daemon(daemon_name) if appliance else None
        names.append((pick(appliance.title) if appliance else name) + (f" → {pick(daemon.title)}" if daemon else ""))
    return ", ".join(names)


def told(value: Any) -> str:
    """A value of a setting in words."""
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    return str(_("nothing")) if value in ("", None) else str(value)


def _wanted() -> tuple[dict[str, str], set[str]]:
    """What the page is asked for, and which of that is no day."""
    given = {name: request.args.get(name, "").strip() for name in ("who", "kind", "part", "since", "until")}
    wanted = {name: text for name, text in given.items() if text}
    if wanted.get("kind") not in KINDS:
        wanted.pop("kind", None)
    wrong = {name for name in ("since", "until") if name in wanted and not _is_day(wanted[name])}
    return wanted, wrong


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _line(cells: Iterable[object]) -> str:
    out = io.StringIO()
    texts = [str(cell) for cell in cells]
    csv.writer(out).writerow([f"'{text}" if text.startswith(FORMULA) else text for text in texts])
    return out.getvalue()
