"""The billing on a real Firebird 4 of the built tree: the daemon's setup, migrations, search, faults, recovery."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from appliances.asr_billing import subscriber_store
from appliances.asr_billing.database import Database, Unavailable
from appliances.asr_billing.migrations import Migration, MigrationError, migrate, read_migrations, schema_version
from tests.services.billing import READ, ROOT, WRITE, Billing
from tests.services.firebird import PORT, FirebirdServer, own_address

ADDRESS = own_address()


@pytest.fixture(scope="session")
def firebird_tree(built: Any) -> Path:
    """Root file system of asr_billing as the build makes it."""
    tree: Path = built.appliance_tree("asr_billing")
    return tree


@pytest.fixture
def firebird(firebird_tree: Path, tmp_path: Path) -> Iterator[FirebirdServer]:
    """A Firebird with an empty volume, not started."""
    server = FirebirdServer(firebird_tree, tmp_path, ADDRESS)
    yield server
    server.stop(signal.SIGKILL)  # nobody looks at it any more


@pytest.fixture
def billing(firebird: FirebirdServer) -> Iterator[Billing]:
    """The web daemon's stand on that Firebird, neither of them started."""
    stand = Billing(firebird)
    yield stand
    stand.close()


@pytest.fixture
def running(firebird: FirebirdServer, billing: Billing) -> Billing:
    """Both started."""
    firebird.start()
    billing.start()
    billing.wait_for_health()
    return billing


def database(prepare: Any = migrate, password: str = "correct horse") -> Database:
    return Database(ADDRESS, PORT, password=lambda: password, prepare=prepare, size=2)


# --- the daemon -------------------------------------------------------------------------------------------------------


def test_the_image_holds_no_password_and_no_security_database(firebird_tree: Path) -> None:
    left = [
        str(path.relative_to(firebird_tree))
        for folder in ("etc/firebird", "var/lib/firebird")
        for path in (firebird_tree / folder).rglob("*")
        if path.name == "SYSDBA.password" or path.suffix == ".fdb"
    ]
    assert left == []
    assert (firebird_tree / "etc/systemd/system/firebird4.0.service").readlink() == Path("/dev/null")


def test_setup_makes_a_durable_database_and_can_be_run_again(firebird: FirebirdServer) -> None:
    # given the fresh volume, which belongs to root
    assert firebird.database.parent.stat().st_uid == 0

    first = firebird.setup()
    assert (first.returncode, first.stdout) == (0, "created /var/lib/asrbox/database/billing.fdb\n")
    answer = firebird.isql(
        "billing",
        "set list on; select mon$forced_writes, mon$page_size, "
        "(select trim(rdb$character_set_name) from rdb$database) as charset from mon$database;",
    )
    assert re.findall(r"(\S+)\s+(\S+)", answer) == [
        ("MON$FORCED_WRITES", "1"), ("MON$PAGE_SIZE", "16384"), ("CHARSET", "UTF8"),
    ]  # fmt: skip

    # when it runs again, what is in the database stays
    firebird.isql("billing", "create table kept (a integer); commit; insert into kept values (7); commit;")
    second = firebird.setup()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert "7" in firebird.isql("billing", "set list on; select a from kept;")
    assert sorted(path.name for path in firebird.database.parent.iterdir()) == ["billing.fdb"]


def test_a_power_cut_during_setup_leaves_nothing_that_disturbs_the_next(firebird: FirebirdServer) -> None:
    # given halves of both files, as a cut leaves them
    (firebird.state / "security" / "security4.fdb.new").write_bytes(b"half")
    (firebird.state / "database" / "billing.fdb.new").write_bytes(b"half")

    firebird.start()

    with database().transaction() as transaction:
        assert subscriber_store.count(transaction) == 0


def test_setup_says_what_is_missing(firebird: FirebirdServer) -> None:
    (firebird.configuration / "secrets" / "sysdba-password").unlink()
    done = firebird.setup()
    assert done.returncode == 1
    assert done.stderr == (
        "firebird_setup: cannot read /etc/asrbox/secrets/sysdba-password: No such file or directory; "
        "the host's agent renders it\n"
    )
    assert not firebird.database.exists()


