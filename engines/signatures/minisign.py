"""Signatures and public keys in the format of minisign (https://jedisct1.github.io/minisign/#signature-format).

A signature lies beside its file as `NAME.minisig` and has four lines:

    untrusted comment: TEXT
    base64( "ED", key id of 8 bytes, Ed25519 over the BLAKE2b-512 of the file )
    trusted comment: TEXT
    base64( Ed25519 over the signature of line 2 followed by the trusted comment )

A public key has two: a comment, and base64( "Ed", key id, 32 bytes ). People compare key ids as minisign prints them:
the little-endian number in hexadecimal digits, without leading zeros.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from engines.errors import SignatureError

SUFFIX = ".minisig"
MAX_SIGNATURE_BYTES = 16 << 10
"""minisign itself allows comments of 1 KiB and 8 KiB."""
MAX_KEY_BYTES = 4 << 10
_UNTRUSTED = b"untrusted comment: "
_TRUSTED = b"trusted comment: "
_PREHASHED = b"ED"
_WHOLE_FILE = b"Ed"
_KEY_ID_BYTES = 8
_PUBLIC_BYTES = 32
_SIGNED_BYTES = 64


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What a signature is checked with."""

    key_id: str
    value: bytes


@dataclass(frozen=True, slots=True)
class SecretKey:
    """What a signature is made with."""

    key_id: str
    seed: bytes = field(repr=False)
    """32 bytes, from which Ed25519 derives everything."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature file, not checked yet."""

    key_id: str
    value: bytes
    """Over the hash of the file."""
    trusted_comment: bytes
    global_value: bytes
    """Over `value` and the trusted comment."""

    @property
    def comment(self) -> str:
        """The trusted comment, to be shown."""
        return self.trusted_comment.decode(errors="replace")


def parse_signature(data: bytes, where: str) -> Signature:
    """The signature in the content of the file that `where` names. Raises SignatureError: it is none, or cut off."""
    what = f"{where} is no signature of minisign"
    lines = _lines(data, 4, what)
    signed = _decoded(lines[1], 2 + _KEY_ID_BYTES + _SIGNED_BYTES, f"{what}: line 2")
    if signed[:2] == _WHOLE_FILE:
        raise SignatureError(f"{where} is a signature of the old kind (minisign -l); sign the file again without -l")
    if signed[:2] != _PREHASHED:
        raise SignatureError(f"{what}: algorithm {signed[:2]!r}, only {_PREHASHED!r} is known")
    if not lines[2].startswith(_TRUSTED):
        raise SignatureError(f"{what}: line 3 does not begin with {_TRUSTED.decode()!r}")
    global_value = _decoded(lines[3], _SIGNED_BYTES, f"{what}: line 4")
    comment = lines[2].removeprefix(_TRUSTED)
    return Signature(shown_id(signed[2:10]), signed[10:], comment, global_value)


def parse_public_key(data: bytes, where: str) -> PublicKey:
    """The public key in the content of a file. Raises SignatureError; `where` names the file."""
    what = f"{where} is no public key of minisign"
    content = content_of_key(data, 2 + _KEY_ID_BYTES + _PUBLIC_BYTES, what)
    if content[:2] != _WHOLE_FILE:
        raise SignatureError(f"{what}: algorithm {content[:2]!r}, only {_WHOLE_FILE!r} is known")
    return PublicKey(shown_id(content[2:10]), content[10:])


def read_plain(path: Path, max_bytes: int) -> bytes:
    """The content of a small plain file. Raises SignatureError; FileNotFoundError when it is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for its writer
        with os.fdopen(descriptor, "rb") as stream:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                raise SignatureError(f'"{path}" is not a plain file')
            if info.st_size > max_bytes:
                raise SignatureError(f'"{path}" has {info.st_size} bytes, at most {max_bytes} are allowed')
            return stream.read(max_bytes)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SignatureError(f'"{path}" cannot be read: {error.strerror or error}') from error


def signature_file(key: SecretKey, digest: bytes, comment: str) -> bytes:
    """The content of a signature file for a file with this BLAKE2b-512; `comment` becomes the trusted one."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    private = Ed25519PrivateKey.from_private_bytes(key.seed)
    trusted = "".join(each if each.isprintable() or each == "\t" else "?" for each in comment).encode()
    value = bytes(private.sign(digest))
    signed = _PREHASHED + int(key.key_id, 16).to_bytes(_KEY_ID_BYTES, "little") + value
    lines = (
        _UNTRUSTED + f"signature of key {key.key_id}, see minisign -V".encode(),
        base64.b64encode(signed),
        _TRUSTED + trusted,
        base64.b64encode(private.sign(value + trusted)),
    )
    return b"\n".join(lines) + b"\n"


def check_signature(signature: Signature, key: PublicKey, digest: bytes, where: str, file: str) -> None:
    """Raises SignatureError unless `key` has signed the file with this BLAKE2b-512, and the trusted comment.

    `where` names the signature in the message, `file` what it is for.
    """
    if not _is_signed(key, signature.value, digest):
        raise SignatureError(
            f"{where} does not belong to {file}: this was changed after key {key.key_id} signed it, or the signature "
            "is that of another file; get both again from whoever made them"
        )
    if not _is_signed(key, signature.global_value, signature.value + signature.trusted_comment):
        raise SignatureError(
            f"{where}: its trusted comment was changed after key {key.key_id} signed it; get the signature again"
        )


def public_key_of(seed: bytes) -> bytes:
    """The public half of a secret key, 32 bytes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    return bytes(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


def content_of_key(data: bytes, size: int, what: str) -> bytes:
    """What line 2 of a key's file stands for, `size` bytes. Raises SignatureError, beginning with `what`."""
    return _decoded(_lines(data, 2, what)[1], size, f"{what}: line 2")


def shown_id(key_id: bytes) -> str:
    """A key id as minisign prints it."""
    return f"{int.from_bytes(key_id, 'little'):X}"


def _is_signed(key: PublicKey, value: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        Ed25519PublicKey.from_public_bytes(key.value).verify(value, message)
    except InvalidSignature:
        return False
    return True


def _lines(data: bytes, count: int, what: str) -> list[bytes]:
    """The first one is a comment that nobody has signed; it is never shown."""
    lines = [line.removesuffix(b"\r") for line in data.rstrip(b"\r\n").split(b"\n")]
    if not lines[0].startswith(_UNTRUSTED):
        raise SignatureError(f"{what}: line 1 does not begin with {_UNTRUSTED.decode()!r}")
    if len(lines) != count:
        cut_off = ": it was cut off" if len(lines) < count else ""
        raise SignatureError(f"{what}: {len(lines)} lines, {count} are expected{cut_off}")
    return lines


def _decoded(line: bytes, size: int, what: str) -> bytes:
    try:
        content = base64.b64decode(line, validate=True)
    except binascii.Error as error:
        raise SignatureError(f"{what} is not base64 ({error}): cut off or damaged; copy the file again") from error
    if len(content) != size:
        cut_off = ": it was cut off; copy the file again" if len(content) < size else ""
        raise SignatureError(f"{what} holds {len(content)} bytes, {size} are expected{cut_off}")
    return content
