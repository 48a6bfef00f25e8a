"""The certificate that browsers are shown, when people have brought their own: key and chain in one file."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from appliances.base.agent import files
from appliances.base.agent.errors import AgentError

HINT = "give the chain with the server's certificate first, and its key without a password, both as PEM"


@dataclass(frozen=True)
class Shown:
    """What is in force: DNS names and IP addresses it is for, who signed it, when it ends (UTC)."""

    names: tuple[str, ...]
    issuer: str
    ends: datetime.datetime


def install(path: Path, chain: str, key: str, now: datetime.datetime) -> Shown:
    """Check a chain and its key (PEM) and keep them in `path`, mode 0600, in one go. Raises AgentError."""
    certificates = _chain(chain)
    leaf = certificates[0]
    try:
        private = serialization.load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError) as error:
        raise _wrong("the key cannot be read") from error
    if private.public_key() != leaf.public_key():
        raise _wrong(f"the key is not that of {_common_name(leaf.subject)}")
    for signed, signer in pairwise(certificates):
        try:
            signed.verify_directly_issued_by(signer)
        except (ValueError, TypeError, InvalidSignature) as error:
            what = f"{_common_name(signed.subject)} is not signed by {_common_name(signer.subject)}"
            raise _wrong(f"the chain is broken: {what}") from error
    if not leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc:
        period = f"{leaf.not_valid_before_utc:%Y-%m-%d} to {leaf.not_valid_after_utc:%Y-%m-%d}"
        raise _wrong(f"the certificate is valid from {period}, and today is {now:%Y-%m-%d}")
    shown = _shown(leaf)
    if not shown.names:
        raise _wrong("the certificate names no host (subjectAltName)")
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem += b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)
    files.folder(path.parent, mode=0o700)
    files.write(path, pem, mode=0o600)
    return shown


def shown(path: Path) -> Shown | None:
    """What was installed; None when it is the certificate of the host's own CA that browsers see."""
    try:
        return _shown(x509.load_pem_x509_certificates(path.read_bytes())[0])
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise AgentError(f"{path} is damaged: {error}", hint="install it again: asrctl certificate install") from error


def _chain(text: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise _wrong("the certificate cannot be read") from error


def _shown(leaf: x509.Certificate) -> Shown:
    names: list[str] = []
    try:
        san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        pass
    else:
        names += san.get_values_for_type(x509.DNSName)
        names += [str(address) for address in san.get_values_for_type(x509.IPAddress)]
    return Shown(tuple(names), _common_name(leaf.issuer), leaf.not_valid_after_utc)


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


def _wrong(message: str) -> AgentError:
    return AgentError(message, step="install the certificate", hint=HINT)