def test_firebird_listens_on_its_own_address_only_and_encrypts(firebird: FirebirdServer) -> None:
    firebird.start()
    assert firebird.listening() == {ADDRESS}
    with database().raw_transaction() as transaction:
        row = transaction.row(
            "select mon$wire_encrypted as wire, trim(mon$auth_method) as method "
            "from mon$attachments where mon$attachment_id = current_connection"
        )
    assert row == {"wire": True, "method": "Srp256"}


@pytest.mark.parametrize("alias", ["/var/lib/asrbox/database/billing.fdb", "security.db", "/tmp/x.fdb", "billing.new"])
def test_nothing_but_the_billing_database_can_be_reached(firebird: FirebirdServer, alias: str) -> None:
    firebird.start()
    other = Database(
        ADDRESS, PORT, password=lambda: "master's key", prepare=migrate, size=1, alias=alias, user="SYSDBA"
    )
    with pytest.raises(Exception, match=r"not allowed by server configuration|no permission for remote access"):
        other.ready()


def test_a_changed_secret_holds_after_a_restart_of_the_daemon(firebird: FirebirdServer) -> None:
    firebird.start()
    database().ready()
    firebird.write_secrets(**{"billing-password": "new ' secret"})
    firebird.stop()
    firebird.start()
    database(password="new ' secret").ready()
    with pytest.raises(Unavailable, match="refuses the user BILLING: the secret billing-password is not the one"):
        database(password="correct horse").ready()


# --- migrations -------------------------------------------------------------------------------------------------------

TABLE = Migration(1, "table", "a" * 64, (("create table t (n integer)",), ("insert into t values (1)",)))
MORE = Migration(2, "more", "b" * 64, (("alter table t add m integer", "create index t_n on t (n)"),))
BROKEN = Migration(2, "more", "b" * 64, (("alter table t add m integer", "create index t_k on t (k)"),))


def values(base: Database) -> list[dict[str, Any]]:
    with base.raw_transaction(read_only=True) as transaction:
        return transaction.rows("select n from t")


def test_migrations_run_once_from_nothing_and_on_what_is_there(firebird: FirebirdServer) -> None:
    firebird.start()
    base = database()
    assert migrate(base, [TABLE]) == 1
    assert migrate(base, [TABLE]) == 1
    assert migrate(base, [TABLE, MORE]) == 2
    assert (schema_version(base), values(base)) == (2, [{"n": 1}])


def test_the_shipped_migrations_run_twice(firebird: FirebirdServer) -> None:
    firebird.start()
    for _ in range(2):
        base = database()
        base.ready()
        assert schema_version(base) == len(read_migrations())


def test_a_failed_migration_leaves_nothing_and_runs_when_mended(firebird: FirebirdServer) -> None:
    firebird.start()
    base = database()
    with pytest.raises(
        MigrationError, match=r"migrations/0002_more.sql: .*T_K failed.*; in: create index t_k on t \(k\)"
    ):
        migrate(base, [TABLE, BROKEN])
    assert schema_version(base) == 1
    assert migrate(base, [TABLE, MORE]) == 2  # the column of the failed one was rolled back, else this would clash


def test_a_migration_killed_between_its_parts_continues(firebird: FirebirdServer) -> None:
    # given: the server dies when the second part has done its work and not committed
    firebird.start()
    killed = Migration(1, "table", "a" * 64, TABLE.parts)

    class Dying(tuple):  # type: ignore[type-arg]
        def __iter__(self) -> Iterator[str]:
            yield "insert into t values (1)"
            firebird.stop(signal.SIGKILL)

    with pytest.raises(Unavailable):
        migrate(database(), [Migration(1, killed.name, killed.sha256, (killed.parts[0], Dying()))])

    # when it starts again
    firebird.start()
    base = database()
    assert schema_version(base) == 0  # begun, not complete
    assert values(base) == []
    assert migrate(base, [killed]) == 1
    assert values(base) == [{"n": 1}]


