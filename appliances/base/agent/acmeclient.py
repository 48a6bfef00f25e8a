"""One attempt to get a certificate from an authority by ACME (RFC 8555): account, order, http-01, certificate.

Only certificates.py imports it, when there is something to ask for: the library behind it needs memory. Everything that
would be lost with a killed agent is on the disk before the authority hears of it: the account's key, so that there is
never a second account, and an order with its key, so that what was paid for with a rate limit is fetched later.
"""

from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import requests
from acme import challenges, client, crypto_util, errors, messages
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.errors import Error as JosepyError
from josepy.jwk import JWK, JWKEC

from appliances.base.agent import acme, acmetrouble, files
from appliances.base.agent.acme import Wanted
from appliances.base.agent.acmenetwork import Network

PATIENCE = 300.0  # seconds for one attempt
LOOK = 1.0  # seconds between looks at what the authority does, unless it asks for more
LONGEST_LOOK = 15.0  # seconds
LIBRARY = (errors.Error, JosepyError)  # what the library raises
BAD = (messages.STATUS_INVALID, messages.STATUS_DEACTIVATED, messages.STATUS_REVOKED, messages.STATUS_UNKNOWN)


@dataclass(frozen=True)
class Kept:
    """An order that was begun: `key` is the PEM of the certificate to be, `uri` where the authority has the order."""

    names: list[str]
    directory: str
    key: str
    uri: str = ""


