"""The certificate that browsers are shown when it is not of the host's own CA: brought by people, or obtained by ACME.

Key and chain are in one file, behind a line that says how they came there; what reads PEM passes over it.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from appliances.base.agent import files
from appliances.base.agent.errors import AgentError

HINT = "give the chain with the server's certificate first, and its key without a password, both as PEM"
MARK = "# asrbox: "


@dataclass(frozen=True)
class Shown:
    """What is in force: DNS names and IP addresses it is for, who signed it, when it begins and ends (UTC).

    `way` is how it came here and `since` when; `directory` is the authority that was asked for it by ACME.
    """

    names: tuple[str, ...]
    issuer: str
    begins: datetime.datetime
    ends: datetime.datetime
    way: Literal["brought", "acme"]
    since: datetime.datetime
    directory: str | None = None


def install(path: Path, chain: str, key: str, now: datetime.datetime, directory: str | None = None) -> Shown:
    """Check a chain and its key (PEM) and keep them in `path`, mode 0600, in one go. Raises AgentError.

    With a `directory` it is a certificate that the authority there has given by ACME.
    """
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
    since = now.replace(microsecond=0)
    mark = {"way": "acme" if directory else "brought", "since": since.isoformat(), "directory": directory}
    shown = _shown(leaf, mark)
    if not shown.names:
        raise _wrong("the certificate names no host (subjectAltName)")
    pem = f"{MARK}{json.dumps(mark)}\n".encode()
    pem += private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem += b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)
    files.folder(path.parent, mode=0o700)
    files.write(path, pem, mode=0o600)
    return shown


def shown(path: Path) -> Shown | None:
    """What was installed; None when it is the certificate of the host's own CA that browsers see."""
    try:
        content = path.read_bytes()
        mark = _mark(content, path)
        return _shown(x509.load_pem_x509_certificates(content)[0], mark)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError) as error:
        raise AgentError(f"{path} is damaged: {error}", hint="install it again: asrctl certificate install") from error


def period(path: Path) -> tuple[datetime.datetime | None, datetime.datetime | None]:
    """When a certificate begins and ends (UTC); nothing for one that is not there yet."""
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None, None
    return found.not_valid_before_utc, found.not_valid_after_utc


def _chain(text: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise _wrong("the certificate cannot be read") from error


def _mark(content: bytes, path: Path) -> dict[str, Any]:
    """How it came here. What was installed before there were such lines has been brought."""
    first = content.partition(b"\n")[0].decode(errors="replace")
    if first.startswith(MARK):
        found: dict[str, Any] = json.loads(first.removeprefix(MARK))
        return found
    moment = datetime.datetime.fromtimestamp(int(path.stat().st_mtime), datetime.UTC)
    return {"way": "brought", "since": moment.isoformat(), "directory": None}


def _shown(leaf: x509.Certificate, mark: dict[str, Any]) -> Shown:
    names: list[str] = []
    try:
        san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        pass
    else:
        names += san.get_values_for_type(x509.DNSName)
        names += [str(address) for address in san.get_values_for_type(x509.IPAddress)]
    period = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    since = datetime.datetime.fromisoformat(mark["since"])
    return Shown(tuple(names), _common_name(leaf.issuer), *period, mark["way"], since, mark["directory"])


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


def _wrong(message: str) -> AgentError:
    return AgentError(message, step="install the certificate", hint=HINT)
