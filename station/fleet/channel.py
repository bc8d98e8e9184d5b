"""The channel: which engine of a product is the newest, as a small file that is signed as engines are.

    channel.json           what is below
    channel.json.minisig   its signature, in minisign's format: `minisign -V -m channel.json` checks it

A channel is taken only where it is signed by a trusted key, for this product, with no lower sequence than was ever
seen, and before it expires. Each refusal has a sentence of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from engines.signatures.minisign import SUFFIX

FILE = "channel.json"
SIGNATURE = FILE + SUFFIX
FORMAT = 1
MAX_BYTES = 16 << 10
MAX_SEQUENCE = 2**53
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}\.tar")
_SHA256 = re.compile("[0-9a-f]{64}")


class ChannelError(Exception):
    """The channel cannot be read, or is refused; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Channel:
    """What the newest channel says."""

    product: str
    engine_id: str
    sequence: int
    """Grows with each channel of a product."""
    issued: str
    expires: str
    """ISO 8601, UTC."""
    archive: str
    """Name of the file beside it."""
    sha256: str
    size: int
    """Bytes of that file."""

    @property
    def expires_at(self) -> float:
        """Seconds since the epoch."""
        return moment_of(self.expires)

    def as_bytes(self) -> bytes:
        """The content of `channel.json`."""
        return (json.dumps({"format": FORMAT} | asdict(self), indent=2) + "\n").encode()


def iso(moment: float) -> str:
    """Seconds since the epoch as they stand in the file."""
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_channel(content: bytes, where: str) -> Channel:
    """`where` names the file in messages. Raises ChannelError."""
    what = f"{where} is no channel"
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as problem:
        raise ChannelError(f"{what}: {problem}") from problem
    if not isinstance(found, dict):
        raise ChannelError(f"{what}: {FILE} is a table of keys")
    if found.get("format") != FORMAT:
        raise ChannelError(
            f"{where} has format {found.get('format')!r}, this station knows {FORMAT}: bring the station up to date"
        )
    wanted: Mapping[str, type] = {name: int if name in ("sequence", "size") else str for name in Channel.__slots__}
    if found.keys() != wanted.keys() | {"format"}:
        wrong = sorted(found.keys() ^ (wanted.keys() | {"format"}))
        raise ChannelError(f"{what}: keys that are missing or unknown: {', '.join(map(repr, wrong))}")
    for name, kind in wanted.items():
        if type(found[name]) is not kind:
            raise ChannelError(f"{what}: {name} = {found[name]!r} is of another kind")
    channel = Channel(**{name: found[name] for name in wanted})
    _check(channel, what)
    return channel


def check_usable(channel: Channel, product: str, highest: int, where: str) -> None:
    """`highest`: the largest sequence that this station has ever seen; 0: none. Raises ChannelError."""
    if channel.product != product:
        raise ChannelError(
            f'{where} is for product "{channel.product}", this station makes "{product}"; [channel] url must lead to '
            "the folder of its product"
        )
    if channel.sequence < highest:
        raise ChannelError(
            f"{where} has sequence {channel.sequence}, and this station has seen {highest}: it is an older one, which "
            f"somebody plays back or restored; publish again with --sequence {highest + 1}"
        )


def is_expired(channel: Channel, now: float) -> bool:
    """It says nothing about today any more."""
    return now >= channel.expires_at


def _check(channel: Channel, what: str) -> None:
    def refuse(name: str, allowed: str) -> ChannelError:
        return ChannelError(f"{what}: {name} = {getattr(channel, name)!r}; allowed: {allowed}")

    if not _NAME.fullmatch(channel.archive):
        raise refuse("archive", "a plain name that ends with .tar")
    for name in ("sha256", "engine_id"):
        if not _SHA256.fullmatch(getattr(channel, name)):
            raise refuse(name, "64 hexadecimal digits")
    if not 1 <= channel.sequence <= MAX_SEQUENCE:
        raise refuse("sequence", f"1 to {MAX_SEQUENCE}")
    if channel.size < 1:
        raise refuse("size", "at least 1")
    for name in ("issued", "expires"):
        try:
            moment_of(getattr(channel, name))
        except ValueError as problem:
            raise refuse(name, "a time as 2027-01-31T12:00:00Z") from problem


def moment_of(text: str) -> float:
    """Seconds since the epoch of a time in the file. Raises ValueError."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()


def as_data(channel: Channel) -> dict[str, Any]:
    """For programs."""
    return asdict(channel)
