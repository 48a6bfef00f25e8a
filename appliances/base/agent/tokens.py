"""Service tokens: with which an appliance calls an endpoint that it consumes, and how they are recognised."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from appliances.base.agent import files, secretstore
from appliances.base.agent.distribution import AGENT_ENDPOINT, Appliance, Distribution

INTROSPECTING = "web.auth"  # whoever calls it may ask whose a token is


@dataclass(frozen=True)
class ServiceToken:
    """A bearer token of one consumer for one endpoint."""

    appliance: str
    endpoint: str
    token: str

    @property
    def digest(self) -> str:
        return digest(self.token)


def digest(token: str) -> str:
    """SHA-256 of a token, in hex: all that a verifier ever stores."""
    return hashlib.sha256(token.encode()).hexdigest()


def ensure(folder: Path, appliance: Appliance) -> list[ServiceToken]:
    """The tokens of an appliance, one per consumed endpoint, made once."""
    own = files.folder(files.folder(folder, mode=0o700) / appliance.name, mode=0o700)
    return [ServiceToken(appliance.name, endpoint, secretstore.once(own / endpoint)) for endpoint in appliance.consumes]


def ensure_all(folder: Path, distribution: Distribution) -> list[ServiceToken]:
    """The tokens of all appliances. Raises OSError when the folder cannot be written."""
    files.folder(folder.parent, mode=0o700)
    return [token for appliance in distribution.appliances for token in ensure(folder, appliance)]


def known_to_auth(tokens: list[ServiceToken]) -> dict[str, dict[str, object]]:
    """service-tokens.json of auth: digest → who and for what. Tokens for the agent are the agent's business."""
    return {
        token.digest: {
            "appliance": token.appliance,
            "scopes": ["introspect"] if token.endpoint == INTROSPECTING else [token.endpoint],
        }
        for token in tokens
        if token.endpoint != AGENT_ENDPOINT
    }


class Verifier:
    """Recognises the bearer tokens with which appliances call the agent."""

    def __init__(self, tokens: list[ServiceToken]) -> None:
        self._callers = {token.digest: token.appliance for token in tokens if token.endpoint == AGENT_ENDPOINT}

    def caller(self, token: str) -> str | None:
        """The appliance that owns this token; None when nobody does."""
        offered = digest(token)
        found = None
        for known, appliance in self._callers.items():
            if hmac.compare_digest(known, offered):
                found = appliance
        return found
