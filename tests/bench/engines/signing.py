"""Keys as `minisign -G` writes them, for tests without that program."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from engines.signatures.minisign import public_key_of


@dataclass(frozen=True)
class Keys:
    """A pair of keys, and the folder in which the public one is trusted."""

    secret: Path
    public: Path
    key_id: str

    @property
    def trusted(self) -> Path:
        return self.public.parent


def make_keys(folder: Path, *, password: str = "", memory: int = 1 << 20) -> Keys:
    """New keys: `folder/secret.key`, and `folder/trusted_keys/line.pub`.

    `memory`: bytes that the password takes to check; more than 16 MiB make a key that cannot be read.
    """
    trusted = folder / "trusted_keys"
    trusted.mkdir(parents=True)
    key_id, seed = os.urandom(8), os.urandom(32)
    public = public_key_of(seed)
    body = key_id + seed + public + bytes(32)
    kind, salt = b"\0\0", bytes(32)
    if password:
        kind, salt = b"Sc", os.urandom(32)
        if memory <= 16 << 20:
            n = memory // (2 * 8 * 128)  # as libsodium: more than half of what fits
            n = 1 << max(1, n.bit_length())
            mask = hashlib.scrypt(password.encode(), salt=salt, n=n, r=8, p=1, maxmem=64 << 20, dklen=len(body))
            body = bytes(a ^ b for a, b in zip(body, mask, strict=True))
    cost = (memory // 33 if password else 0).to_bytes(8, "little") + (memory if password else 0).to_bytes(8, "little")
    secret = b"Ed" + kind + b"B2" + salt + cost + body
    _write(folder / "secret.key", secret)
    _write(trusted / "line.pub", b"Ed" + key_id + public)
    return Keys(folder / "secret.key", trusted / "line.pub", f"{int.from_bytes(key_id, 'little'):X}")


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(b"untrusted comment: of a test\n" + base64.b64encode(content) + b"\n")
