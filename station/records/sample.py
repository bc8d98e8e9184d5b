"""Chance that is drawn once for ever: which parts belong to a random sample, the same for whoever asks, at any time.

A number from the run and the part alone: the daemon decides by it whose image is kept, the review which of these parts
people look at, and neither can prefer parts that look good. Parts in a smaller sample are in every larger one.
"""

from __future__ import annotations

from hashlib import blake2b

_STEPS = 2.0**53
"""What a float holds exactly: a share of 1.0 takes every part."""


def chance(session: str, acquisition_id: int, purpose: str = "") -> float:
    """A number in [0, 1), evenly distributed over parts; another `purpose` draws another one for the same part."""
    name = f"{session}/{acquisition_id}/{purpose}".encode("utf-8", "surrogateescape")
    number = int.from_bytes(blake2b(name, digest_size=8).digest(), "big")
    return (number >> 11) / _STEPS


def in_sample(session: str, acquisition_id: int, share: float, purpose: str = "") -> bool:
    """Whether a part is in the random sample that takes this share of all parts."""
    return chance(session, acquisition_id, purpose) < share
