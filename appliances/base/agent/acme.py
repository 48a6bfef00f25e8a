"""When a certificate is asked for by ACME (RFC 8555), and what is remembered of it. Nothing here talks to anybody.

Who talks to the authority is acmeclient.py; who does both at the right time is certificates.py.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from appliances.base.agent import files
from appliances.base.agent.errors import AgentError
from appliances.base.agent.outsidecert import Shown
from appliances.base.agent.settings import Value

OWNER = "acme_names"  # the appliance that declares this setting is the one whose settings count
ORDER, TOKENS = "order.json", "challenges"  # in the folder of ACME
RENEW_AT = 3  # renewed when less than the third part of its life is left
LATE_AT = 4  # when less than the fourth part is left, renewing has failed for long
INTERRUPTED = datetime.timedelta(seconds=30)  # until what a kill interrupted goes on; doubles each time
FIRST_PAUSE = datetime.timedelta(minutes=15)  # after a failure; doubles. Let's Encrypt takes five wrong ones an hour
LONGEST_PAUSE = datetime.timedelta(hours=12)
LONGEST_WISH = datetime.timedelta(days=8)  # what an authority may ask for; Let's Encrypt counts by the week


@dataclass(frozen=True)
class Wanted:
    """A certificate for these DNS names of the authority at `directory`; `mail` may be empty."""

    names: tuple[str, ...]
    mail: str
    directory: str


@dataclass(frozen=True)
class Record:
    """How it goes with these names at that authority. Moments are UTC.

    `failures` counts attempts in a row, `error` is the sentence of the last one and `failed_at` its moment; nothing is
    tried before `next_at`, and nobody may have it tried before `paused_until`, which the authority has asked for.
    """

    names: tuple[str, ...]
    directory: str
    failures: int = 0
    error: str | None = None
    failed_at: datetime.datetime | None = None
    next_at: datetime.datetime | None = None
    paused_until: datetime.datetime | None = None


def wanted(settings: Mapping[str, Value]) -> Wanted | None:
    """What the settings ask for; None: nothing."""
    names = tuple(dict.fromkeys(re.findall(r"[^\s,]+", str(settings.get(OWNER, "")).lower())))
    if not names or not settings["acme_terms_agreed"]:
        return None
    return Wanted(names, str(settings["acme_mail"]), str(settings["acme_directory"]))


def fits(shown: Shown | None, what: Wanted) -> bool:
    """Whether a certificate is what is wanted. It may be for more names: those go when it is renewed."""
    return shown is not None and shown.directory == what.directory and set(what.names) <= set(shown.names)


def due(what: Wanted, record: Record, shown: Shown | None, now: datetime.datetime) -> datetime.datetime:
    """When to try next; a moment that is not after `now` means: now.

    A pause that is longer than any that is ever made comes from a clock that was wrong, and does not count.
    """
    moment = now
    if shown is not None and fits(shown, what):
        moment = shown.ends - (shown.ends - shown.begins) / RENEW_AT
    if record.next_at is not None and record.next_at - now <= LONGEST_WISH:
        moment = max(moment, record.next_at)
    return moment


def paused(record: Record, now: datetime.datetime) -> bool:
    """Whether the authority has asked not to be asked yet."""
    return record.paused_until is not None and now < record.paused_until <= now + LONGEST_WISH


def begun(record: Record, now: datetime.datetime) -> Record:
    """What is on the disk during an attempt: so one that kills the agent each time is not repeated without a pause."""
    pause = min(INTERRUPTED * 2 ** min(record.failures, 20), LONGEST_PAUSE)
    return replace(record, failures=record.failures + 1, next_at=now + pause)


def failed(record: Record, sentence: str, wish: float | None, now: datetime.datetime) -> Record:
    """After an attempt, which `begun` has counted. `wish`: seconds that the authority wants to be left alone."""
    pause = min(FIRST_PAUSE * 2 ** min(record.failures - 1, 20), LONGEST_PAUSE)
    until = None if wish is None else now + min(datetime.timedelta(seconds=min(wish, 1e9)), LONGEST_WISH)
    later = now + pause if until is None else max(now + pause, until)
    return replace(record, error=sentence, failed_at=now, next_at=later, paused_until=until)


def succeeded(record: Record) -> Record:
    return Record(record.names, record.directory)


def of(what: Wanted, before: Record | None) -> Record:
    """The record to go on with: other names or another authority have no failures yet."""
    if before is None or before.directory != what.directory:
        return Record(what.names, what.directory)
    if before.names != what.names:
        return Record(what.names, what.directory, paused_until=before.paused_until, next_at=before.paused_until)
    return before


def late(shown: Shown, now: datetime.datetime) -> bool:
    """Whether it should have been renewed long ago."""
    return shown.ends - now < (shown.ends - shown.begins) / LATE_AT


def read(path: Path) -> Record | None:
    """What is remembered; None when there is nothing, or nothing that can be read."""
    try:
        found = json.loads(path.read_text())
        for key in ("failed_at", "next_at", "paused_until"):
            found[key] = _moment(found[key])
        return Record(tuple(found.pop("names")), **found)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(path: Path, record: Record) -> None:
    plain = {key: _plain(value) for key, value in asdict(record).items()}
    files.write_json(path, plain, mode=0o600)


def show(tokens: Path, token: str, proof: str) -> None:
    """Put a proof where the authority fetches it. Raises AgentError for a token that would name another file."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,200}", token):
        raise AgentError(f"the authority gave a token that is none: {token[:50]!r}")
    files.write(files.folder(tokens) / token, proof)


def clear(tokens: Path) -> None:
    """Take all proofs away; nothing else is in that folder."""
    for path in tokens.glob("*"):
        path.unlink(missing_ok=True)


def tidy(folder: Path) -> None:
    """What a killed agent has left: proofs, and files that were half written."""
    clear(folder / TOKENS)
    for path in [*folder.glob(".*"), *folder.glob("*/.*")]:
        path.unlink(missing_ok=True)


def forget_order(folder: Path) -> None:
    """An order that was begun (acmeclient.py) is done with."""
    (folder / ORDER).unlink(missing_ok=True)


def _moment(text: str | None) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text)


def _plain(value: object) -> object:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime.datetime) else value
