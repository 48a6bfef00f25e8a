"""Client certificates for published ports that ask for one: issued, listed and revoked by this host itself.

A certificate authority of their own, beside the list of what it has issued. The keys are given out and not kept.
"""

from __future__ import annotations

import datetime
import json
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from appliances.base.agent import files
from appliances.base.agent.ca import CLOCK_SKEW, Authority
from appliances.base.agent.distribution import Distribution
from appliances.base.agent.errors import AgentError, UnknownName
from appliances.base.agent.paths import Paths

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
USUAL_DAYS = 365
MOST_DAYS = 1825
CRL_DAYS = 400  # nginx believes nobody once its list of revoked certificates is older than this
CRL_RENEWED = datetime.timedelta(days=30)

_LOCK = threading.Lock()  # the API's threads issue and revoke, the agent's own reads


class ClientCertificate(BaseModel):
    """One that was issued. Moments are UTC, ISO 8601; `serial` is in hexadecimal digits."""

    model_config = ConfigDict(extra="ignore")

    name: str
    serial: str
    issued_at: str
    ends_at: str
    author: str
    revoked_at: str | None = None


_LIST = TypeAdapter(list[ClientCertificate])


class Bundle(BaseModel):
    """What is given out: the certificate, its key and the authority, as PEM."""

    issued: ClientCertificate
    certificate: str
    key: str
    authority: str


class ClientCertificates:
    """The authority in `folder` and its list. `authority` opens that CA, made when it is first needed."""

    def __init__(self, folder: Path, authority: Callable[[], Authority]) -> None:
        self._folder = folder
        self._authority = authority

    def issue(self, name: str, days: int, author: str) -> Bundle:
        """A new certificate for `name`; those that it has already stay valid. Raises AgentError."""
        if not NAME.fullmatch(name):
            raise AgentError(
                f"{name!r} is no name for a client certificate",
                hint="letters a-z, digits, dots, dashes and underscores, beginning with a letter or digit",
            )
        if not 1 <= days <= MOST_DAYS:
            raise AgentError(f"a client certificate is valid for 1 to {MOST_DAYS} days, not {days}")
        with _LOCK:
            authority = self._authority()
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = authority.sign_client(key.public_key(), name, days)
            issued = ClientCertificate(
                name=name,
                serial=f"{certificate.serial_number:x}",
                issued_at=authority.now.isoformat(timespec="seconds"),
                ends_at=certificate.not_valid_after_utc.isoformat(),
                author=author,
            )
            self._write([*self._read(), issued])  # before it is given out: nothing is valid that cannot be revoked
        key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        return Bundle(
            issued=issued, certificate=pem.decode(), key=key_pem.decode(), authority=authority.pem.decode()
        )  # fmt: skip

    def listed(self) -> list[ClientCertificate]:
        """All that were issued, the newest first."""
        with _LOCK:
            return self._read()[::-1]

    def revoke(self, name: str) -> list[ClientCertificate]:
        """Revoke all certificates of that name, or the one with that serial; returns those that were valid till now.

        Raises UnknownName when nothing was issued so, AgentError when all of it is revoked already.
        """
        with _LOCK:
            known = self._read()
            wanted = [one for one in known if name in (one.name, one.serial)]
            if not wanted:
                raise UnknownName(
                    f"no client certificate was issued for {name!r}", hint="see: asrctl client-certificate"
                )
            revoked = [one for one in wanted if one.revoked_at is None]
            if not revoked:
                raise AgentError(f"{name} is revoked already", hint="see: asrctl client-certificate")
            now = self._authority().now.isoformat(timespec="seconds")
            for one in revoked:
                one.revoked_at = now
            self._write(known)
            return revoked

    def for_the_entry(self) -> dict[str, bytes]:
        """The files that nginx needs: clients.crt, the authority; clients.crl, what it has revoked."""
        with _LOCK:
            authority = self._authority()
            return {"clients.crt": authority.pem, "clients.crl": self._crl(authority)}

    def _crl(self, authority: Authority) -> bytes:
        """The list of revoked certificates; a new one when it is out of date, so that the entry rarely reloads."""
        path = self._folder / "revoked.crl"
        revoked = {
            int(one.serial, 16): datetime.datetime.fromisoformat(one.revoked_at)
            for one in self._read()
            if one.revoked_at is not None and datetime.datetime.fromisoformat(one.ends_at) > authority.now
        }
        try:
            pem = path.read_bytes()
            held = x509.load_pem_x509_crl(pem)
            made = held.last_update_utc + CLOCK_SKEW
            young = made <= authority.now + CLOCK_SKEW and authority.now - made < CRL_RENEWED
            if (
                young
                and held.is_signature_valid(authority.public_key)
                and {one.serial_number for one in held} == set(revoked)
            ):
                return pem
        except (OSError, ValueError):
            pass
        pem = authority.sign_revoked(revoked, CRL_DAYS)
        files.write(path, pem, mode=0o600)
        return pem

    def _read(self) -> list[ClientCertificate]:
        path = self._folder / "issued.json"
        try:
            return _LIST.validate_json(path.read_bytes())
        except FileNotFoundError:
            return []
        except ValidationError as error:
            raise AgentError(
                f"{path} is damaged: {error.errors()[0]['msg']}", hint="restore it from a backup"
            ) from error

    def _write(self, issued: list[ClientCertificate]) -> None:
        files.folder(self._folder, mode=0o700)
        files.write(
            self._folder / "issued.json",
            json.dumps([one.model_dump() for one in issued], indent=1) + "\n",
            mode=0o600,
        )


def of_host(paths: Paths, shipped: Distribution) -> ClientCertificates:
    """Those of this host; their CA is made when it is first needed."""

    def authority() -> Authority:
        title = f"{shipped.title['en']} clients of {socket.gethostname()}"
        released = datetime.date.fromisoformat(shipped.released)
        files.folder(paths.ca, mode=0o700)
        return Authority(paths.client_authority, title, released, datetime.datetime.now(datetime.UTC))

    return ClientCertificates(paths.client_authority, authority)
