"""Masked sums: whoever combines learns the sum of all sites and nothing of a single one.

Every site makes a pair of keys for one round and gives its card (the public half) to all others. Each two of them share
a secret (X25519 [1]), from which both draw the same numbers (HKDF-SHA256 [2], ChaCha20 [3]); one adds them to its sums,
the other subtracts them. Sums are whole numbers here (fixed point, modulo 2^64), so all masks cancel to the last bit:

    share of A = sums of A + m(A, B) + m(A, C)
    share of B = sums of B - m(A, B) + m(B, C)
    share of C = sums of C - m(A, C) - m(B, C)      A + B + C = sums of A + sums of B + sums of C

This is the first step of [4], without its recovery: when a site drops out its masks stay in the sum, so the round is
repeated without it, with new keys. Below three sites each would know the other. A share is signed (Ed25519 [5]) with a
key of the card: changed, foreign and missing shares are refused. Cards must reach the others by a way that people
trust, and whoever combines must not have all secrets but one.

References:
    [1] A. Langley, M. Hamburg, S. Turner, RFC 7748, 2016.
    [2] H. Krawczyk, P. Eronen, RFC 5869, 2010.
    [3] Y. Nir, A. Langley, RFC 8439, 2018.
    [4] K. Bonawitz et al., "Practical secure aggregation for privacy-preserving machine learning", CCS 2017.
    [5] S. Josefsson, I. Liusvaara, RFC 8032, 2017.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from engines.errors import TrainingError
from engines.training.headed_arrays import Header, read_headed
from engines.training.sums.kept import (
    MAX_BYTES,
    Numbers,
    SiteSums,
    StreamShape,
    check_plausible,
    check_values,
    digest,
    said,
    write_sums_file,
)

FORMAT = 1
MIN_SITES = 3
MAX_CARD_BYTES = 4 << 10
FRACTION_BITS = 30
"""A number is rounded to 1e-9: of features that reach some tens, less than 1e-9 of their sums."""
_BITS = 64
_HEX = Field(pattern="^[0-9a-f]{64}$")
Words = NDArray[np.uint64]
_F = TypeVar("_F", bound=BaseModel)


class Card(BaseModel):
    """The public half of a site's keys for one round."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: int = Field(ge=1, le=FORMAT)
    site: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    masks: str = _HEX
    """X25519, 32 bytes in hexadecimal digits."""
    signs: str = _HEX
    """Ed25519, likewise."""


@dataclass(frozen=True, slots=True)
class Secret:
    """The other half: for one round, and for one share of it."""

    card: Card
    masks: bytes = field(repr=False)
    signs: bytes = field(repr=False)


class _SecretFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    card: Card
    secret_masks: str = _HEX
    secret_signs: str = _HEX


class _ShareHeader(Header):
    round: str = _HEX
    site: str
    key: str = Field(max_length=64)
    streams: list[StreamShape] = Field(min_length=1)
    sha256: str = _HEX


@dataclass(frozen=True)
class Share:
    """The masked sums of one site."""

    header: _ShareHeader
    values: Words
    """(numbers of all streams + 1,): fixed point, the last one is the number of images."""
    signature: bytes


def new_secret(site: str) -> Secret:
    """Keys for one round. Raises TrainingError: no such name of a site."""
    masks, signs = X25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    try:
        card = Card(
            format=FORMAT, site=site, masks=masks.public_key().public_bytes_raw().hex(),
            signs=signs.public_key().public_bytes_raw().hex(),
        )  # fmt: skip
    except ValueError as problem:
        raise TrainingError(f"site {site!r}: letters, digits, and . _ - between them, at most 64") from problem
    return Secret(card, masks.private_bytes_raw(), signs.private_bytes_raw())


def round_of(cards: Sequence[Card]) -> str:
    """Names a round: its sites with their keys, in any order. Raises TrainingError: too few, or one stands twice."""
    for what in ("site", "masks", "signs"):
        values = [getattr(card, what) for card in cards]
        if twice := next((value for value in values if values.count(value) > 1), None):
            raise TrainingError(f"two cards have the same {what}, {twice}: one card for each site, of this round")
    if len(cards) < MIN_SITES:
        raise TrainingError(f"{len(cards)} cards: masks need at least {MIN_SITES} sites, or each would know the other")
    ordered = sorted((card.model_dump() for card in cards), key=lambda card: str(card["site"]))
    return hashlib.sha256(json.dumps(ordered, sort_keys=True).encode()).hexdigest()


def masked(sums: SiteSums, secret: Secret, cards: Sequence[Card]) -> Share:
    """The share of a site in a round. Raises TrainingError: the site is not in it, or a number is too large."""
    round_name = round_of(cards)
    if secret.card not in cards:
        raise TrainingError(f'the card of site "{secret.card.site}" is not among those of the round, or another one is')
    words = _fixed_point(np.append(sums.values, float(sums.images)), len(cards))
    context = f"{round_name} {sums.key} {[stream.model_dump_json() for stream in sums.streams]}".encode()
    own = X25519PrivateKey.from_private_bytes(secret.masks)
    for card in cards:
        if card.site == secret.card.site:
            continue
        try:
            shared = own.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(card.masks)))
        except ValueError as problem:  # a point of small order: no secret at all
            raise TrainingError(f'the card of site "{card.site}" holds no proper key: make it anew') from problem
        mask = _mask(shared, context, len(words))
        words = words + mask if secret.card.site < card.site else words - mask
    header = _ShareHeader(
        format=FORMAT, round=round_name, site=secret.card.site, key=sums.key, streams=list(sums.streams),
        sha256=digest(words),
    )  # fmt: skip
    signature = Ed25519PrivateKey.from_private_bytes(secret.signs).sign(header.model_dump_json().encode())
    return Share(header, words, signature)


