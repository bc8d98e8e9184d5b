"""Which images show nearly the same: they must not vouch for each other.

The same part taken at several exposures, or twice in a row, is no independent witness. If one of two such images is
learned and the other held out, held-out scores are too good, limits too tight, and defects hide behind their twins.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

NEIGHBOUR = 15
"""How many images further lies what counts as merely similar: more than the copies there are of one part."""
TWIN_RATIO = 0.7
"""Twins are nearer to each other than this times what is merely similar to either."""
IDENTICAL = 1e-4
"""Rounding of the distance of two unit vectors."""
MIN_LARGE_GROUP = 4
MAX_GROUP_SHARE = 0.1
"""Larger groups are no copies of one part but a product that hardly varies."""


def twin_groups(features: Mapping[str, NDArray[np.float16]], indices: NDArray[np.intp]) -> NDArray[np.intp]:
    """A label for each of the images `indices`; images with the same label show nearly the same.

    Labels are positions of the first image of the group.
    """
    smallest = min(features.values(), key=lambda array: array[0].size)
    looks = np.asarray(smallest[indices], np.float32).reshape(len(indices), -1)
    if len(indices) <= NEIGHBOUR:
        return np.arange(len(indices))
    looks = looks - looks.mean(axis=0)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True) + 1e-12  # an exposure changes the strength of all features
    distances = pairwise_distances(looks, looks)
    np.fill_diagonal(distances, np.inf)
    similar = np.partition(distances, NEIGHBOUR - 1, axis=1)[:, NEIGHBOUR - 1]
    twins = distances <= TWIN_RATIO * np.minimum(similar[:, np.newaxis], similar[np.newaxis, :]) + IDENTICAL
    labels = connected(twins)
    _, group, counts = np.unique(labels, return_inverse=True, return_counts=True)
    too_large = counts[group] > max(MIN_LARGE_GROUP, MAX_GROUP_SHARE * len(indices))
    return np.where(too_large, np.arange(len(indices)), labels)


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
