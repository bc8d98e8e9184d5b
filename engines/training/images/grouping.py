"""Which images show nearly the same: they must not vouch for each other.

The same part taken at several exposures, or twice in a row, is no independent witness. If one of two such images is
learned and the other held out, held-out scores are too good, limits too tight, and defects hide behind their twins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

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
IMAGES_AT_ONCE = 512
"""Compared with as many others as wholes: bounds the memory, whatever the number of images."""
NEAR_SQUARE = 1e-2
"""Of the largest squared length: nearer rows are compared in double precision. Single precision is off by some 1e-6 of
it, so by 1e-3 in the distance of identical images, ten times `IDENTICAL`, and by 1e-5 beyond this."""

Pairs = NDArray[np.intp]
"""(pairs, 2): positions."""
Looks = Callable[[NDArray[np.intp]], NDArray[np.float32]]
"""(images,) positions -> (images, dim): how images differ from the mean as a whole, of unit length."""


def twin_groups(features: Mapping[str, NDArray[np.float16]], indices: NDArray[np.intp]) -> NDArray[np.intp]:
    """A label for each of the images `indices`; images with the same label show nearly the same as a whole, be it that
    they show one part or that they share a mark which outweighs the rest.

    Labels are positions of the first image of the group. Time grows with the square of the images, memory does not.
    """
    labels: NDArray[np.intp] = np.arange(len(indices))
    if len(indices) <= NEIGHBOUR:
        return labels
    looks = _looks(coarsest(features), indices)
    for pairs in _twins(looks, _neighbourhood(looks, len(indices))):
        labels = _joined(labels, pairs)
    return _without_too_large(labels)


def part_groups(features: Mapping[str, NDArray[np.float16]], indices: NDArray[np.intp]) -> NDArray[np.intp]:
    """As `twin_groups`, of images that show nearly the same everywhere: parts that share a mark are no group."""
    labels: NDArray[np.intp] = np.arange(len(indices))
    if len(indices) <= NEIGHBOUR:
        return labels
    looks = _looks(coarsest(features), indices)
    around = _neighbourhood(looks, len(indices))
    compared = [array for name, array in features.items() if name != DETAIL]
    places = _Places(max(compared, key=lambda array: array[0].size), indices, around.neighbour)
    for pairs in _twins(looks, around):
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            some = pairs[start : start + PAIRS_AT_ONCE]
            some = some[labels[some[:, 0]] != labels[some[:, 1]]]  # of one group already: links change nothing
            labels = _joined(labels, some[places.are_twins(some)])
    return _without_too_large(labels)


@dataclass(frozen=True)
class _Neighbourhood:
    """What is near each image, as a whole; positions in the images that are compared."""

    nearest: NDArray[np.float64]
    """Distance of the nearest other image."""
    similar: NDArray[np.float64]
    """Distance of what is merely similar."""
    neighbour: NDArray[np.intp]
    """That image."""


def _looks(values: NDArray[np.float16], indices: NDArray[np.intp]) -> Looks:
    """Only the images that are asked for are there in single precision."""

    def read(positions: NDArray[np.intp]) -> NDArray[np.float32]:
        return np.asarray(values[indices[positions]], np.float32).reshape(len(positions), -1)

    mean = np.zeros(values[0].size)
    for start in range(0, len(indices), IMAGES_AT_ONCE):
        mean += read(np.arange(start, min(start + IMAGES_AT_ONCE, len(indices)))).sum(axis=0, dtype=np.float64)
    mean_look = (mean / len(indices)).astype(np.float32)

    def looks(positions: NDArray[np.intp]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = read(positions) - mean_look
        # An exposure changes the strength of all features.
        found /= np.linalg.norm(found, axis=1, keepdims=True) + 1e-12
        return found

    return looks


def _compared(
    looks: Looks, positions: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]]:
    """Each image with each, once: two lists of positions, and their distances; of an image to itself infinite."""
    blocks = [positions[start : start + IMAGES_AT_ONCE] for start in range(0, len(positions), IMAGES_AT_ONCE)]
    for number, first in enumerate(blocks):
        of_first = looks(first)
        distances = pairwise_distances(of_first, of_first)
        np.fill_diagonal(distances, np.inf)
        yield first, first, distances
        for second in blocks[number + 1 :]:
            yield first, second, pairwise_distances(of_first, looks(second))


def _neighbourhood(looks: Looks, count: int) -> _Neighbourhood:
    """Of each of `count` images, more than `NEIGHBOUR`."""
    distance = np.full((count, NEIGHBOUR), np.inf)
    image = np.zeros((count, NEIGHBOUR), np.intp)

    def keep_nearest(of: NDArray[np.intp], others: NDArray[np.intp], found: NDArray[np.float64]) -> None:
        far = np.concatenate([distance[of], found], axis=1)
        which = np.concatenate([image[of], np.broadcast_to(others, found.shape)], axis=1)
        kept = np.argpartition(far, NEIGHBOUR - 1, axis=1)[:, :NEIGHBOUR]
        distance[of], image[of] = np.take_along_axis(far, kept, axis=1), np.take_along_axis(which, kept, axis=1)

    for first, second, found in _compared(looks, np.arange(count)):
        keep_nearest(first, second, found)
        if first is not second:
            keep_nearest(second, first, found.T)
    last = distance.argmax(axis=1)
    every = np.arange(count)
    return _Neighbourhood(distance.min(axis=1), distance[every, last], image[every, last])


def _twins(looks: Looks, around: _Neighbourhood) -> Iterator[Pairs]:
    """Pairs of images that are near each other, each once, a block at a time."""
    may = np.flatnonzero(around.nearest <= TWIN_RATIO * around.similar + IDENTICAL)
    for first, second, distances in _compared(looks, may):
        similar = np.minimum(around.similar[first][:, np.newaxis], around.similar[second][np.newaxis, :])
        left, right = np.nonzero(distances <= TWIN_RATIO * similar + IDENTICAL)
        pairs = np.stack([first[left], second[right]], axis=1)
        yield pairs[pairs[:, 0] < pairs[:, 1]]


def _without_too_large(labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Too large groups are none."""
    _, group, counts = np.unique(labels, return_inverse=True, return_counts=True)
    too_large = counts[group] > max(MIN_LARGE_GROUP, MAX_GROUP_SHARE * len(labels))
    return np.where(too_large, np.arange(len(labels)), labels)