def test_processes_that_migrate_at_the_same_time_do_it_once(firebird: FirebirdServer) -> None:
    firebird.start()
    bases = [database() for _ in range(3)]
    failures: list[Exception] = []

    def work(base: Database) -> None:
        try:
            migrate(base, [TABLE, MORE])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(base,)) for base in bases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert values(bases[0]) == [{"n": 1}]


def test_a_changed_migration_and_a_newer_database_are_refused(firebird: FirebirdServer) -> None:
    firebird.start()
    base = database()
    migrate(base, [TABLE, MORE])
    with pytest.raises(MigrationError, match="0001_table.sql was changed after the database had run it"):
        migrate(base, [Migration(1, "table", "c" * 64, TABLE.parts), MORE])
    with pytest.raises(MigrationError, match="the database has schema version 2, this program knows 1"):
        migrate(base, [TABLE])


# --- subscribers by the API -------------------------------------------------------------------------------------------


def test_create_find_and_search_in_both_alphabets(running: Billing) -> None:
    created = running.create("2026-0042", "Семёнов Пётр", phone="8 (912) 345-67-89", address="ул. Ленина, 5")
    running.create("A-7", "Smith John", email="john@example.org")
    running.create("7", "ООО «Ёлка»", address="пр. Мира, 51")

    assert created["phone"] == "+79123456789"
    assert (created["version"], created["created_by"]) == (1, "olga")
    read = running.api("GET", f"/subscribers/{created['id']}")
    assert read.json() == created
    assert read.headers["ETag"] == '"1"'

    found = {
        "семенов": ["Семёнов Пётр"], "СЕМЁН": ["Семёнов Пётр"], "пет сем": ["Семёнов Пётр"],
        "SMITH": ["Smith John"], "john@ex": ["Smith John"], "a-7": ["Smith John"], "елка": ["ООО «Ёлка»"],
        "6789": ["Семёнов Пётр"], "+7 912 345": ["Семёнов Пётр"], "8912": ["Семёнов Пётр"],
        "ленина 5": ["Семёнов Пётр"], "5": ["Семёнов Пётр"], "51": ["ООО «Ёлка»"], "2026-0042": ["Семёнов Пётр"],
        "никого": [], "": ["Smith John", "ООО «Ёлка»", "Семёнов Пётр"],
    }  # fmt: skip
    assert {query: running.names(query) for query in found} == found


def test_pages_cover_the_list_in_both_directions(running: Billing) -> None:
    names = [f"Абонент {letter}" for letter in "аБвГдЕж"]
    for number, name in enumerate(names):
        running.create(f"{9 - number}", name)
    running.create("55", "абонент а")  # equal to the first for the collation: the id decides

    def page(**parameters: str | int) -> dict[str, Any]:
        answer: dict[str, Any] = running.api("GET", "/subscribers", params={"limit": 3, **parameters}).json()
        return answer

    for sort in ("name", "contract", "created"):
        whole = [one["id"] for one in page(sort=sort, limit=200)["subscribers"]]
        assert len(whole) == 8
        pages = [page(sort=sort)]
        while pages[-1]["next"]:
            pages.append(page(sort=sort, cursor=pages[-1]["next"]))
        assert [one["id"] for part in pages for one in part["subscribers"]] == whole
        assert [len(part["subscribers"]) for part in pages] == [3, 3, 2]
        back = page(sort=sort, cursor=pages[2]["previous"])
        assert back["subscribers"] == pages[1]["subscribers"]
        first = page(sort=sort, cursor=back["previous"])
        assert first["subscribers"] == pages[0]["subscribers"]
        assert (pages[0]["previous"], first["previous"]) == (None, None)

    found = page(q="абонент")
    assert len(found["subscribers"]) == 3
    assert len(page(q="абонент", cursor=found["next"], limit=200)["subscribers"]) == 5


