"""The host's own certificate authority: one key, made on first boot, that signs a certificate per daemon."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Network, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliances.base.agent import files

AUTHORITY_DAYS = 20 * 365
DAEMON_DAYS = 800  # below the 825 days that browsers accept
RENEW_BEFORE = datetime.timedelta(days=30)
CLOCK_SKEW = datetime.timedelta(days=2)
# From before any clock that a machine may have: whoever's clock is behind still believes the authority.
BEGIN = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)

_Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Subject:
    """What a certificate stands for: the first of `names` is its common name; `addresses` are IP addresses."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]


class Authority:
    """The CA in `folder` (ca.crt, ca.key). `now` is injectable, so that tests can travel in time."""

    def __init__(self, folder: Path, title: str, released: datetime.date, now: datetime.datetime) -> None:
        self.folder = files.folder(folder, mode=0o700)
        # As the clock has it, right or wrong: by it the certificates are judged, and renewed when it has been set.
        self.now = max(now, BEGIN)
        # The clock of a machine without battery starts years ago: time before the release is never true.
        self._true_now = max(now, datetime.datetime.combine(released, datetime.time(), datetime.UTC))
        self._title = title
        self._key, self.certificate = self._load() or self._make(ec.generate_private_key(ec.SECP256R1()))
        if not self._lives(self.certificate):
            # The same key and name: whoever believes the certificate before this one believes this one too.
            self._key, self.certificate = self._make(self._key)

    @property
    def pem(self) -> bytes:
        return _pem(self.certificate)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the CA certificate as browsers show it: pairs of hex digits with colons."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    def sign_client(self, key: ec.EllipticCurvePublicKey, name: str, days: int) -> x509.Certificate:
        """A certificate with which somebody who holds that key is known to servers as CN=`name`."""
        begin = max(self.certificate.not_valid_before_utc, self.now - CLOCK_SKEW)
        end = min(self.certificate.not_valid_after_utc, self.now + datetime.timedelta(days=days))
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end.replace(microsecond=0))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.public_key), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def sign_revoked(self, revoked: Mapping[int, datetime.datetime], days: int) -> bytes:
        """The list of revoked certificates (serial number → since when), valid for `days`, as PEM."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(self.now - CLOCK_SKEW)
            .next_update(self.now + datetime.timedelta(days=days))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.public_key), critical=False)
            .add_extension(x509.CRLNumber(int(self.now.timestamp())), critical=False)
        )
        for serial, since in sorted(revoked.items()):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def ensure(
        self,
        certificate: Path,
        key: Path,
        subject: Subject,
        *,
        mode: int = 0o600,
        gid: int = 0,
        gone: IPv6Network | None = None,
    ) -> bool:
        """Make sure that a valid certificate for `subject` exists; returns whether a new one was written.

        A new one is made when there is none, when it ends within 30 days or has not begun, when it lacks a name or
        address of `subject` or has one in `gone`, when another CA signed it or when the CA's certificate was renewed.
        The key is written first: a power cut in between is seen next time.
        """
        if self._is_good(certificate, key, subject, gone):
            return False
        private = ec.generate_private_key(ec.SECP256R1())
        files.write(key, _key_pem(private), mode=mode, gid=gid)
        files.write(certificate, _pem(self._sign(private, subject)) + self.pem)
        return True

    def _sign(self, key: _Key, subject: Subject) -> x509.Certificate:
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in subject.names]
        alternatives += [x509.IPAddress(ip_address(address)) for address in subject.addresses]
        begin = max(self.certificate.not_valid_before_utc, self.now - CLOCK_SKEW)
        end = min(self.certificate.not_valid_after_utc, self.now + datetime.timedelta(days=DAEMON_DAYS))
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject.names[0]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _load(self) -> tuple[_Key, x509.Certificate] | None:
        """Key and certificate from the folder; None when a power cut left less than both."""
        try:
            certificate = x509.load_pem_x509_certificate((self.folder / "ca.crt").read_bytes())
            key = serialization.load_pem_private_key((self.folder / "ca.key").read_bytes(), None)
        except (FileNotFoundError, ValueError):
            return None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            return None
        return key, certificate

    def _lives(self, certificate: x509.Certificate) -> bool:
        return certificate.not_valid_before_utc <= self.now < certificate.not_valid_after_utc - RENEW_BEFORE

    def _make(self, key: _Key) -> tuple[_Key, x509.Certificate]:
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(self._title))
            .issuer_name(_name(self._title))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGIN)
            .not_valid_after(self._true_now + datetime.timedelta(days=AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        files.write(self.folder / "ca.key", _key_pem(key), mode=0o600)
        files.write(self.folder / "ca.crt", _pem(certificate))
        return key, certificate

    def _is_good(self, certificate: Path, key: Path, subject: Subject, gone: IPv6Network | None) -> bool:
        try:
            pem = certificate.read_bytes()
            held = x509.load_pem_x509_certificate(pem)
            private = serialization.load_pem_private_key(key.read_bytes(), None)
            held.verify_directly_issued_by(self.certificate)
        except Exception:  # whatever is unreadable, foreign or half written is replaced
            return False
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != held.public_key():
            return False
        if not pem.endswith(self.pem):
            return False
        return self._lives(held) and _covers(held, subject, gone)


def _covers(certificate: x509.Certificate, subject: Subject, gone: IPv6Network | None) -> bool:
    san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names = set(san.get_values_for_type(x509.DNSName))
    held = san.get_values_for_type(x509.IPAddress)
    if gone is not None and any(address in gone for address in held):
        return False
    addresses = {str(address) for address in held}
    return names.issuperset(subject.names) and addresses.issuperset(subject.addresses)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def subject_of(names: Sequence[str], addresses: Sequence[str]) -> Subject:
    """A Subject without repetitions, in the given order."""
    return Subject(tuple(dict.fromkeys(names)), tuple(dict.fromkeys(addresses)))
