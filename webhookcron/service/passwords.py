"""Passwords: argon2id hashes, checked in a time that tells nothing about who has an account."""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH = 10
MAX_LENGTH = 256
"""In characters. The upper bound keeps what is hashed small; sentences fit."""

MEMORY_KIB = 19_456
ROUNDS = 2
LANES = 1
"""The least that the OWASP Password Storage Cheat Sheet asks of argon2id: some 20 ms and 19 MiB a check."""

MOST_AT_ONCE = 2
"""Checks of one process at a time: logging in must not take all of its memory and processors."""


class Passwords:
    """Hashes and checks passwords. Thread-safe; callers wait for each other beyond `MOST_AT_ONCE`."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=ROUNDS, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._room = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._nobodys: str | None = None

    def hash(self, password: str) -> str:
        """What is stored of `password`: another text each time."""
        with self._room:
            return self._hasher.hash(password)

    def fits(self, stored: str | None, password: str) -> bool:
        """Whether `stored` was made from `password`.

        None, for an account that does not exist, takes as long as one that does, and fits nothing.
        """
        if stored is None:
            stored, known = self._hash_of_nobody(), False
        else:
            known = True
        with self._room:
            try:
                self._hasher.verify(stored, password)
            except (VerificationError, InvalidHashError):
                return False
        return known

    def outdated(self, stored: str) -> bool:
        """Whether `stored` was made with other parameters than today's, and should be made anew."""
        return self._hasher.check_needs_rehash(stored)

    def _hash_of_nobody(self) -> str:
        if self._nobodys is None:
            self._nobodys = self.hash(secrets.token_urlsafe(32))
        return self._nobodys


def generate_password() -> str:
    """A password of 144 random bits, to be shown once."""
    return secrets.token_urlsafe(18)


def problem_with(password: str, email: str) -> str | None:
    """What is wrong with a new password, as the end of a sentence about it; None when it will do.

    Length is what counts (NIST SP 800-63B section 5.1.1.2); nothing is said about kinds of characters.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return f"must have {MIN_LENGTH} to {MAX_LENGTH} characters"
    if password.casefold() == email.casefold():
        return "must not be the address"
    if len(set(password)) < 4:
        return "must not repeat the same few characters"
    return None
