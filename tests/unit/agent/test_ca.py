"""The host's certificate authority, checked with OpenSSL's eyes: a real TLS handshake."""

from __future__ import annotations

import datetime
import socket
import ssl
import subprocess
import threading
from ipaddress import IPv6Network
from pathlib import Path

import pytest

from appliances.base.agent.ca import Authority, subject_of

RELEASED = datetime.date(2025, 1, 1)
NOW = datetime.datetime.now(datetime.UTC)
SUBJECT = subject_of(["web.auth.asrbox.internal"], ["198.18.82.2"])


def days(count: int) -> datetime.timedelta:
    return datetime.timedelta(days=count)


def authority(folder: Path, now: datetime.datetime = NOW) -> Authority:
    return Authority(folder / "ca", "Example CA", RELEASED, now)


def handshake(folder: Path, hostname: str) -> None:
    """Connect a client that trusts the CA to a server with the certificate."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "web.crt", folder / "web.key")
    trusting = ssl.create_default_context(cafile=str(folder / "ca/ca.crt"))
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            serving.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    server = threading.Thread(target=serve)
    server.start()
    try:
        trusting.wrap_socket(ours, server_hostname=hostname).close()
    finally:
        ours.close()
        server.join()


def test_a_client_that_trusts_the_ca_accepts_the_daemon_by_name_and_by_address(tmp_path: Path) -> None:
    assert authority(tmp_path).ensure(tmp_path / "web.crt", tmp_path / "web.key", SUBJECT)

    handshake(tmp_path, "web.auth.asrbox.internal")
    handshake(tmp_path, "198.18.82.2")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, "web.mail.asrbox.internal")


def test_a_certificate_for_an_address_that_is_gone_is_made_anew(tmp_path: Path) -> None:
    paths = tmp_path / "web.crt", tmp_path / "web.key"
    both = subject_of(["web.auth.asrbox.internal"], ["198.18.82.2", "fd34:ed37:338c:2::2"])
    gone = IPv6Network("fd34:ed37:338c::/56")
    assert authority(tmp_path).ensure(*paths, both)

    assert not authority(tmp_path).ensure(*paths, SUBJECT), "it is good for what is asked"
    assert authority(tmp_path).ensure(*paths, SUBJECT, gone=gone)
    assert not authority(tmp_path).ensure(*paths, SUBJECT, gone=gone)


def test_a_good_certificate_is_kept_over_restarts(tmp_path: Path) -> None:
    authority(tmp_path).ensure(tmp_path / "web.crt", tmp_path / "web.key", SUBJECT)

    assert not authority(tmp_path).ensure(tmp_path / "web.crt", tmp_path / "web.key", SUBJECT)


def test_it_is_renewed_before_its_end_for_a_new_address_and_after_damage(tmp_path: Path) -> None:
    certificate, key = tmp_path / "web.crt", tmp_path / "web.key"
    authority(tmp_path).ensure(certificate, key, SUBJECT)

    assert authority(tmp_path, NOW + days(780)).ensure(certificate, key, SUBJECT)
    assert authority(tmp_path).ensure(certificate, key, SUBJECT), "one from the future is replaced"
    moved = subject_of(["web.auth.asrbox.internal"], ["198.18.82.2", "192.0.2.7"])
    assert authority(tmp_path).ensure(certificate, key, moved)
    assert not authority(tmp_path).ensure(certificate, key, SUBJECT), "an address more does no harm"
    key.write_bytes(b"")
    assert authority(tmp_path).ensure(certificate, key, SUBJECT)


def believed(folder: Path, now: datetime.datetime) -> bool:
    """Whether a client whose clock says `now` believes the daemon, as OpenSSL sees it."""
    moment = ["-attime", str(int(now.timestamp()))]
    verify = [
        "openssl",
        "verify",
        "-x509_strict",
        *moment,
        "-CAfile",
        str(folder / "ca/ca.crt"),
        str(folder / "web.crt"),
    ]
    return subprocess.run(verify, capture_output=True, check=False).returncode == 0


LONG_AGO = datetime.datetime(2003, 2, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize("wrong", [LONG_AGO, NOW - days(730), NOW - days(3), NOW + days(1), NOW + days(3650)])
def test_a_first_start_with_a_wrong_clock_works_then_and_after_the_clock_is_set(
    tmp_path: Path, wrong: datetime.datetime
) -> None:
    certificate, key = tmp_path / "web.crt", tmp_path / "web.key"
    authority(tmp_path, wrong).ensure(certificate, key, SUBJECT)
    first = (tmp_path / "ca/ca.crt").read_bytes()
    assert believed(tmp_path, wrong)

    authority(tmp_path, NOW).ensure(certificate, key, SUBJECT)

    assert believed(tmp_path, NOW)
    assert (tmp_path / "ca/ca.crt").read_bytes() == first, "people may have imported it by now"
    assert not authority(tmp_path, NOW).ensure(certificate, key, SUBJECT)


def test_a_clock_that_jumps_to_and_fro_leaves_certificates_that_are_valid(tmp_path: Path) -> None:
    certificate, key = tmp_path / "web.crt", tmp_path / "web.key"
    for now in (NOW, NOW - days(730), NOW, NOW + days(1), NOW + days(30 * 365), NOW, NOW - days(1 / 24)):
        authority(tmp_path, now).ensure(certificate, key, SUBJECT)
        assert believed(tmp_path, now), f"at {now}"


def test_an_authority_that_ended_is_renewed_with_the_same_key(tmp_path: Path) -> None:
    certificate, key = tmp_path / "web.crt", tmp_path / "web.key"
    authority(tmp_path).ensure(certificate, key, SUBJECT)
    imported = (tmp_path / "ca/ca.crt").read_bytes()
    end = authority(tmp_path).certificate.not_valid_after_utc

    assert authority(tmp_path, end - days(20)).ensure(certificate, key, SUBJECT)

    assert believed(tmp_path, end + days(1))
    (tmp_path / "ca/ca.crt").write_bytes(imported)
    assert believed(tmp_path, end - days(21)), "who imported the old one believes it to its end"


def test_a_ca_of_which_only_half_reached_the_disk_is_made_anew(tmp_path: Path) -> None:
    first = authority(tmp_path).fingerprint
    (tmp_path / "ca/ca.crt").unlink()

    assert authority(tmp_path).fingerprint != first
