"""What the billing does without its Firebird, when that is killed, and what is kept."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading

import requests

from tests.services.billing import READ, ROOT, WRITE, Billing, Browser
from tests.services.billing_database import ADDRESS, database
from tests.services.firebird import PORT, FirebirdServer


def test_the_web_daemon_waits_for_firebird_and_finds_it_again(billing: Billing, firebird: FirebirdServer) -> None:
    # given no Firebird at all
    billing.start()
    status, check = billing.check("firebird")
    assert (status, check["ok"]) == (503, False)
    assert f"Firebird at {ADDRESS}:{PORT} does not answer" in check["detail"]
    refused = billing.api("GET", "/subscribers")
    assert (refused.status_code, refused.json()["title"]) == (503, "The database does not answer")
    assert "The database does not answer" in Browser(billing).get("/").text

    # when it appears, everything works, migrations included
    firebird.start()
    billing.wait_for_health()
    assert re.fullmatch(r"Firebird 4\.\S+, schema version \d+", billing.check("firebird")[1]["detail"])
    billing.create("1", "Иванов")

    # and when it is restarted, the next request works
    firebird.stop()
    assert billing.get("/healthz").status_code == 503
    firebird.start()
    assert billing.names("") == ["Иванов"]


def test_what_was_answered_survives_kill_9_of_firebird(running: Billing, firebird: FirebirdServer) -> None:
    # given writers that note what they were told
    stored: list[str] = []
    stop = threading.Event()
    token = running.token(READ, WRITE)

    def write(writer: int) -> None:
        session = requests.Session()
        session.trust_env = False
        session.verify = running.session.verify
        number = 0
        while not stop.is_set():
            number += 1
            contract = f"{writer}-{number}"
            response = session.post(
                f"{running.url}/api/v1/subscribers",
                json={"contract": contract, "name": "Иванов Иван", "kind": "person", "phone": "89123456789"},
                headers={"Authorization": f"Bearer {token}"},
                timeout=30,
            )
            assert response.status_code in (201, 503), response.text
            if response.status_code == 201:
                stored.append(contract)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    for thread in threads:
        thread.start()
    for kill in (30, 60):
        running.wait_for(lambda many=kill: len(stored) >= many, "the writers do not get on")
        firebird.stop(signal.SIGKILL)
        firebird.start()
    running.wait_for(lambda: len(stored) >= 90, "the writers do not get on after the kill")
    stop.set()
    for thread in threads:
        thread.join()

    # then each of them is there, whole, and no index points nowhere
    running.wait_for_health()
    with database().transaction(read_only=True) as transaction:
        there = {row["contract"] for row in transaction.rows("select contract from subscriber")}
        halves = transaction.rows(
            "select s.id from subscriber s where not exists "
            "(select 1 from subscriber_word w where w.subscriber_id = s.id and w.word = '6789.')"
        )
    assert set(stored) <= there
    assert halves == []
    firebird.stop()
    report = firebird.run("/bin/sh", "-c", "setpriv --reuid=firebird --regid=firebird --clear-groups "
                          '"$FIREBIRD_PROGRAMS/gfix" -user SYSDBA -validate -full billing')  # fmt: skip
    # Careful writes may leave a page that nobody points to (lost space until a restore), and bits by which a pointer
    # page remembers how full a data page was, never a broken page, record or index: gfix counts each kind that it
    # finds, errors apart from warnings (Firebird's src/jrd/validation.cpp).
    found = set(re.findall(r"Number of (.+?)\s*: \d+", report.stdout + report.stderr))
    assert (report.returncode, found - {"database page warnings", "pointer page warnings"}) == (0, set())


STOPPED = """
import os, signal, sys, time
from appliances.asr_billing.database import Database, load_client
obeyed = []
signal.signal(signal.SIGTERM, lambda *_: obeyed.append("obeyed"))
load_client()
base = Database(sys.argv[1], 3050, password=lambda: "correct horse", prepare=lambda base: None)
with base.raw_transaction() as transaction:
    transaction.rows("select 1 as one from rdb$database")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)
    transaction.rows("select 1 as one from rdb$database")
print(*obeyed)
"""


def test_firebirds_client_library_does_not_take_the_stop_signal(firebird: FirebirdServer) -> None:
    # otherwise gunicorn could not end a request in peace, or the process would hang
    firebird.start()
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, ADDRESS], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "obeyed\n", "")


def test_a_wrong_password_is_told_by_healthz(running: Billing, firebird: FirebirdServer) -> None:
    running.stop()
    firebird.write_secrets(**{"billing-password": "another"})
    running.start()
    status, check = running.check("firebird")
    assert status == 503
    assert check == {
        "ok": False,
        "detail": f"Firebird at {ADDRESS}:{PORT} refuses the user BILLING: the secret billing-password is not the one "
        "that Firebird was started with; restart asrbox-firebird.service",
    }
    (firebird.configuration / "secrets" / "billing-password").unlink()
    assert "the password of the database user BILLING is missing" in running.check("firebird")[1]["detail"]