def unmasked(shares: Mapping[str, Share], cards: Sequence[Card]) -> SiteSums:
    """The sum of all sites of a round, of the shares by where each came from.

    Raises TrainingError: a share is missing, there twice, changed, of another round or of no site of it.
    """
    round_name = round_of(cards)
    by_site = {card.site: card for card in cards}
    seen: dict[str, str] = {}
    for name, share in shares.items():
        header = share.header
        if header.site not in by_site:
            raise TrainingError(f'share "{name}" is of site "{header.site}", which has no card in this round')
        _check_signature(name, share, by_site[header.site])
        if header.round != round_name:
            raise TrainingError(
                f'share "{name}" is of another round, or its site had other cards: give every site the same cards'
            )
        if header.site in seen:
            raise TrainingError(f'shares "{seen[header.site]}" and "{name}" are both of site "{header.site}"')
        seen[header.site] = name
    if missing := sorted(by_site.keys() - seen.keys()):
        raise TrainingError(
            f"{len(missing)} of {len(cards)} shares are missing ({', '.join(missing)}): masks do not cancel without "
            "them; wait for them, or repeat the round without these sites, with new keys of all others"
        )
    first = next(iter(shares.values())).header
    for name, share in shares.items():
        if share.header.key != first.key or share.header.streams != first.streams:
            raise TrainingError(f'share "{name}" has sums of another backbone, input or way to find the part')
    total = np.zeros_like(next(iter(shares.values())).values)
    for share in shares.values():
        total = total + share.values
    numbers = total.view(np.int64).astype(np.float64) / 2**FRACTION_BITS
    images = float(numbers[-1])
    if images != round(images) or images < len(cards):
        raise TrainingError(f"the shares add to {images:g} images: they do not belong together; repeat the round")
    found = SiteSums(first.key, int(images), len(cards), tuple(first.streams), numbers[:-1])
    try:
        check_plausible(found)
    except ValueError as problem:
        raise TrainingError(f"the shares add to sums of no images ({problem}): repeat the round") from problem
    return found


def _check_signature(name: str, share: Share, card: Card) -> None:
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(card.signs))
    try:
        key.verify(share.signature, share.header.model_dump_json().encode())
    except InvalidSignature:
        raise TrainingError(
            f'share "{name}" was not signed by site "{card.site}" of this round, or was changed: get it again'
        ) from None
    if digest(share.values) != share.header.sha256:
        raise TrainingError(f'share "{name}": its numbers were changed after site "{card.site}" signed it')


def _fixed_point(values: Numbers, sites: int) -> Words:
    """Whole multiples of 2^-FRACTION_BITS, modulo 2^64."""
    most = 2.0 ** (_BITS - 2 - FRACTION_BITS) / sites
    largest = float(np.abs(values).max())
    if not largest < most:
        raise TrainingError(f"a sum is {largest:g}: masked sums of {sites} sites reach {most:g}; export fewer images")
    return np.rint(values * 2.0**FRACTION_BITS).astype(np.int64).view(np.uint64)


def _mask(shared: bytes, context: bytes, count: int) -> Words:
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"station fleet sums " + context).derive(shared)
    stream = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(8 * count))
    return np.frombuffer(stream, "<u8").astype(np.uint64)


# Files ----------------------------------------------------------------------------------------------------------------


def write_secret(file: Path, secret: Secret) -> None:
    """A new file that only its owner can read. Raises TrainingError: it is there already, or cannot be written."""
    text = _SecretFile(card=secret.card, secret_masks=secret.masks.hex(), secret_signs=secret.signs.hex())
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text.model_dump_json(indent=1))
    except OSError as problem:
        raise TrainingError(f'keys "{file}" cannot be written: {problem.strerror}; keys are made once') from problem


def read_secret(file: Path) -> Secret:
    """Raises TrainingError: it cannot be read."""
    found = _read_text(file, _SecretFile)
    return Secret(found.card, bytes.fromhex(found.secret_masks), bytes.fromhex(found.secret_signs))


def write_card(file: Path, card: Card) -> None:
    """Raises TrainingError: it cannot be written."""
    try:
        file.write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as problem:
        raise TrainingError(f'card "{file}" cannot be written: {problem.strerror}') from problem


def read_card(file: Path) -> Card:
    """Raises TrainingError: it cannot be read."""
    return _read_text(file, Card)


def write_share(file: Path, share: Share) -> None:
    """Raises TrainingError: it cannot be written."""
    signature = np.frombuffer(share.signature, np.uint8)
    write_sums_file(file, share.header, {"values": share.values, "signature": signature})


def read_share(file: Path) -> Share:
    """Raises TrainingError: it is no share. Whether it may be trusted, `unmasked` says."""
    try:
        header, arrays = read_headed(file, _ShareHeader, FORMAT, MAX_BYTES, names=("values", "signature"))
        values, signature = arrays["values"], arrays["signature"]
        check_values(values[:-1], np.uint64, header.streams)
        if signature.dtype != np.uint8 or signature.shape != (64,):
            raise ValueError("its signature is none")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as problem:
        raise TrainingError(f'share "{file}" cannot be used: {said(problem)}; get it again from its site') from problem
    return Share(header, values, signature.tobytes())


def _read_text(file: Path, kind: type[_F]) -> _F:
    try:
        if file.stat().st_size > MAX_CARD_BYTES:
            raise ValueError(f"larger than {MAX_CARD_BYTES} bytes")
        return kind.model_validate_json(file.read_bytes())
    except (OSError, ValueError) as problem:
        raise TrainingError(
            f'"{file}" cannot be read: {said(problem)}; station fleet sums key makes cards and keys'
        ) from problem