def test_a_contract_number_belongs_to_one_subscriber(running: Billing) -> None:
    running.create("А-12", "Первый")
    second = running.api("POST", "/subscribers", json={"contract": "а-12", "name": "Второй", "kind": "person"})
    assert (second.status_code, second.headers["Content-Type"]) == (409, "application/problem+json")
    assert second.json()["errors"] == {"contract": "This contract number belongs to another subscriber."}
    russian = running.api(
        "POST", "/subscribers", json={"contract": "а-12", "name": "Второй", "kind": "person"},
        headers={"Accept-Language": "ru"},
    )  # fmt: skip
    assert russian.json()["errors"] == {"contract": "Этот номер договора уже у другого абонента."}


def test_wrong_requests_are_told_what_is_wrong(running: Billing) -> None:
    def refusal(method: str, path: str, **options: Any) -> tuple[int, Any]:
        response = running.api(method, path, **options)
        assert response.headers["Content-Type"] == "application/problem+json"
        body = response.json()
        return response.status_code, body.get("errors") or body["detail"]

    wrong = {"contract": "", "name": "x" * 201, "kind": "person", "balance": 5}
    assert refusal("POST", "/subscribers", json=wrong) == (
        422,
        {
            "contract": "Give the number of the contract.",
            "name": "At most 200 characters.",
            "balance": "There is no such field.",
        },
    )
    assert refusal("POST", "/subscribers", json=[1]) == (400, "The body must be a JSON object.")
    assert refusal("POST", "/subscribers", data="{", headers={"Content-Type": "application/json"})[0] == 400
    assert refusal("POST", "/subscribers", data="a=b")[0] == 415
    assert refusal("GET", "/subscribers?limit=0") == (400, "A number from 1 to 200.")
    assert refusal("GET", "/subscribers?sort=balance") == (400, "One of: name, contract, created.")
    assert refusal("GET", "/subscribers?cursor=x")[0] == 400
    assert refusal("GET", "/subscribers/5")[0] == 404
    assert refusal("GET", f"/subscribers/{2**70}")[0] == 404
    assert refusal("GET", "/subscribers", token="unknown")[0] == 401
    assert refusal("POST", "/subscribers", token=running.token(READ), json={}) == (403, f"Missing: {WRITE}")


def test_a_repeated_request_is_done_once_even_after_a_restart_of_everything(
    running: Billing, firebird: FirebirdServer
) -> None:
    def send(key: str, name: str = "Иванов") -> requests.Response:
        body = {"contract": "1", "name": name, "kind": "person"}
        return running.api("POST", "/subscribers", json=body, headers={"Idempotency-Key": key})

    first = send("key-1")
    assert first.status_code == 201
    assert "Idempotent-Replayed" not in first.headers

    running.stop()
    firebird.stop(signal.SIGKILL)
    firebird.start()
    running.start()
    running.wait_for_health()

    again = send("key-1")
    assert (again.status_code, again.text) == (201, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.headers["Location"], again.headers["ETag"]) == (first.headers["Location"], first.headers["ETag"])
    assert send("key-1", name="Петров").status_code == 422
    assert send("key-2").status_code == 409  # another key is another wish: the contract is taken
    assert running.names("") == ["Иванов"]


def test_twins_sent_at_the_same_time_make_one_subscriber(running: Billing) -> None:
    answers: list[requests.Response] = []
    token = running.token(READ, WRITE)

    def send() -> None:
        answers.append(
            requests.post(
                f"{running.url}/api/v1/subscribers",
                json={"contract": "1", "name": "Иванов", "kind": "person"},
                headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "twin"},
                verify=str(running.configuration / "tls/ca.crt"),
                proxies={"https": ""},
                timeout=30,
            )
        )

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(answer.status_code, answer.json().get("id")) for answer in answers} == {(201, answers[0].json()["id"])}
    assert running.names("") == ["Иванов"]


# --- the pages --------------------------------------------------------------------------------------------------------


class Browser:
    """A browser without JavaScript: a session, and forms with the hidden fields of their page."""

    def __init__(self, billing: Billing) -> None:
        self.billing = billing
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = billing.session.verify
        self.session.headers["Accept-Language"] = "en"
        page = self.get("/login")
        self.send("/login", page, login="olga", password="secret")

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.billing.url + path, timeout=15)

    def send(self, path: str, page: requests.Response, **fields: str) -> requests.Response:
        """Send the form of `page` with `fields`."""
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        return self.session.post(self.billing.url + path, data={**hidden, **fields}, timeout=15)


