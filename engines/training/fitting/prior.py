"""How much a prior of other sites counts: what explains the site's own unseen images best, stream by stream.

The others do not choose: only held-out images of the site that teaches do. Where the prior does not help, it counts
nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engines.detectors.base import Detector
from engines.detectors.prior import Others, Prior, PriorWeights
from engines.detectors.sums import Sums
from engines.errors import TrainingError
from engines.training.fitting.crossfit import fold_of
from engines.training.fitting.train import Weights, taken
from engines.training.images.features import CachedFeatures, take

FOLDS = 4
MEAN_WEIGHTS = (0.0, 2.0, 10.0, 50.0)
COVARIANCE_WEIGHTS = (0.0, 20.0, 100.0, 500.0)
"""How many images the prior may count as (`benchmarks/site_prior.py`)."""
CHOICES = tuple(PriorWeights(*counts) for counts in itertools.product(MEAN_WEIGHTS, COVARIANCE_WEIGHTS))


def chosen_prior(
    detector: Detector,
    features: CachedFeatures,
    indices: NDArray[np.intp],
    others: Sums,
    *,
    weights: Weights = None,
    groups: NDArray[np.intp],
) -> Prior:
    """A prior of the others' sums, weighed by the held-out deviance of the images `indices`.

    Args:
        weights: of the cells of all images of the features.
        groups: `twin_groups` of `indices`; what is in one group is held out together.

    Raises:
        TrainingError: the detector does not learn from sums, or these are of another one.
    """
    if not detector.has_sums:
        raise TrainingError("this detector has no closed form of sums: a prior is for --detector spatial")
    prior = {name: Others.of(one) for name, one in others.items()}
    place = fold_of(groups, FOLDS)
    losses: dict[str, NDArray[np.float64]] = {name: np.zeros(len(CHOICES)) for name in prior}
    for fold in range(FOLDS):
        seen, unseen = indices[place != fold], indices[place == fold]
        if not len(unseen) or not len(seen):
            continue
        mine = detector.sums(take(features, seen), taken(weights, seen))
        held_out = take(features, unseen), taken(weights, unseen)
        for number, choice in enumerate(CHOICES):
            joined = Prior(prior, dict.fromkeys(prior, choice)).joined(mine)
            for name, value in detector.deviances(joined, *held_out).items():
                losses[name][number] += value * len(unseen)
    best: Mapping[str, PriorWeights] = {name: CHOICES[int(np.argmin(values))] for name, values in losses.items()}
    return Prior(prior, best)
