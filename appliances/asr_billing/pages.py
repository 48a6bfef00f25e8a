"""Operators' pages: the list with its search, a new subscriber, the card, changing it."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint, Response, flash, g, json, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from appliances.asr_billing import idempotency, subscriber_store
from appliances.asr_billing.cursor import DEFAULT_SORT, LARGEST_ID, SORTS, BadCursor, read_cursor
from appliances.asr_billing.database import Database, Transaction
from appliances.asr_billing.search import search_terms
from appliances.asr_billing.subscriber import KINDS, LONGEST, Details, Invalid, Subscriber, read_details, shown_phone
from appliances.common.auth import login_required
from appliances.common.failures import Problem
from appliances.common.i18n import gettext as _
from appliances.common.i18n import lazy

ROWS = 50
FORM_FIELDS = ("contract", "kind", "name", "phone", "email", "address", "comment")
KIND_NAMES = {"person": lazy("Person"), "company": lazy("Company")}
SORT_NAMES = {"name": lazy("By name"), "contract": lazy("By contract"), "created": lazy("Newest first")}


def blueprint(database: Database) -> Blueprint:
    """The routes, on one database."""
    routes = Blueprint("pages", __name__)
    routes.add_app_template_filter(shown_phone)

    @routes.context_processor
    def words() -> dict[str, Any]:
        return {"kind_names": KIND_NAMES, "sort_names": SORT_NAMES, "longest": LONGEST}

    @routes.get("/")
    @login_required
    def subscribers() -> ResponseReturnValue:
        query = " ".join(request.args.get("q", "").split())[:200]
        sort = request.args.get("sort", DEFAULT_SORT)
        if sort not in SORTS:
            return redirect(url_for(".subscribers", q=query or None))
        try:
            cursor = read_cursor(request.args["cursor"], sort) if "cursor" in request.args else None
        except BadCursor:
            return redirect(url_for(".subscribers", q=query or None, sort=sort))
        terms = search_terms(query)
        with database.transaction(read_only=True) as transaction:
            page = subscriber_store.page(transaction, terms=terms, sort=sort, cursor=cursor, limit=ROWS)
            total = subscriber_store.count(transaction)
        fragment = "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers
        template = "subscribers_table.html" if fragment else "subscribers.html"
        text = render_template(template, page=page, total=total, query=query, terms=terms, sort=sort)
        return Response(text, headers={"Vary": "HX-Request"})

    @routes.get("/subscribers/new")
    @login_required
    def new_subscriber() -> ResponseReturnValue:
        return _form({"kind": KINDS[0]}, {}, request_key=secrets.token_urlsafe(16))

    @routes.post("/subscribers/new")
    @login_required
    def create_subscriber() -> ResponseReturnValue:
        given = _given()
        key = request.form.get("request_key", "")
        if not idempotency.is_key(key):
            raise Problem(400, _("The request is not understood"), _("Go back, reload the page and send it again."))

        def work(transaction: Transaction) -> idempotency.Answer:
            created = subscriber_store.create(transaction, read_details(given), g.person.login)
            return idempotency.Answer(201, json.dumps({"id": created.id}))

        sent = idempotency.fingerprint("POST", request.path, json.dumps(given, sort_keys=True).encode())
        try:
            done, _repeated = idempotency.once(database, f"form:{g.person.login}", key, sent, work)
        except Invalid as error:
            return _form(given, error.messages, request_key=key), 422
        except idempotency.KeyReused:
            # The browser went back to a form that was stored already, and something else was written into it.
            return _form(given, {}, request_key=secrets.token_urlsafe(16), stored_before=True), 409
        flash(_("The subscriber is stored."), "success")
        return redirect(url_for(".subscriber", id_=json.loads(done.text)["id"]), 303)

    @routes.get("/subscribers/<int:id_>")
    @login_required
    def subscriber(id_: int) -> ResponseReturnValue:
        return render_template("subscriber.html", subscriber=_found(database, id_))

    @routes.get("/subscribers/<int:id_>/edit")
    @login_required
    def edit_subscriber(id_: int) -> ResponseReturnValue:
        found = _found(database, id_)
        return _form(_texts(found.details), {}, subscriber=found, version=found.version)

    @routes.post("/subscribers/<int:id_>/edit")
    @login_required
    def change_subscriber(id_: int) -> ResponseReturnValue:
        before = _found(database, id_)
        given = _given()
        version = request.form.get("version", "")
        if not (version.isascii() and version.isdigit() and len(version) < 10):
            raise Problem(400, _("The request is not understood"), _("Go back, reload the page and send it again."))
        try:
            details = read_details(given)
            with database.transaction() as transaction:
                subscriber_store.change(transaction, id_, int(version), details, g.person.login)
        except Invalid as error:
            return _form(given, error.messages, subscriber=before, version=int(version)), 422
        except subscriber_store.OutOfDate as error:
            current = error.current
            mine = _texts(details)
            theirs = {field: text for field, text in _texts(current.details).items() if text != mine[field]}
            return _form(given, {}, subscriber=current, version=current.version, theirs=theirs), 409
        flash(_("The changes are stored."), "success")
        return redirect(url_for(".subscriber", id_=id_), 303)

    return routes


def _form(given: dict[str, str], messages: dict[str, Any], **more: Any) -> str:
    return render_template("subscriber_form.html", given=given, messages=messages, **more)


def _given() -> dict[str, str]:
    return {field: request.form.get(field, "") for field in FORM_FIELDS}


def _texts(details: Details) -> dict[str, str]:
    """What the form shows for stored details."""
    texts = {field: getattr(details, field) for field in FORM_FIELDS}
    return {**texts, "phone": shown_phone(details.phone)}


def _found(database: Database, id_: int) -> Subscriber:
    with database.transaction(read_only=True) as transaction:
        found = subscriber_store.find(transaction, id_) if id_ <= LARGEST_ID else None
    if found is None:
        raise Problem(404, _("There is no such subscriber"), _("No subscriber has the number %(id)s.", id=id_))
    return found
