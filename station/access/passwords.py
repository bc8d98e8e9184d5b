"""Passwords: argon2id with parameters that the line does not feel, one check at a time.

19 MiB, two passes, one thread: the smallest set that OWASP names, 21 ms of one core. The library's own default
(64 MiB, four threads) takes 174 ms in four threads at once, which disturbs an engine beside it.
"""

from __future__ import annotations

import hashlib
import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

MEMORY_KIB, PASSES, THREADS = 19 * 1024, 2, 1
SHORTEST, LONGEST = 10, 200
"""Letters of a password."""
_CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""None that look alike."""

_hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=THREADS)
_one_at_a_time = threading.Lock()


class PasswordError(ValueError):
    """The password cannot be taken; the message says what is allowed."""


def check_new(password: str, name: str) -> None:
    """Raises PasswordError: too short, too long, or the name itself."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise PasswordError(f"a password has {SHORTEST} to {LONGEST} letters; several words are easy to remember")
    if password.casefold().strip() == name.casefold() or len(set(password)) < 4:
        raise PasswordError("this password is guessed at once; take several words")


def hashed(password: str) -> str:
    """What is stored."""
    with _one_at_a_time:
        return _hasher.hash(password)


def is_right(stored: str, password: str) -> bool:
    """Takes the same time whether it is right or wrong."""
    with _one_at_a_time:
        try:
            return _hasher.verify(stored, password[: LONGEST + 1])
        except (Argon2Error, InvalidHashError):
            return False


def nobodys() -> str:
    """A stored password that nobody has: an unknown name takes as long as a known one."""
    return hashed(secrets.token_urlsafe(32))


def new_code() -> str:
    """A one-time code as people type it: 16 letters (80 bits) in fours."""
    letters = "".join(secrets.choice(_CODE_LETTERS) for _ in range(16))
    return "-".join(letters[at : at + 4] for at in range(0, 16, 4))


def digest(secret: str) -> bytes:
    """Of a code or the token of a login, as it is stored; both are long and random, so that no salt is needed."""
    return hashlib.sha256(secret.encode()).digest()


def digest_of_code(typed: str) -> bytes:
    """As `digest`, however the code was typed."""
    return digest("".join(letter for letter in typed.upper() if letter in _CODE_LETTERS))
