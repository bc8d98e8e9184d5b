"""Which images show nearly the same: they must not vouch for each other.

The same part taken at several exposures, or twice in a row, is no independent witness. If one of two such images is
learned and the other held out, held-out scores are too good, limits too tight, and defects hide behind their twins.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engines.detectors.without_torch import DETAIL

NEIGHBOUR = 15
"""How many images further lies what counts as merely similar: more than the copies there are of one part."""
TWIN_RATIO = 0.7
"""Twins are nearer to each other than this times what is merely similar to either."""
EVERYWHERE_RATIO = 0.8
"""And nearer than this at `EVERYWHERE_SHARE` of all places. Of eight bottles with the same dark ring among 72 without,
pairs reach 0.85 to 1 and looked like copies as a whole; exposures of one magnetic tile reach 0.5 to 0.76."""
EVERYWHERE_SHARE = 0.75
IDENTICAL = 1e-4
"""Rounding of the distance of two unit vectors."""
HALF_IDENTICAL = 2e-3
"""The same of half precision numbers, each place by itself."""
MIN_LARGE_GROUP = 4
MAX_GROUP_SHARE = 0.1
"""Larger groups are no copies of one part but a product that hardly varies."""
PAIRS_AT_ONCE = 256
"""Compared place by place: bounds the memory."""


def twin_groups(features: Mapping[str, NDArray[np.float16]], indices: NDArray[np.intp]) -> NDArray[np.intp]:
    """A label for each of the images `indices`; images with the same label show nearly the same as a whole, be it that
    they show one part or that they share a mark which outweighs the rest.

    Labels are positions of the first image of the group.
    """
    if len(indices) <= NEIGHBOUR:
        return np.arange(len(indices))
    twins, _ = _twins(features, indices)
    return _labels(twins)


def part_groups(features: Mapping[str, NDArray[np.float16]], indices: NDArray[np.intp]) -> NDArray[np.intp]:
    """As `twin_groups`, of images that show nearly the same everywhere: parts that share a mark are no group."""
    if len(indices) <= NEIGHBOUR:
        return np.arange(len(indices))
    twins, neighbour = _twins(features, indices)
    pairs = np.argwhere(np.triu(twins))
    compared = [array for name, array in features.items() if name != DETAIL]
    everywhere = _twins_everywhere(max(compared, key=lambda array: array[0].size), indices, pairs, neighbour)
    linked = np.zeros_like(twins)
    linked[tuple(pairs[everywhere].T)] = True
    return _labels(linked | linked.T)


def _twins(
    features: Mapping[str, NDArray[np.float16]], indices: NDArray[np.intp]
) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Which images are near each other, and for each an image that is merely similar."""
    looks = np.asarray(coarsest(features)[indices], np.float32).reshape(len(indices), -1)
    looks = looks - looks.mean(axis=0)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True) + 1e-12  # an exposure changes the strength of all features
    distances = pairwise_distances(looks, looks)
    np.fill_diagonal(distances, np.inf)
    neighbour = np.argpartition(distances, NEIGHBOUR - 1, axis=1)[:, NEIGHBOUR - 1]
    similar = distances[np.arange(len(indices)), neighbour]
    return distances <= TWIN_RATIO * np.minimum(similar[:, np.newaxis], similar[np.newaxis, :]) + IDENTICAL, neighbour


def _labels(twins: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Of the connected images; too large groups are none."""
    labels = connected(twins)
    _, group, counts = np.unique(labels, return_inverse=True, return_counts=True)
    too_large = counts[group] > max(MIN_LARGE_GROUP, MAX_GROUP_SHARE * len(twins))
    return np.where(too_large, np.arange(len(twins)), labels)


def _twins_everywhere(
    finest: NDArray[np.float16], indices: NDArray[np.intp], pairs: NDArray[np.intp], neighbour: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Whether the images of each pair are near each other place by place, compared with what is merely similar.

    In the finest features: those of deep layers see the whole image from every place.

    Args:
        pairs: (pairs, 2), positions in `indices`.
        neighbour: for each of `indices` the position of an image that is merely similar.
    """
    if len(pairs) == 0:
        return np.zeros(0, np.bool_)
    involved, place = np.unique(pairs, return_inverse=True)
    place = place.reshape(pairs.shape)
    mean = finest[indices[:: -(-len(indices) // PAIRS_AT_ONCE)]].astype(np.float32).mean(axis=0)

    def directions(positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """(positions, places, dim): how images differ from the mean at each place, whatever the strength."""
        values: NDArray[np.float32] = finest[indices[positions]].astype(np.float32) - mean
        values /= np.linalg.norm(values, axis=-1, keepdims=True) + 1e-12
        return values.reshape(len(positions), -1, values.shape[-1])

    def far(first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.float64]:
        found = np.empty(len(first))
        for start in range(0, len(first), PAIRS_AT_ONCE):
            some = slice(start, start + PAIRS_AT_ONCE)
            apart = np.linalg.norm(directions(first[some]) - directions(second[some]), axis=-1)
            found[some] = np.quantile(apart, EVERYWHERE_SHARE, axis=1)
        return found

    similar = far(involved, neighbour[involved])
    apart = far(pairs[:, 0], pairs[:, 1])
    near: NDArray[np.bool_] = apart <= EVERYWHERE_RATIO * similar[place].min(axis=1) + HALF_IDENTICAL
    return near


def coarsest(features: Mapping[str, NDArray[np.float16]]) -> NDArray[np.float16]:
    """The features with the fewest numbers an image: what an image looks like as a whole."""
    return min((array for name, array in features.items() if name != DETAIL), key=lambda array: array[0].size)


def pairwise_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Euclidean distances (len(a), len(b)) of the rows."""
    left, right = a.astype(np.float64), b.astype(np.float64)
    squares = (left**2).sum(axis=1)[:, np.newaxis] + (right**2).sum(axis=1)[np.newaxis, :]
    distances: NDArray[np.float64] = np.sqrt(np.maximum(squares - 2 * left @ right.T, 0.0))
    return distances


def connected(linked: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For every node of a symmetric adjacency matrix the smallest node of its connected component."""
    labels: NDArray[np.intp] = np.arange(len(linked))
    linked = linked | np.eye(len(linked), dtype=bool)
    while True:
        merged: NDArray[np.intp] = np.where(linked, labels[np.newaxis, :], len(linked)).min(axis=1)
        if (merged == labels).all():
            return labels
        labels = merged
