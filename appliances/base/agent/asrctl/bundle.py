"""A client certificate with its key, as a file for whoever will show it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import click


def free(target: Path) -> None:
    """Raises click.ClickException when the file is there already: what it holds may be in use."""
    if target.exists() or target.is_symlink():
        raise click.ClickException(f"{target} is there already: move it away, or name another file with --output")
    if not os.access(target.absolute().parent, os.W_OK):
        raise click.ClickException(f"{target.absolute().parent} cannot be written to: name another file with --output")


def write(target: Path, issued: dict[str, Any], *, pem: bool) -> str | None:
    """Write the file, for its owner only; returns the password of a PKCS#12 file."""
    password = None if pem else "-".join(secrets.token_hex(2) for _ in range(4))
    data = (issued["key"] + issued["certificate"] + issued["authority"]).encode() if pem else _pkcs12(issued, password)
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise click.ClickException(
            f"{target}: {error.strerror}. The certificate is issued all the same; if nobody has it: "
            f"asrctl client-certificate revoke {issued['serial']}"
        ) from error
    return password


def _pkcs12(issued: dict[str, Any], password: str | None) -> bytes:
    # Here, since every other command does without it and would start more slowly.
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12

    key = load_pem_private_key(issued["key"].encode(), None)
    certificate = x509.load_pem_x509_certificate(issued["certificate"].encode())
    authority = x509.load_pem_x509_certificate(issued["authority"].encode())
    assert password is not None and isinstance(key, EllipticCurvePrivateKey)
    return pkcs12.serialize_key_and_certificates(
        issued["name"].encode(), key, certificate, [authority], BestAvailableEncryption(password.encode())
    )
