"""Secret keys of minisign: `minisign -G`, with a password (scrypt) or, for scripts, `minisign -G -W` without one.

The second line of the file is base64 of

    "Ed", "Sc" or two zeros, "B2", salt (32 bytes), operations (8), memory (8),
    key id (8), seed (32), public key (32), checksum (32)

where the second row is XORed with scrypt(password, salt), whose cost follows from operations and memory as in
libsodium's `crypto_pwhash_scryptsalsa208sha256`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from engines.errors import SignatureError
from engines.signatures.minisign import MAX_KEY_BYTES, SecretKey, content_of_key, public_key_of, read_plain, shown_id

_BYTES = 158
_SECRET_AT = 54
_NO_PASSWORD = b"\0\0"
_SCRYPT = b"Sc"
_BLOCK_SIZE = 8
"""r of scrypt."""
_MAX_MEMORY_BYTES = (1 << 30) + (64 << 20)
"""What minisign's own keys take (1 GiB) and what OpenSSL counts in addition."""


def read_secret_key(path: Path, password: Callable[[], str]) -> SecretKey:
    """The key in a file of minisign; `password` is asked only when there is one.

    Raises SignatureError: no such file, no secret key, another password, or not enough memory.
    """
    try:
        data = read_plain(path, MAX_KEY_BYTES)
    except FileNotFoundError as error:
        raise SignatureError(f'secret key "{path}" is not there; make one: minisign -G -s "{path}"') from error
    what = f'"{path}" is no secret key of minisign'
    content = content_of_key(data, _BYTES, what)
    if content[:2] != b"Ed" or content[4:6] != b"B2" or content[2:4] not in (_NO_PASSWORD, _SCRYPT):
        raise SignatureError(f"{what}: it is of kind {content[:6]!r}")
    secret = content[_SECRET_AT:]
    if content[2:4] == _SCRYPT:
        operations, memory = (int.from_bytes(content[at : at + 8], "little") for at in (38, 46))
        mask = _mask(password(), content[6:38], operations, memory, path)
        secret = bytes(a ^ b for a, b in zip(secret, mask, strict=True))
    key_id, seed, public = secret[:8], secret[8:40], secret[40:72]
    if public_key_of(seed) != public:
        why = "the password is another one" if content[2:4] == _SCRYPT else "it is damaged"
        raise SignatureError(f'secret key "{path}": {why}')
    return SecretKey(shown_id(key_id), seed)


def _mask(password: str, salt: bytes, operations: int, memory: int, path: Path) -> bytes:
    n, p = _cost(operations, memory)
    try:
        return hashlib.scrypt(
            password.encode(), salt=salt, n=n, r=_BLOCK_SIZE, p=p, maxmem=_MAX_MEMORY_BYTES, dklen=_BYTES - _SECRET_AT
        )
    except (ValueError, MemoryError, OverflowError) as error:
        raise SignatureError(
            f'secret key "{path}": its password takes {memory >> 20} MiB of memory to check ({error or "no memory"}); '
            "sign on a larger computer: minisign -S"
        ) from error


def _cost(operations: int, memory: int) -> tuple[int, int]:
    """n and p of scrypt: `pickparams` of libsodium."""
    operations = max(operations, 32768)
    if operations < memory // 32:
        return _power(operations // (_BLOCK_SIZE * 4)), 1
    n = _power(memory // (_BLOCK_SIZE * 128))
    return n, min(operations // 4 // n, 0x3FFFFFFF) // _BLOCK_SIZE


def _power(largest: int) -> int:
    """The first power of two, from 2 on, that is more than half of `largest`."""
    exponent = 1
    while 1 << exponent <= largest // 2 and exponent < 62:
        exponent += 1
    return 1 << exponent