class _Places:
    """Whether images are near each other place by place, compared with what is merely similar.

    In the finest features: those of deep layers see the whole image from every place.
    """

    def __init__(self, finest: NDArray[np.float16], indices: NDArray[np.intp], neighbour: NDArray[np.intp]) -> None:
        """`neighbour`: for each of `indices` the position of an image that is merely similar."""
        self._finest = finest
        self._indices = indices
        self._neighbour = neighbour
        self._mean = finest[indices[:: -(-len(indices) // PAIRS_AT_ONCE)]].astype(np.float32).mean(axis=0)
        self._similar = np.full(len(indices), np.nan)
        """Found when it is asked for."""

    def are_twins(self, pairs: Pairs) -> NDArray[np.bool_]:
        """(pairs,): for each of at most `PAIRS_AT_ONCE`."""
        if len(pairs) == 0:
            return np.zeros(0, np.bool_)
        new = np.unique(pairs[np.isnan(self._similar[pairs])])
        for start in range(0, len(new), PAIRS_AT_ONCE):
            some = new[start : start + PAIRS_AT_ONCE]
            self._similar[some] = self._far(some, self._neighbour[some])
        near: NDArray[np.bool_] = (
            self._far(pairs[:, 0], pairs[:, 1]) <= EVERYWHERE_RATIO * self._similar[pairs].min(axis=1) + HALF_IDENTICAL
        )
        return near

    def _far(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.float64]:
        """How far most places of two images are apart at most."""
        apart = np.linalg.norm(self._directions(first) - self._directions(second), axis=-1)
        found: NDArray[np.float64] = np.quantile(apart, EVERYWHERE_SHARE, axis=1)
        return found

    def _directions(self, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """(positions, places, dim): how images differ from the mean at each place, whatever the strength."""
        values: NDArray[np.float32] = self._finest[self._indices[positions]].astype(np.float32) - self._mean
        values /= np.linalg.norm(values, axis=-1, keepdims=True) + 1e-12
        return values.reshape(len(positions), -1, values.shape[-1])


def coarsest(features: Mapping[str, NDArray[np.float16]]) -> NDArray[np.float16]:
    """The features with the fewest numbers an image: what an image looks like as a whole."""
    return min((array for name, array in features.items() if name != DETAIL), key=lambda array: array[0].size)


def pairwise_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Euclidean distances (len(a), len(b)) of the rows; in double precision where any are near each other."""
    of_a, of_b = (np.einsum("ij,ij->i", each, each, dtype=np.float64) for each in (a, b))
    lengths = of_a[:, np.newaxis] + of_b[np.newaxis, :]
    products = (a @ b.T).astype(np.float64)
    squares: NDArray[np.float64] = lengths - 2 * products
    is_near = squares < NEAR_SQUARE * max(of_a.max(initial=0.0), of_b.max(initial=0.0))
    if a is b:
        np.fill_diagonal(is_near, val=False)  # zero, known before
    if is_near.any():
        squares = lengths - 2 * (a.astype(np.float64) @ b.astype(np.float64).T)
    distances: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0.0))
    if a is b:
        np.fill_diagonal(distances, 0.0)
    return distances


def connected(linked: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For every node of a symmetric adjacency matrix the smallest node of its connected component."""
    labels: NDArray[np.intp] = np.arange(len(linked))
    for start in range(0, len(linked), IMAGES_AT_ONCE):
        pairs = np.argwhere(linked[start : start + IMAGES_AT_ONCE])
        pairs[:, 0] += start
        labels = _joined(labels, pairs)
    return labels


def _joined(labels: NDArray[np.intp], pairs: Pairs) -> NDArray[np.intp]:
    """The smallest node of each component, of what `labels` says and the links `pairs` between nodes."""
    while True:
        ends = labels[pairs]
        smaller = ends.min(axis=1)
        if (ends == smaller[:, np.newaxis]).all():
            return labels
        into: NDArray[np.intp] = np.arange(len(labels))
        np.minimum.at(into, ends.max(axis=1), smaller)
        while (into[into] != into).any():
            into = into[into]
        labels = into[labels]
