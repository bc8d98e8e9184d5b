"""Which images are trained on and which are tested: the protocol of the papers (Aqeel et al., VISAPP 2025), which mix
defective images into the training set.

Noise n % means that n % of the training images are defective. Half of the defective images, of each defect type, are
the dirt from which they are taken; the other half and all good test images are tested, whatever the noise, so that
the figures can be compared. A set that brings defective images of its own for training (KSDD2) uses these as dirt and
tests all others. When there is too little dirt for n %, good images are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.errors import TrainingError
from engines.training.evaluation.layouts import LabelledSet

Indices = NDArray[np.intp]

MAX_NOISE_PERCENT = 90


@dataclass(frozen=True)
class Split:
    """Indices into `LabelledSet.samples`."""

    train: Indices
    """In the order in which they would have been taken: the dirt is strewn among the good images."""
    train_is_dirty: NDArray[np.bool_]
    """For each of `train`."""
    test_good: Indices
    test_defective: Indices

    @property
    def oracle_train(self) -> Indices:
        """The good part of the same training set: what a perfect refinement would keep."""
        return self.train[~self.train_is_dirty]

    @property
    def test(self) -> Indices:
        """Good images first."""
        return np.concatenate([self.test_good, self.test_defective])


def standard_split(data: LabelledSet) -> Split:
    """The split of the data set itself: learn all good training images, test all test images."""
    train, _, test_good, test_defective = _parts(data)
    return Split(train, np.zeros(len(train), np.bool_), test_good, test_defective)


def contaminated_split(data: LabelledSet, noise_percent: int, seed: int) -> Split:
    """A training set of which `noise_percent` are defective. Same arguments, same split; dirt of a lower noise is part
    of the dirt of a higher one.

    Raises:
        TrainingError: the noise is not within 0..90, or there are fewer than two defective images.
    """
    if not 0 <= noise_percent <= MAX_NOISE_PERCENT:
        raise TrainingError(f"noise {noise_percent} %: allowed is 0 to {MAX_NOISE_PERCENT}")
    rng = np.random.default_rng(seed)
    good, own_dirt, test_good, test_defective = _parts(data)
    defects = np.array([sample.defect for sample in data.samples])
    if len(own_dirt):
        pool, tested = own_dirt, test_defective
    else:
        if len(test_defective) < 2:
            raise TrainingError(
                f"{data.name} has {len(test_defective)} defective images; contamination needs at least 2: "
                "one to learn and another one to test"
            )
        shuffled = _shuffled_by_type(test_defective, defects, rng)
        tested, pool = np.sort(shuffled[0::2]), shuffled[1::2]
    pool = _strewn(pool, defects, rng)
    good_count, dirt_count = training_counts(len(good), len(pool), noise_percent)
    good = np.sort(rng.permutation(good)[:good_count])
    positions = np.sort(rng.integers(0, good_count + 1, size=dirt_count))
    dirt = rng.permutation(pool[:dirt_count])
    return Split(
        train=np.insert(good, positions, dirt),
        train_is_dirty=np.insert(np.zeros(good_count, np.bool_), positions, np.ones(dirt_count, np.bool_)),
        test_good=test_good,
        test_defective=tested,
    )


def resplit(data: LabelledSet, seed: int, groups: Indices | None = None) -> Split:
    """All good images of the set mixed and divided anew, as many tested as the set itself tests; clean.

    Papers divide sets with several images of one part at random, so that a part is learned and tested. With `groups`
    whole groups are tested, until there are enough: the difference is what the papers' figures owe to that.

    Args:
        groups: a label for every good image, those to train on first; None: each image by itself.

    Raises:
        TrainingError: nothing is left to learn, as all good images are of one group.
    """
    train, _, test_good, test_defective = _parts(data)
    good = np.concatenate([train, test_good])
    labels = np.arange(len(good)) if groups is None else groups
    order = np.random.default_rng(seed).permutation(np.unique(labels))
    counts = np.array([int(np.count_nonzero(labels == label)) for label in order])
    tested = np.isin(labels, order[: int(np.searchsorted(np.cumsum(counts), len(test_good))) + 1])
    if tested.all():
        raise TrainingError(f"{data.name}: its {len(good)} good images look like one part: no split by part")
    return Split(good[~tested], np.zeros(int((~tested).sum()), np.bool_), good[tested], test_defective)


def training_counts(good: int, dirt: int, noise_percent: int) -> tuple[int, int]:
    """How many good and how many defective images to learn, for this noise and as many good ones as possible."""
    share = noise_percent / 100
    wanted = round(good * share / (1 - share))
    if wanted <= dirt:
        return good, wanted
    return min(good, round(dirt * (1 - share) / share)), dirt


def _parts(data: LabelledSet) -> tuple[Indices, Indices, Indices, Indices]:
    """Indices of good and defective training images, good and defective test images."""
    counts = [len(part) for part in (data.train_good, data.train_defective, data.test_good, data.test_defective)]
    ends = np.cumsum(counts)
    first, second, third, fourth = np.split(np.arange(ends[-1]), ends[:-1])
    return first, second, third, fourth


def _shuffled_by_type(indices: Indices, defects: NDArray[np.str_], rng: np.random.Generator) -> Indices:
    """One defect type after the other, each in random order: taking every second halves every type."""
    return np.concatenate([rng.permutation(indices[defects[indices] == defect]) for defect in _types(defects[indices])])


def _strewn(indices: Indices, defects: NDArray[np.str_], rng: np.random.Generator) -> Indices:
    """Ordered so that any beginning holds the defect types in their proportion."""
    ordered = _shuffled_by_type(indices, defects, rng)
    types = defects[ordered]
    rank = np.concatenate([(np.arange(count) + rng.random()) / count for count in _type_counts(types)])
    return ordered[np.argsort(rank, kind="stable")]


def _types(defects: NDArray[np.str_]) -> Sequence[str]:
    return [str(defect) for defect in np.unique(defects)]


def _type_counts(ordered: NDArray[np.str_]) -> list[int]:
    return [int(np.count_nonzero(ordered == defect)) for defect in _types(ordered)]
