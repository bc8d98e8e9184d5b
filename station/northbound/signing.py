"""Who sends: HMAC-SHA256 over id, time and body, in the headers of Standard Webhooks.

    webhook-id: ID    webhook-timestamp: SECONDS    webhook-signature: v1,BASE64 [v1,BASE64]

The signature is over `ID.SECONDS.BODY`. https://github.com/standard-webhooks/standard-webhooks/blob/main/spec
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
MAX_SECRETS = 2
MAX_FILE_BYTES = 4096
HOW = f"(umask 027; echo {PREFIX}$(openssl rand -base64 32) > FILE)"


class SecretError(Exception):
    """The secret cannot be used; the message says why and never what stands in the file."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """One, or two while the receiver changes to a new one; `repr` shows none."""

    keys: tuple[bytes, ...] = field(repr=False)

    def headers(self, event_id: str, body: bytes, at: int) -> dict[str, str]:
        """Those of a message that is sent at `at`, seconds since the epoch."""
        signed = f"{event_id}.{at}.".encode() + body
        marks = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in self.keys)
        return {
            "webhook-id": event_id,
            "webhook-timestamp": str(at),
            "webhook-signature": " ".join(f"v1,{mark}" for mark in marks),
        }


def read_secrets(file: Path) -> Secrets:
    """The secrets of a file, one a line. Raises SecretError."""
    content = private_bytes(file, f"; make it: {HOW}")
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    if not 1 <= len(lines) <= MAX_SECRETS or len(content) > MAX_FILE_BYTES:
        raise SecretError(f"{file} has {len(lines)} lines; allowed: one secret, or two, each on its line; {HOW}")
    return Secrets(tuple(_key(line, file, number) for number, line in enumerate(lines, 1)))


def private_bytes(file: Path, hint: str = "") -> bytes:
    """At most one byte more than `MAX_FILE_BYTES` of a file that not everybody may read. `hint`: what to do without it.

    Raises SecretError.
    """
    try:
        with file.open("rb") as opened:
            if os.fstat(opened.fileno()).st_mode & (stat.S_IROTH | stat.S_IWOTH):
                raise SecretError(f"{file}: everybody on this computer may read it; do: chmod o= {file}")
            return opened.read(MAX_FILE_BYTES + 1)
    except OSError as problem:
        raise SecretError(f"{file} cannot be read: {problem.strerror or problem}{hint}") from problem


def read_password(file: Path) -> str:
    """The only line of a file. Raises SecretError, whose message never says what stands there."""
    content = private_bytes(file)
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        lines = []
    if len(lines) != 1 or not lines[0] or len(content) > MAX_FILE_BYTES:
        raise SecretError(f"{file}: the password is one line of text; found are {len(lines)} lines")
    return lines[0]


def _key(line: bytes, file: Path, number: int) -> bytes:
    try:
        if not line.startswith(PREFIX.encode()):
            raise ValueError
        key = base64.b64decode(line[len(PREFIX) :], validate=True)
    except (ValueError, binascii.Error):
        raise SecretError(f"{file}, line {number}: no {PREFIX} followed by base64; {HOW}") from None
    if not SHORTEST <= len(key) <= LONGEST:
        raise SecretError(f"{file}, line {number}: {len(key)} bytes; allowed: {SHORTEST} to {LONGEST}; {HOW}")
    return key
