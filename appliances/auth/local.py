"""auth asks itself who somebody is, without going through the network."""

from __future__ import annotations

import hmac

from flask import has_request_context, request

from appliances.auth import accounts, tokens
from appliances.auth.store import Store
from appliances.common.authority import Issued, Person
from appliances.common.settings import Settings


class LocalAuthority:
    """The authority behind the API: accounts and tokens from the store, service tokens from the host's file."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def login(self, login: str, password: str, address: str, browser: str) -> Issued:
        return accounts.sign_in(self._store, login, password, address, browser)

    def logout(self, token: str) -> None:
        address = (request.remote_addr or "") if has_request_context() else ""
        tokens.end_session(self._store, token, address)

    def introspect(self, token: str) -> Person | None:
        return self._service(token) or tokens.holder(self._store, token)

    def _service(self, token: str) -> Person | None:
        # Read anew each time: the agent adds a line when an appliance is switched on.
        given = tokens.digest(token)
        for stored, service in self._settings.service_tokens().items():
            if hmac.compare_digest(stored, given):
                return Person(service.appliance, service.appliance, "service", scopes=frozenset(service.scopes))
        return None
