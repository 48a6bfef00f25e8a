"""Which certificate browsers see, and how it gets there: the own CA's, one that people bring, one obtained by ACME.

A thread of its own does what ACME needs, since an authority takes its time. It keeps nothing that a killed agent would
lose: what to do next follows from the settings, the certificate that is shown, and the record of the attempts.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from appliances.base.agent import acme, files, outsidecert
from appliances.base.agent.errors import AgentError
from appliances.base.agent.operations import AGENT, Operation, Operations, Order
from appliances.base.agent.outsidecert import Shown
from appliances.base.agent.paths import Paths
from appliances.base.agent.settings import Value

ACTION, TARGET = "renew", "certificate"  # of the operations here
LOOK = 60.0  # seconds between looks whether something is due
KEPT = "certificate.pem"  # the newest that ACME has given, as it is shown
HOPELESS = 3  # failures in a row after which an order that was begun is not gone on with
AGAIN = "it is asked again by itself"
OFF = "switch ACME off first: asrctl config base acme_names --default"
ON = "name what to ask a certificate for: asrctl config base acme_names NAME"
BROUGHT = "a certificate that was brought is shown: to use ACME, remove it first (asrctl certificate remove)"


class Obtain(Protocol):
    """One attempt at an authority: chain and key, both PEM (acmeclient.py). Raises AgentError."""

    def __call__(
        self, what: acme.Wanted, folder: Path, tokens: Path, say: Callable[[str], None]
    ) -> tuple[str, str]: ...


def ask_authority(what: acme.Wanted, folder: Path, tokens: Path, say: Callable[[str], None]) -> tuple[str, str]:
    """acmeclient, imported here: most hosts never need it, and the library behind it wants memory."""
    from appliances.base.agent import acmeclient

    return acmeclient.Attempt(what, folder, tokens, say).obtain()


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Certificates:
    """The certificate of the published pages. `settings` are those of the appliance that declares ACME's; `changed` is
    called when another certificate has to go to the containers; `note` writes into the journal.
    """

    def __init__(
        self,
        paths: Paths,
        operations: Operations,
        settings: Callable[[], Mapping[str, Value]],
        changed: Callable[[], None],
        note: Callable[[str], None],
        *,
        clock: Callable[[], datetime.datetime] = now,
        obtain: Obtain = ask_authority,
    ) -> None:
        self._paths = paths
        self._record = paths.acme_record
        self._operations = operations
        self._settings = settings
        self._changed = changed
        self._note = note
        self._clock = clock
        self._obtain = obtain
        self._lock = threading.RLock()  # for what is shown, and for the order to ask now
        self._news = threading.Event()
        self._asked: Operation | None = None

    def start(self) -> None:
        threading.Thread(target=self._run, name="certificates", daemon=True).start()

    def nudge(self) -> None:
        """The settings may have changed: do not wait for the next look."""
        self._news.set()

    # what the API asks ----------------------------------------------------------------------------------------

    def read(self) -> dict[str, Any]:
        """Which way is in force, for what, since when and until when; and how it goes with ACME, when that is on."""
        shown = outsidecert.shown(self._paths.outside_certificate)
        wanted = acme.wanted(self._settings())
        about = {"acme": None if wanted is None else self._told(wanted, shown)}
        if shown is None:
            begins, ends = (_text(one) for one in outsidecert.period(self._paths.ca / "ca.crt"))
            return {"own": True, "way": "own", "names": [], "issuer": None, "since": begins, "ends": ends, **about}
        return {
            "own": False,
            "way": shown.way,
            "names": list(shown.names),
            "issuer": shown.issuer,
            "since": shown.since.isoformat(),
            "ends": shown.ends.isoformat(),
            **about,
        }

    def bring(self, chain: str, key: str) -> None:
        """Show browsers this one. Raises AgentError for one that would not work, and while ACME is on."""
        if wanted := acme.wanted(self._settings()):
            raise AgentError(f"ACME looks after the certificate for {', '.join(wanted.names)}", hint=OFF)
        with self._lock:
            outsidecert.install(self._paths.outside_certificate, chain, key, self._clock())
        self._changed()

    def drop(self) -> None:
        """Back to the certificates of the host's own CA. Raises AgentError while ACME is on."""
        if wanted := acme.wanted(self._settings()):
            shown = outsidecert.shown(self._paths.outside_certificate)
            if shown is None or shown.way == "acme":
                raise AgentError(f"ACME looks after the certificate for {', '.join(wanted.names)}", hint=OFF)
        with self._lock:
            self._paths.outside_certificate.unlink(missing_ok=True)
        self._changed()
        self.nudge()

    def refuse(self, settings: Mapping[str, Value]) -> None:
        """Raises AgentError when these settings switch ACME on beside a certificate that was brought."""
        if acme.wanted(settings) and self._brought():
            raise AgentError(BROUGHT)

    def renew(self, author: str) -> Operation:
        """Take the order to ask the authority now. Raises AgentError when that cannot be."""
        wanted = acme.wanted(self._settings())
        if wanted is None:
            raise AgentError("ACME is off", hint=ON)
        if self._brought():
            raise AgentError(BROUGHT)
        record = acme.of(wanted, acme.read(self._record))
        if record.paused_until and acme.paused(record, self._clock()):
            until = f"{record.paused_until:%Y-%m-%d %H:%M} UTC"
            raise AgentError(f"the authority wants to be left alone until {until}", hint="it is asked then by itself")
        with self._lock:
            if self._asked is None:
                self._asked = self._begin(wanted, author)
            self.nudge()
            return self._asked

    # the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        acme.tidy(self._paths.acme)
        while True:
            self._news.wait(LOOK)
            self._news.clear()
            try:
                self.look()
            except AgentError as error:
                self._note(f"the certificate of the pages: {error.sentence()}")
            except Exception as error:  # noqa: BLE001  whatever goes wrong must not end the thread
                self._note(f"the certificate of the pages: {type(error).__name__}: {error}")

    def look(self) -> None:
        """Do what is due now. What fails is in the operation and in the record. Raises AgentError, OSError."""
        wanted = acme.wanted(self._settings())
        if wanted is None:
            self._give_up()
            return
        if self._brought():
            self._end_asked(BROUGHT)
            return
        before = acme.read(self._record)
        record = acme.of(wanted, before)
        if self._show_kept(wanted):
            record = acme.succeeded(record)
            acme.forget_order(self._paths.acme)
        shown = outsidecert.shown(self._paths.outside_certificate)
        moment = self._clock()
        if self._asked is None and acme.due(wanted, record, shown, moment) > moment:
            if record != before:
                acme.write(self._record, record)
            return
        self._ask(wanted, record)

    def _ask(self, wanted: acme.Wanted, record: acme.Record) -> None:
        with self._lock:
            operation = self._asked = self._asked or self._begin(wanted, AGENT)

        def say(text: str) -> None:
            self._note(text)
            self._operations.say(operation, text)

        record = acme.begun(record, self._clock())
        try:
            files.folder(self._paths.acme, mode=0o711)
            files.folder(self._paths.challenges)
            acme.write(self._record, record)
            chain, key = self._obtain(wanted, self._paths.acme, self._paths.challenges, say)
            shown = self._install(wanted, chain, key)
            acme.forget_order(self._paths.acme)
            acme.write(self._record, acme.succeeded(record))
            say(f"the certificate for {', '.join(shown.names)} is valid until {shown.ends:%Y-%m-%d}")
        except AgentError as error:
            self._fail(record, error.sentence(), getattr(error, "wish", None), say)
        except Exception as error:  # noqa: BLE001  a full disk, or a fault of ours: told, and tried again as any other
            self._fail(record, f"{type(error).__name__}: {error}", None, say)
        else:
            self._end_asked(None)

    def _fail(self, record: acme.Record, sentence: str, wish: float | None, say: Callable[[str], None]) -> None:
        failed = acme.failed(record, sentence, wish, self._clock())
        if failed.failures >= HOPELESS:
            acme.forget_order(self._paths.acme)
        try:
            acme.write(self._record, failed)
            say(f"the next attempt is after {failed.next_at:%Y-%m-%d %H:%M} UTC")
        finally:  # a full disk takes neither
            self._end_asked(sentence)

    def _install(self, wanted: acme.Wanted, chain: str, key: str) -> Shown:
        """Check what the authority gave, keep it, show it."""
        kept = self._paths.acme / KEPT
        try:
            shown = outsidecert.install(kept, chain, key, self._clock(), wanted.directory)
        except AgentError as error:
            raise AgentError(f"what the authority gave would not work: {error.message}", hint=AGAIN) from error
        if not acme.fits(shown, wanted):
            raise AgentError(f"the authority gave a certificate for {', '.join(shown.names)} only", hint=AGAIN)
        self._show_kept(wanted, fresh=True)
        if outsidecert.shown(self._paths.outside_certificate) != shown:
            raise AgentError("the settings were changed meanwhile: the certificate is kept, but not shown")
        return shown

    def _show_kept(self, wanted: acme.Wanted, *, fresh: bool = False) -> bool:
        """Show the certificate that was kept, when it is what is wanted and newer than what is shown; whether it was.

        A `fresh` one is newer, whatever the clock said when the one before it came.
        """
        kept = self._paths.acme / KEPT
        with self._lock:
            if acme.wanted(self._settings()) != wanted or self._brought():
                return False
            found, shown = outsidecert.shown(kept), outsidecert.shown(self._paths.outside_certificate)
            if found is None or not acme.fits(found, wanted) or found == shown:
                return False
            newer = fresh or shown is None or not acme.fits(shown, wanted) or found.since > shown.since
            if not newer or self._clock() >= found.ends:
                return False
            files.folder(self._paths.ca, mode=0o700)
            files.write(self._paths.outside_certificate, kept.read_bytes(), mode=0o600)
        self._changed()
        return True

    def _give_up(self) -> None:
        """ACME is off: nothing of it is shown any more. Account and certificate stay, for when it comes back."""
        self._end_asked("ACME was switched off")
        self._record.unlink(missing_ok=True)
        with self._lock:
            shown = outsidecert.shown(self._paths.outside_certificate)
            if shown is None or shown.way != "acme":
                return
            self._paths.outside_certificate.unlink()
        self._note("ACME is off: browsers see certificates of this host's own CA again")
        self._changed()

    def _begin(self, wanted: acme.Wanted, author: str) -> Operation:
        arguments = {"names": list(wanted.names), "directory": wanted.directory}
        return self._operations.begin(Order(ACTION, TARGET, author, arguments))

    def _end_asked(self, error: str | None) -> None:
        with self._lock:
            operation, self._asked = self._asked, None
        if operation is not None and error is None:
            self._operations.finish(operation)
        elif operation is not None:
            self._operations.fail(operation, error or "")

    # what is known --------------------------------------------------------------------------------------------

    def _brought(self) -> bool:
        shown = outsidecert.shown(self._paths.outside_certificate)
        return shown is not None and shown.way == "brought"

    def _told(self, wanted: acme.Wanted, shown: Shown | None) -> dict[str, Any]:
        record, moment = acme.of(wanted, acme.read(self._record)), self._clock()
        running, brought = self._asked, shown is not None and shown.way == "brought"
        return {
            "names": list(wanted.names),
            "directory": wanted.directory,
            "failures": 0 if running else record.failures,
            "error": BROUGHT if brought else record.error,
            "failed_at": _text(record.failed_at),
            "next_at": None if running or brought else _text(max(moment, acme.due(wanted, record, shown, moment))),
            "operation": running.id if running else None,
        }


def _text(moment: datetime.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
