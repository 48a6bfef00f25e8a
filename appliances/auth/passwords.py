"""Passwords: argon2id with the library's parameters, which are the low-memory choice of RFC 9106 (64 MiB)."""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LONGEST = 1000  # characters; more would only cost time

_hasher = PasswordHasher()
# One hash needs 64 MiB and the container has 384: the ninth login of a crowd waits instead of ending the process.
_memory = threading.BoundedSemaphore(2)


def hashed(password: str) -> str:
    """The argon2id string to store."""
    with _memory:
        return _hasher.hash(password)


_NOBODY = hashed(secrets.token_hex(16))


def matches(stored: str | None, password: str) -> bool:
    """Whether `password` is the one stored. None (no such account) takes as long as a wrong password does."""
    if len(password) > LONGEST:
        return False
    with _memory:
        try:
            _hasher.verify(stored or _NOBODY, password)
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def weakness(password: str, login: str, shortest: int) -> str | None:
    """Why a new password is not taken: short (less than `shortest` characters), long, simple — or None."""
    if len(password) < shortest:
        return "short"
    if len(password) > LONGEST:
        return "long"
    if password.casefold() == login.casefold() or len(set(password)) < 4:
        return "simple"
    return None