class Attempt:
    """One attempt. `folder` keeps account and order, `tokens` is served to the authority, `say` hears each step."""

    def __init__(self, what: Wanted, folder: Path, tokens: Path, say: Callable[[str], None]) -> None:
        self._what = what
        self._say = say
        self._tokens = tokens
        self._folder = folder
        self._order_file = folder / acme.ORDER
        name = hashlib.sha256(what.directory.encode()).hexdigest()[:16]
        self._account_file = files.folder(folder / "accounts", mode=0o700) / f"{name}.json"
        self._deadline = time.monotonic() + PATIENCE

    def obtain(self) -> tuple[str, str]:
        """Chain and key, both PEM. Raises acmetrouble.Trouble, an AgentError with what to do, for all that goes wrong.

        The order stays remembered: `acme.forget_order` is for when the certificate is kept.
        """
        refuse_homeless(self._what.names)
        account = self._kept_account()
        network = Network(cast(JWK, JWK.from_json(account["key"])))
        try:
            return self._obtain(network, account)
        except (*LIBRARY, requests.RequestException, AttributeError, LookupError, TypeError, ValueError) as error:
            raise acmetrouble.told(error, self._what, network.wish) from error
        finally:
            acme.clear(self._tokens)
            network.session.close()

    def _obtain(self, network: Network, account: dict[str, Any]) -> tuple[str, str]:
        self._say(f"asking {self._what.directory} for {', '.join(self._what.names)}")
        directory = client.ClientV2.get_directory(self._what.directory, network)
        authority = client.ClientV2(directory, network)
        if not account["uri"] and authority.external_account_required():
            raise acmetrouble.Trouble(
                "the authority takes only accounts that it has given out itself (external account binding)",
                hint="choose another: asrctl config base acme_directory URL",
            )
        for again in (False, True):
            self._log_in(authority, account)
            try:
                kept, order = self._order(authority)
                break
            except messages.Error as error:
                if again or error.code != "accountDoesNotExist":
                    raise
                self._say("the authority does not know our account any more: registering it anew")
                account["uri"] = ""
                network.account = None
        self._prove(authority, order)
        return self._fetch(authority, order, kept), kept.key

    # account --------------------------------------------------------------------------------------------------

    def _kept_account(self) -> dict[str, Any]:
        """The account's key and address; a key that nobody knows yet is on the disk before it is used."""
        try:
            found: dict[str, Any] = json.loads(self._account_file.read_text())
            JWK.from_json(found["key"])
            if {"uri", "mail"} <= found.keys():
                return found
        except (OSError, ValueError, LookupError, TypeError, AttributeError, JosepyError):
            pass
        key = JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
        account = {"directory": self._what.directory, "key": key.to_json(), "uri": "", "mail": ""}
        self._keep_account(account)
        return account

    def _keep_account(self, account: dict[str, Any]) -> None:
        files.write_json(self._account_file, account, mode=0o600)

    def _log_in(self, authority: client.ClientV2, account: dict[str, Any]) -> None:
        """Register the key, or find the account that it has; tell the authority of another mail address."""
        mail = self._what.mail
        if not account["uri"]:
            self._say("registering an account with the authority")
            new = messages.NewRegistration.from_data(email=mail or None, terms_of_service_agreed=True)
            try:
                account["uri"] = authority.new_account(new).uri
                account["mail"] = mail
            except errors.ConflictError as known:  # we were killed before we could note it down
                account["uri"], account["mail"] = known.location, None
            self._keep_account(account)
        here = messages.RegistrationResource(uri=account["uri"], body=messages.Registration())
        authority.net.account = here
        if account["mail"] != mail:
            contact = (f"mailto:{mail}",) if mail else ()
            authority.update_registration(here, messages.Registration(contact=contact))
            authority.net.account = here
            account["mail"] = mail
            self._keep_account(account)

    # order ----------------------------------------------------------------------------------------------------

    def _order(self, authority: client.ClientV2) -> tuple[Kept, messages.OrderResource]:
        """The order that was begun, when it is still good; else a new one."""
        kept = self._kept_order()
        if kept is not None and kept.uri:
            try:
                order = self._read_order(authority, kept)
            except LIBRARY as error:
                if isinstance(error, messages.Error) and error.code in ("accountDoesNotExist", "rateLimited"):
                    raise
            else:
                proofs = [one.body.status for one in order.authorizations]
                if order.body.status not in BAD and not any(status in BAD for status in proofs):
                    self._say("going on with the order that was begun")
                    return kept, order
            self._say("the order that was begun is no longer good")
        key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        kept = Kept(list(self._what.names), self._what.directory, key.decode())
        self._say("placing an order")
        order = authority.new_order(_request(kept))
        kept = replace(kept, uri=order.uri)
        files.write_json(self._order_file, asdict(kept), mode=0o600)
        return kept, order

    def _kept_order(self) -> Kept | None:
        try:
            kept = Kept(**json.loads(self._order_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return kept if (tuple(kept.names), kept.directory) == (self._what.names, self._what.directory) else None

    def _read_order(self, authority: client.ClientV2, kept: Kept) -> messages.OrderResource:
        body = messages.Order.from_json(_read(authority, kept.uri).json())
        blank = messages.Authorization()
        waiting = [messages.AuthorizationResource(uri=url, body=blank) for url in body.authorizations]
        proofs = [authority.poll(one)[0] for one in waiting]
        return messages.OrderResource(body=body, uri=kept.uri, authorizations=proofs, csr_pem=_request(kept))

    # proving that the names are ours -----------------------------------------------------------------------------

    def _prove(self, authority: client.ClientV2, order: messages.OrderResource) -> None:
        """Show the authority for each name that what it fetches from there is ours (RFC 8555, section 8.3)."""
        waiting = [one for one in order.authorizations if one.body.status == messages.STATUS_PENDING]
        for one in waiting:
            name = one.body.identifier.value
            way = next((way for way in one.body.challenges if isinstance(way.chall, challenges.HTTP01)), None)
            if way is None:
                raise acmetrouble.Trouble(
                    f"the authority does not want to fetch a proof for {name} over HTTP",
                    hint="asrbox knows no other way: take the name out of acme_names, or choose another authority",
                )
            response, proof = way.response_and_validation(authority.net.key)
            acme.show(self._tokens, way.chall.encode("token"), proof)
            if way.status == messages.STATUS_PENDING:
                self._say(f"the authority looks whether {name} leads here")
                authority.answer_challenge(way, response)
        for one in waiting:
            self._await_proof(authority, one)

    def _await_proof(self, authority: client.ClientV2, one: messages.AuthorizationResource) -> None:
        while True:
            one, answer = authority.poll(one)
            if one.body.status == messages.STATUS_VALID:
                self._say(f"{one.body.identifier.value} leads here")
                return
            if one.body.status != messages.STATUS_PENDING:
                acme.forget_order(self._folder)
                raise errors.ValidationError([one])
            self._pause(answer, f"did not say whether {one.body.identifier.value} leads here")

    # certificate ----------------------------------------------------------------------------------------------

    def _fetch(self, authority: client.ClientV2, order: messages.OrderResource, kept: Kept) -> str:
        asked = False
        while True:
            answer = _read(authority, order.uri)
            body = messages.Order.from_json(answer.json())
            if body.status == messages.STATUS_VALID and body.certificate:
                self._say("fetching the certificate")
                return str(_read(authority, body.certificate).text)
            if body.status in BAD:
                acme.forget_order(self._folder)
                if body.error is not None:
                    raise errors.IssuanceError(body.error)
                raise acmetrouble.Trouble("the authority refused the order and did not say why", hint=acmetrouble.AGAIN)
            if body.status == messages.STATUS_READY and not asked:
                self._say("the authority signs the certificate")
                authority.begin_finalization(order.update(body=body))
                asked = True
                continue
            self._pause(answer, "gave no certificate")

    def _pause(self, answer: requests.Response, what: str) -> None:
        """Wait a little, as the authority wishes; not beyond the end of the attempt."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise acmetrouble.Trouble(
                f"the authority {what} within {PATIENCE:.0f} s",
                hint="nothing is lost: the next attempt goes on with the same order",
            )
        wish = acmetrouble.seconds(answer.headers.get("Retry-After")) or LOOK
        time.sleep(min(max(wish, LOOK), LONGEST_LOOK, left))


def refuse_homeless(names: Iterable[str]) -> None:
    """Authorities count what they looked for in vain. Raises Trouble for a name that leads nowhere at all."""
    for name in names:
        try:
            socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
                raise acmetrouble.Trouble(
                    f"no name server told where {name} leads: the authority was not asked",
                    hint=f"see how this host looks names up: getent hosts {name}; {acmetrouble.AGAIN}",
                ) from error
            raise acmetrouble.Trouble(
                f"{name} has no address: the authority was not asked",
                hint="give the name an A or AAAA record that leads to this host, or take it out of acme_names",
            ) from error


def _request(kept: Kept) -> bytes:
    """What is to be signed (PEM)."""
    return crypto_util.make_csr(kept.key.encode(), kept.names)


def _read(authority: client.ClientV2, url: str) -> requests.Response:
    """POST-as-GET (RFC 8555, section 6.3)."""
    return authority.net.post(url, None, new_nonce_url=authority.directory["newNonce"])
