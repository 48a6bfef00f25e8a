"""Subscribers on a real Firebird 4: the API with its search, and the pages for operators."""

from __future__ import annotations

import signal
import threading
from typing import Any

import requests

from tests.services.billing import READ, WRITE, Billing, Browser
from tests.services.firebird import FirebirdServer

# --- by the API -------------------------------------------------------------------------------------------------------


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
