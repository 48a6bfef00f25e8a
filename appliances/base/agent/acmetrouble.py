"""What goes wrong between us and an ACME authority, as a sentence that says what to do."""

from __future__ import annotations

import datetime
import email.utils
import re
from urllib.parse import urlsplit

import requests
from acme import errors, messages

from appliances.base.agent.acme import Wanted
from appliances.base.agent.errors import AgentError

LONGEST = 300  # characters of what an authority says
NAMES_HINT = "see the names: asrctl config base acme_names"
WAY_HINT = (
    "the name has to lead to this host from the Internet, and port 80 has to be open there; "
    "see what the authority sees: curl http://{name}/.well-known/acme-challenge/x"
)
CHALLENGE = ("connection", "dns", "unauthorized", "incorrectResponse", "tls", "unknownHost")
HINTS = {
    "rejectedIdentifier": NAMES_HINT,
    "unsupportedIdentifier": NAMES_HINT,
    "malformed": "see what was asked for: asrctl operations",
    "caa": "name this authority in the CAA record of the domain",
    "dnssec": "mend the DNSSEC of the domain",
    "invalidContact": "see the address: asrctl config base acme_mail",
    "unsupportedContact": "see the address: asrctl config base acme_mail",
    "invalidEmail": "see the address: asrctl config base acme_mail",
    "rateLimited": "too much was asked for in a short time: it is asked again by itself when the authority allows it",
    "serverInternal": "nothing can be done here: it is asked again by itself",
    "externalAccountRequired": "choose another authority: asrctl config base acme_directory URL",
}
AGAIN = "it is asked again by itself"


class Trouble(AgentError):
    """Why there is no certificate. `wish`: seconds that the authority wants to be left alone."""

    def __init__(self, message: str, *, hint: str, wish: float | None = None) -> None:
        super().__init__(message, step="certificate by ACME", hint=hint)
        self.wish = wish


def told(error: Exception, what: Wanted, wish: float | None) -> Trouble:
    """The Trouble for what the library or the network raised."""
    host = urlsplit(what.directory).netloc
    if isinstance(error, errors.ValidationError):
        return _refused_proof(error, wish)
    if isinstance(error, errors.IssuanceError):
        error = error.error
    if isinstance(error, messages.Error):
        return _problem(error, host, wish)
    if isinstance(error, requests.exceptions.SSLError):
        hint = "see that the clock is right, and that this host trusts who signed it (/etc/ssl/certs)"
        return Trouble(f"the certificate of {host} is not believed", hint=hint)
    if isinstance(error, (requests.ConnectionError, requests.Timeout)):
        return Trouble(f"{host} does not answer", hint=f"see the way out of this host: curl {what.directory}; {AGAIN}")
    if isinstance(error, errors.NonceError):
        return Trouble(f"{host} does not answer as an authority has to", hint=AGAIN, wish=wish)
    if isinstance(error, errors.ClientError) and wish is not None:
        return Trouble(f"{host} is busy", hint=AGAIN, wish=wish)
    hint = "see the address: asrctl config base acme_directory"
    return Trouble(f"{what.directory} does not answer as the directory of an ACME authority", hint=hint, wish=wish)


def seconds(header: str | None) -> float | None:
    """Retry-After (RFC 9110, section 10.2.3): seconds, or a date; None when it says nothing sensible."""
    if header is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}\s*", header):
        return float(header)
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return max(0.0, (moment - datetime.datetime.now(datetime.UTC)).total_seconds())


def _refused_proof(error: errors.ValidationError, wish: float | None) -> Trouble:
    """The authority has looked, and did not find what we have put there."""
    proof = error.failed_authzrs[0]
    name = proof.body.identifier.value
    said = next((one.error for one in proof.body.challenges if one.error is not None), None)
    if said is None:
        return Trouble(f"the authority gave {name} up", hint=WAY_HINT.format(name=name), wish=wish)
    hint = WAY_HINT.format(name=name) if said.code in CHALLENGE else HINTS.get(said.code or "", AGAIN)
    return Trouble(f"the authority did not find this host under {name}: {_said(said)}", hint=hint, wish=wish)


def _problem(error: messages.Error, host: str, wish: float | None) -> Trouble:
    inner = [one for one in error.subproblems or () if one.identifier is not None]
    about = f" for {', '.join(one.identifier.value for one in inner if one.identifier)}" if inner else ""
    hint = HINTS.get(error.code or "", AGAIN)
    return Trouble(f"{host} refuses{about}: {_said(inner[0] if inner else error)}", hint=hint, wish=wish)


def _said(error: messages.Error) -> str:
    """The authority's own words, in one line."""
    text = error.detail or error.title or error.description or str(error.typ)
    return re.sub(r"[\x00-\x20\x7f]+", " ", text).strip()[:LONGEST].rstrip(".")
