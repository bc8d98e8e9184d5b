"""Signatures of engines: beside an archive as `NAME.minisig`, in the store as `signature.minisig` beside the manifest.

What is signed is the archive. An engine gives the same archive at any time, so that the signature of the archive that
came in is also that of the folder it was unpacked to: it can be checked again whenever the engine is loaded.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from engines.bundle.archive import Digests, engine_digests
from engines.errors import SignatureError
from engines.signatures.minisign import MAX_SIGNATURE_BYTES, SUFFIX, SecretKey, read_plain, signature_file
from engines.signatures.trust import Signer, Trust

SIGNATURE_FILE = "signature.minisig"
"""In the folder of an engine. No part of the engine: it is the same without."""


def beside(archive: Path) -> Path:
    """Where the signature of an archive lies."""
    return archive.with_name(archive.name + SUFFIX)


def read_signature(file: Path) -> bytes | None:
    """The content of a signature file; None when there is none. Raises SignatureError."""
    try:
        return read_plain(file, MAX_SIGNATURE_BYTES)
    except FileNotFoundError:
        return None


def check_sha256(archive: Path, expected: str, digests: Digests) -> None:
    """Raises SignatureError when an archive is not the one with this SHA-256 (hex)."""
    if expected != digests.sha256:
        raise SignatureError(
            f'archive "{archive}" has the sha256 {digests.sha256}, expected is {expected}: it is another file, '
            "or it was changed on the way; copy it again"
        )


def signer_of_archive(archive: Path, signature: bytes | None, digests: Digests, trust: Trust) -> Signer | None:
    """Who has signed an archive from outside. None: nobody who is trusted, and nobody needs to have.

    Raises SignatureError.
    """
    file, where = f'archive "{archive}"', f'signature "{beside(archive)}"'
    if signature is not None:
        return trust.signer(signature, digests.blake2b, where, file)
    if trust.required == "no":
        return None
    raise trust.missing(file, f'"{beside(archive)}" is not there')


def check_unpacked(archive: Path, digests: Digests, folder: Path) -> None:
    """Raises SignatureError when a signed archive holds an engine, but not as `export_archive` writes it."""
    if engine_digests(folder)[1] != digests:
        raise SignatureError(
            f'archive "{archive}" is signed, but is not the one that "station engine export" writes for its engine: '
            "the signature could not be checked again in the store; export the engine, sign that file"
        )


def signer_of_engine(engine: Path, trust: Trust) -> Signer | None:
    """Who has signed the engine in a folder; None: nobody who is trusted. Raises SignatureError: it is wrong."""
    return _signer(engine, replace(trust, required="no"), f'engine "{engine}"')[0]


def signer_of_folder(engine: Path, trust: Trust, what: str) -> Signer | None:
    """As `signer_of_engine`, of what came from outside and is in the folder now: `what` names it in messages.

    Raises SignatureError also when a signature is required and there is none.
    """
    return _signer(engine, trust, what)[0]


def check_may_load(engine: Path, trust: Trust, engine_id: str = "") -> Signer | None:
    """Who has signed the engine in a folder, which is to be active.

    `engine_id`: of the engine that was read from there; another one by now is refused. Raises SignatureError: there
    must be a signature by a trusted key and there is none, or it is wrong.
    """
    if trust.required != "load":
        return signer_of_engine(engine, trust)
    signer, signed_id = _signer(engine, trust, f'engine "{engine}"')
    if engine_id and signed_id != engine_id:
        raise SignatureError(f'engine "{engine}" was exchanged while it was loaded; see: station engine verify')
    return signer


def sign_engine(engine: Path, name: str, key: SecretKey) -> bytes:
    """The content of a signature file for the archive of the engine in a folder, which is called `name`."""
    engine_id, digests = engine_digests(engine)
    return signature_file(key, digests.blake2b, comment(name, engine_id))


def comment(name: str, engine_id: str) -> str:
    """The trusted comment of our signatures: as minisign writes it, and the engine."""
    return f"timestamp:{int(time.time())}\tfile:{name}\thashed\tengine:{engine_id}"


def _signer(engine: Path, trust: Trust, what: str) -> tuple[Signer | None, str]:
    """And the id of the engine whose archive was checked; empty when there was nothing to check."""
    signature = read_signature(engine / SIGNATURE_FILE)
    if signature is None:
        if trust.required == "no":
            return None, ""
        raise trust.missing(what, f"no {SIGNATURE_FILE} in it")
    engine_id, digests = engine_digests(engine)
    return trust.signer(signature, digests.blake2b, f"{what}: {SIGNATURE_FILE}", "the engine"), engine_id
