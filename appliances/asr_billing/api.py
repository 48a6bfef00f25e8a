"""The API of the billing: /api/v1/subscribers. Bearer tokens, problem+json, cursors, Idempotency-Key."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, json, request, url_for

from appliances.asr_billing import idempotency, subscriber_store
from appliances.asr_billing.cursor import DEFAULT_SORT, LARGEST_ID, SORTS, BadCursor, read_cursor
from appliances.asr_billing.database import Database, Transaction
from appliances.asr_billing.search import search_terms
from appliances.asr_billing.subscriber import CONTRACT_TAKEN, Invalid, Message, Subscriber, read_details
from appliances.common.auth import token_required
from appliances.common.failures import Problem
from appliances.common.i18n import gettext as _
from appliances.common.i18n import lazy

DEFAULT_LIMIT = 50
HIGHEST_LIMIT = 200
FIELDS = ("contract", "name", "kind", "phone", "email", "address", "comment")


def blueprint(database: Database) -> Blueprint:
    """The routes, on one database."""
    routes = Blueprint("api", __name__, url_prefix="/api/v1")

    @routes.get("/subscribers")
    @token_required("subscribers:read")
    def list_subscribers() -> Response:
        sort = _one_of("sort", SORTS, DEFAULT_SORT)
        text = request.args.get("cursor")
        try:
            cursor = read_cursor(text, sort) if text else None
        except BadCursor as error:
            raise _bad_parameter(
                "cursor", _("Take it from “next” or “previous” of an answer in the same order.")
            ) from error
        limit = _limit()
        with database.transaction(read_only=True) as transaction:
            page = subscriber_store.page(
                transaction, terms=search_terms(request.args.get("q", "")), sort=sort, cursor=cursor, limit=limit
            )
        return _json(
            {
                "subscribers": [document(one) for one in page.subscribers],
                "next": str(page.after) if page.after else None,
                "previous": str(page.before) if page.before else None,
            }
        )

    @routes.get("/subscribers/<int:id_>")
    @token_required("subscribers:read")
    def one_subscriber(id_: int) -> Response:
        with database.transaction(read_only=True) as transaction:
            found = subscriber_store.find(transaction, id_) if id_ <= LARGEST_ID else None
        if found is None:
            raise Problem(404, _("There is no such subscriber"), _("No subscriber has the number %(id)s.", id=id_))
        answer = _json(document(found))
        answer.set_etag(str(found.version))
        return answer

    @routes.post("/subscribers")
    @token_required("subscribers:write")
    def create_subscriber() -> Response:
        given = _object()
        key = request.headers.get("Idempotency-Key")
        if key is not None and not idempotency.is_key(key):
            raise _bad_parameter("Idempotency-Key", _("1 to 255 printable ASCII characters."))

        def work(transaction: Transaction) -> idempotency.Answer:
            created = subscriber_store.create(transaction, _details(given), g.person.login)
            return idempotency.Answer(201, json.dumps(document(created), ensure_ascii=False))

        try:
            if key is None:
                with database.transaction() as transaction:
                    done, repeated = work(transaction), False
            else:
                sent = idempotency.fingerprint("POST", request.path, request.get_data())
                done, repeated = idempotency.once(database, f"api:{g.person.login}", key, sent, work)
        except Invalid as error:
            raise _refusal(error) from error
        except idempotency.KeyReused as error:
            raise Problem(
                422, _("This Idempotency-Key was used for another request"), _("Use a new key for a new request.")
            ) from error
        answer = Response(done.text, done.status, content_type="application/json")
        created = json.loads(done.text)
        answer.headers["Location"] = url_for("api.one_subscriber", id_=created["id"])
        answer.set_etag(str(created["version"]))
        if repeated:
            answer.headers["Idempotent-Replayed"] = "true"
        return answer

    return routes


def document(subscriber: Subscriber) -> dict[str, Any]:
    """A subscriber as the API shows it; moments are ISO 8601 in UTC."""
    return {
        "id": subscriber.id,
        **{field: getattr(subscriber.details, field) for field in FIELDS},
        "version": subscriber.version,
        "created_at": subscriber.created_at.isoformat() + "Z",
        "created_by": subscriber.created_by,
        "changed_at": subscriber.changed_at.isoformat() + "Z",
        "changed_by": subscriber.changed_by,
    }


def _details(given: dict[str, Any]) -> Any:
    unknown = {field: Message(lazy("There is no such field.")) for field in given if field not in FIELDS}
    try:
        details = read_details(given)
    except Invalid as error:
        raise Invalid({**error.messages, **unknown}) from error
    if unknown:
        raise Invalid(unknown)
    return details


def _refusal(error: Invalid) -> Problem:
    texts = {field: str(message) for field, message in error.messages.items()}
    if error.messages == {"contract": CONTRACT_TAKEN}:
        return Problem(409, _("The contract number is taken"), texts["contract"], errors=texts)
    return Problem(422, _("The subscriber cannot be stored like this"), _("See “errors” for each field."), errors=texts)


def _object() -> dict[str, Any]:
    if not request.is_json:
        raise Problem(415, _("JSON is expected"), _("Send it with “Content-Type: application/json”."))
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        raise Problem(400, _("The request is not understood"), _("The body must be a JSON object."))
    return given


def _limit() -> int:
    text = request.args.get("limit", str(DEFAULT_LIMIT))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= HIGHEST_LIMIT:
        raise _bad_parameter("limit", _("A number from 1 to %(highest)s.", highest=HIGHEST_LIMIT))
    return int(text)


def _one_of(name: str, allowed: tuple[str, ...], default: str) -> str:
    value = request.args.get(name, default)
    if value not in allowed:
        raise _bad_parameter(name, _("One of: %(allowed)s.", allowed=", ".join(allowed)))
    return value


def _bad_parameter(name: str, detail: str) -> Problem:
    return Problem(400, _("The parameter %(name)s is wrong", name=name), detail)


def _json(value: Any) -> Response:
    return Response(json.dumps(value, ensure_ascii=False), content_type="application/json")
