"""Calls of an ACME authority: the library's, with this host's trust, more patience, and an eye on pauses."""

from __future__ import annotations

import ssl
from typing import Any

import requests
from acme import client, messages
from josepy.jwa import ES256
from josepy.jwk import JWK

from appliances.base.agent.acmetrouble import seconds

TIMEOUT = 30  # seconds for one answer
TRIES = 5  # of a call whose nonce is refused; the library makes two of each


class Network(client.ClientNetwork):
    """Signs with the key of an account (EC P-256).

    `wish` is how many seconds the authority asked to be left alone with its last answer; the library has it no more
    when it raises what the answer says.
    """

    def __init__(self, key: JWK) -> None:
        super().__init__(key, alg=ES256, user_agent="asrbox", timeout=TIMEOUT)
        self.wish: float | None = None
        # Whoever this host trusts, with what the administrator has added, rather than the list in a wheel.
        places = ssl.get_default_verify_paths()
        self.verify_ssl = places.cafile or places.capath or True  # type: ignore[assignment]  # a path is good too
        self.session.hooks["response"].append(self._listen)

    def post(self, *arguments: Any, **more: Any) -> requests.Response:
        """POST. Authorities forget nonces, and say so: that is no failure (RFC 8555, section 6.5)."""
        for tried in range(TRIES):
            try:
                return super().post(*arguments, **more)
            except messages.Error as error:
                if error.code != "badNonce" or tried == TRIES - 1:
                    raise
        raise AssertionError("the loop above returns or raises")

    def _listen(self, answer: requests.Response, *_: object, **__: object) -> None:
        self.wish = seconds(answer.headers.get("Retry-After")) if not answer.ok else None
