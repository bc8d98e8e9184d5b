"""Kinds of defects from a few labelled images: means of what their hottest cells look like, and when to say unknown.

The limit of likeness below which a kind is unknown comes from leaving out: each labelled image is compared with kinds
that were made without it and its twins (it should be named), and with those that are left when its whole kind is away
(it should be unknown). The limit makes as few mistakes of both sorts as possible. Where a kind has one image the first
cannot be known, and the limit is what few strangers reach.

Kinds are means, so leaving images out is subtracting them from sums: a thousand labels take a tenth of a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.bundle.kinds import KindsRecord

MIN_KINDS = 2
"""With one there is nothing to distinguish."""
STRANGERS = 0.8
"""Share of the strangers below the limit, where no image could be left out of its own kind."""


@dataclass(frozen=True)
class Examples:
    """What kinds are fitted to: labelled images as their hottest cells look. In the same order throughout."""

    looks: NDArray[np.float64]
    """(images, dim)."""
    names: tuple[str, ...]
    """Of the kind of each."""
    groups: NDArray[np.intp]
    """Images with the same number show the same part, or nearly the same: they do not vouch for each other."""
    positions: NDArray[np.intp]
    """Of the images, among those of whoever made the looks."""


@dataclass(frozen=True)
class FoundKinds:
    """What labelled images say of kinds: constants of the graph, and their record."""

    common: NDArray[np.float32]
    """(dim,), what all kinds have in common."""
    means: NDArray[np.float32]
    """(kinds, dim), unit vectors from there to each."""
    record: KindsRecord
    examples: Examples

    def likeness(self, looks: NDArray[np.float64]) -> NDArray[np.float64]:
        """(images, kinds), what the graph gives for images that look so: `looks` (images, dim)."""
        return np.asarray(_unit(looks - self.common) @ self.means.T.astype(np.float64), np.float64)


def fit_kinds(examples: Examples) -> FoundKinds:
    """Kinds of these images, of at least two names."""
    kinds = sorted(set(examples.names))
    of = np.array([kinds.index(name) for name in examples.names], np.intp)
    sums = _Sums.of(examples.looks, of)
    limit, right, unknown, tried = _limit(examples, of, sums)
    common, means = _directions(sums.total / sums.count[:, np.newaxis])
    record = KindsRecord(
        names=tuple(kinds),
        labelled=tuple(int(count) for count in sums.count),
        least_likeness=limit,
        left_out=tried,
        right=right,
        unknown=unknown,
    )
    return FoundKinds(common.astype(np.float32), means.astype(np.float32), record, examples)


@dataclass(frozen=True)
class _Sums:
    """Of the looks of each kind."""

    total: NDArray[np.float64]
    """(kinds, dim)."""
    count: NDArray[np.float64]
    """(kinds,)."""

    @classmethod
    def of(cls, looks: NDArray[np.float64], of: NDArray[np.intp], kinds: int | None = None) -> _Sums:
        """`of`: number of the kind of each."""
        member = (of[:, np.newaxis] == np.arange(kinds or int(of.max()) + 1)).astype(np.float64)
        return cls(member.T @ looks, member.sum(axis=0))

    def without(self, looks: NDArray[np.float64], of: NDArray[np.intp]) -> _Sums:
        """Without some of them."""
        other = _Sums.of(looks, of, len(self.count))
        return _Sums(self.total - other.total, self.count - other.count)


def _limit(examples: Examples, of: NDArray[np.intp], sums: _Sums) -> tuple[float, int, int, int]:
    """The limit, and of the images left out of their kind how many are named rightly, are unknown, and there are."""
    looks, groups = examples.looks, examples.groups
    own: list[tuple[float, bool]] = []
    strangers: list[float] = []
    kinds = np.arange(len(sums.count))
    for image, kind in enumerate(of):
        twins = np.flatnonzero(groups == groups[image])
        others = sums.without(looks[twins], of[twins])
        if others.count[kind] > 0:
            likeness, found = _nearest(others, kinds[others.count > 0], looks[image])
            own.append((likeness, found == int(kind)))
        away = kinds[kinds != kind]
        if len(away) >= MIN_KINDS:
            strangers.append(_nearest(sums, away, looks[image])[0])
    rights = np.array([likeness for likeness, right in own if right])
    wrongs = np.array([*strangers, *(likeness for likeness, right in own if not right)])
    if not len(rights) or not len(wrongs):
        limit = float(np.quantile(wrongs, STRANGERS)) if len(wrongs) else 0.0
    else:
        tried = np.unique(np.concatenate([rights, wrongs]))
        # Below a limit that is right is a mistake, and at or above one that is wrong.
        missed = np.searchsorted(np.sort(rights), tried, side="left") / len(rights)
        taken = (len(wrongs) - np.searchsorted(np.sort(wrongs), tried, side="left")) / len(wrongs)
        limit = float(tried[int(np.argmin(missed + taken))])
    right = sum(bool(is_right) and likeness >= limit for likeness, is_right in own)
    return _bounded(limit), right, sum(likeness < limit for likeness, _ in own), len(own)


def _bounded(limit: float) -> float:
    """A cosine: rounding may exceed 1 by a breath."""
    return min(1.0, max(-1.0, limit))


def _directions(means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What all kinds have in common (dim,), and the unit vectors (kinds, dim) from there to each."""
    common = means.mean(axis=0)
    return common, _unit(means - common)


def _nearest(sums: _Sums, kinds: NDArray[np.intp], look: NDArray[np.float64]) -> tuple[float, int]:
    """The likeness of an image to the one of `kinds` that it looks most like, and which that is."""
    common, directions = _directions(sums.total[kinds] / sums.count[kinds, np.newaxis])
    likeness = directions @ _unit((look - common)[np.newaxis])[0]
    return float(likeness.max()), int(kinds[int(likeness.argmax())])


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float64)