PERSON = {"contract": "2026-1", "kind": "person", "name": "Семёнов Пётр"}


def test_an_operator_creates_and_changes_a_subscriber(running: Billing) -> None:
    browser = Browser(running)
    assert "No subscribers yet" in browser.get("/").text

    form = browser.get("/subscribers/new")
    wrong = browser.send("/subscribers/new", form, **{**PERSON, "name": "", "comment": "kept <text>"})
    assert wrong.status_code == 422
    assert "Give the name: of a person, or of a company." in wrong.text
    assert "kept &lt;text&gt;" in wrong.text
    card = browser.send("/subscribers/new", wrong, **PERSON)
    assert card.status_code == 200
    assert "Семёнов Пётр" in card.text
    assert "The subscriber is stored." in card.text

    again = browser.send("/subscribers/new", wrong, **PERSON)  # a second click
    assert again.url == card.url
    assert "1 subscriber" in browser.get("/").text

    path = card.url.removeprefix(running.url) + "/edit"
    changed = browser.send(path, browser.get(path), **{**PERSON, "name": "Семёнова Анна"})
    assert "Семёнова Анна" in changed.text
    assert running.names("пётр") == []
    assert running.names("анна") == ["Семёнова Анна"]


def test_the_second_of_two_operators_is_told_and_loses_nothing(running: Billing) -> None:
    number = running.create("1", "Иванов", phone="+79120000000")["id"]
    path = f"/subscribers/{number}/edit"
    anna, boris = Browser(running), Browser(running)
    form_of_anna, form_of_boris = anna.get(path), boris.get(path)

    anna.send(path, form_of_anna, contract="1", kind="person", name="Иванов А.", phone="+7 913 000-00-00")
    refused = boris.send(path, form_of_boris, contract="1", kind="person", name="Иванов Б.", phone="+7 912 000-00-00")

    assert refused.status_code == 409
    assert "changed this subscriber while you were writing" in refused.text
    assert "Name: Иванов А." in refused.text  # what is stored now
    assert 'value="Иванов Б."' in refused.text  # what Boris wrote is still in the form
    assert running.names("") == ["Иванов А."]
    boris.send(path, refused, contract="1", kind="person", name="Иванов Б.", phone="+7 912 000-00-00")
    assert running.names("") == ["Иванов Б."]


def test_the_list_works_without_javascript_and_as_a_fragment(running: Billing) -> None:
    running.create("1", "Иванов")
    running.create("2", "<script>alert(1)</script>")
    browser = Browser(running)
    page = browser.get("/?q=ива").text
    assert "<html" in page
    assert "Иванов" in page
    assert "alert" not in page
    assert "&lt;script&gt;alert(1)" in browser.get("/").text
    fragment = browser.session.get(f"{running.url}/?q=ива", headers={"HX-Request": "true"}, timeout=15).text
    assert fragment.lstrip().startswith('<div id="subscribers">')
    assert "<html" not in fragment
    assert "Nothing found" in browser.get("/?q=никого").text
    assert browser.get("/?sort=balance&q=ива").url.endswith("/?q=%D0%B8%D0%B2%D0%B0")
    assert browser.get("/subscribers/99").status_code == 404


def test_nobody_gets_in_without_signing_in(running: Billing) -> None:
    number = running.create("1", "Иванов")["id"]
    for path in ("/", "/subscribers/new", f"/subscribers/{number}", f"/subscribers/{number}/edit"):
        answer = running.get(path, allow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/login?next=")


# --- faults -----------------------------------------------------------------------------------------------------------


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
    # Careful writes may leave a page that nobody points to (a page warning: lost space until a restore), never a broken
    # page, record or index: gfix counts each kind that it finds.
    found = set(re.findall(r"Number of (.+?)\s*: \d+", report.stdout + report.stderr))
    assert (report.returncode, found - {"database page warnings"}) == (0, set())


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
