"""Client certificates: issued, listed, revoked, and what the entry is told of them."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliances.base.agent.ca import Authority
from appliances.base.agent.clientcerts import ClientCertificates
from appliances.base.agent.errors import AgentError, UnknownName

RELEASED = datetime.date(2026, 1, 1)
NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)


class Clock:
    """A host whose time the test sets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOW
        self.certificates = ClientCertificates(folder, lambda: Authority(folder, "clients", RELEASED, self.now))

    def crl(self) -> x509.CertificateRevocationList:
        return x509.load_pem_x509_crl(self.certificates.for_the_entry()["clients.crl"])


@pytest.fixture
def host(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clients")


def test_one_that_was_issued_is_for_clients_only_and_its_key_is_not_kept(host: Clock) -> None:
    bundle = host.certificates.issue("payments", 30, "anna")

    certificate = x509.load_pem_x509_certificate(bundle.certificate.encode())
    authority = x509.load_pem_x509_certificate(bundle.authority.encode())
    certificate.verify_directly_issued_by(authority)
    assert authority.public_bytes(serialization.Encoding.PEM) == host.certificates.for_the_entry()["clients.crt"]
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "payments"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert certificate.not_valid_after_utc == NOW + datetime.timedelta(days=30)
    key = serialization.load_pem_private_key(bundle.key.encode(), None)
    assert key.public_key() == certificate.public_key()
    assert all(bundle.key not in path.read_text() for path in host.folder.iterdir())
    for path in host.folder.iterdir():
        if path.name != "ca.crt":
            assert path.stat().st_mode & 0o077 == 0


def test_all_are_listed_the_newest_first(host: Clock) -> None:
    first = host.certificates.issue("payments", 30, "anna").issued
    second = host.certificates.issue("payments", 30, "oleg").issued
    assert host.certificates.listed() == [second, first]
    assert first.serial != second.serial
    assert (first.author, first.revoked_at) == ("anna", None)


def test_revoking_a_name_revokes_all_of_it_and_a_serial_only_that(host: Clock) -> None:
    first, second, third = (host.certificates.issue("payments", 30, "anna").issued for _ in range(3))
    assert list(host.crl()) == []

    assert [one.serial for one in host.certificates.revoke(second.serial)] == [second.serial]
    assert {f"{one.serial_number:x}" for one in host.crl()} == {second.serial}

    assert {one.serial for one in host.certificates.revoke("payments")} == {first.serial, third.serial}
    assert {f"{one.serial_number:x}" for one in host.crl()} == {first.serial, second.serial, third.serial}
    with pytest.raises(AgentError, match="payments is revoked already"):
        host.certificates.revoke("payments")
    with pytest.raises(UnknownName, match="no client certificate was issued for 'nobody'"):
        host.certificates.revoke("nobody")


def test_the_list_of_revoked_ones_is_made_anew_only_when_it_has_to_be(host: Clock) -> None:
    host.certificates.issue("payments", 100, "anna")
    before = host.certificates.for_the_entry()
    host.now += datetime.timedelta(days=29)
    assert host.certificates.for_the_entry() == before, "nginx need not reload"

    host.now += datetime.timedelta(days=2)
    assert host.certificates.for_the_entry() != before
    held = host.crl()
    assert held.next_update_utc is not None
    assert held.next_update_utc > host.now + datetime.timedelta(days=365), (
        "nginx believes nobody once it is out of date"
    )

    host.certificates.revoke("payments")
    assert len(list(host.crl())) == 1
    host.now += datetime.timedelta(days=100)
    assert len(list(host.crl())) == 0, "what has ended need not be in it"


def test_a_clock_that_went_back_leaves_no_list_of_the_future(host: Clock) -> None:
    host.certificates.for_the_entry()
    host.now -= datetime.timedelta(days=60)
    assert host.crl().last_update_utc <= host.now


@pytest.mark.parametrize("name", ["", "Payments", "a b", "-x", "x" * 64, "a/b", "имя", "a\n"])
def test_a_name_is_something_that_headers_and_files_can_hold(host: Clock, name: str) -> None:
    with pytest.raises(AgentError, match="is no name for a client certificate"):
        host.certificates.issue(name, 30, "anna")
    assert host.certificates.listed() == []


@pytest.mark.parametrize("days", [0, -1, 1826])
def test_days_have_bounds(host: Clock, days: int) -> None:
    with pytest.raises(AgentError, match=f"valid for 1 to 1825 days, not {days}"):
        host.certificates.issue("payments", days, "anna")


def test_a_damaged_list_stops_everything_rather_than_forget_what_was_revoked(host: Clock) -> None:
    host.certificates.issue("payments", 30, "anna")
    (host.folder / "issued.json").write_text("[{}")
    with pytest.raises(AgentError, match=r"issued\.json is damaged"):
        host.certificates.for_the_entry()
    with pytest.raises(AgentError, match=r"issued\.json is damaged"):
        host.certificates.issue("payments", 30, "anna")


def test_a_half_written_list_of_revoked_ones_is_made_anew(host: Clock) -> None:
    host.certificates.issue("payments", 30, "anna")
    host.certificates.revoke("payments")
    host.crl()
    os.truncate(host.folder / "revoked.crl", 10)
    assert len(list(host.crl())) == 1
