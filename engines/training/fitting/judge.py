"""What refinement asks of a detector: scores of images by models that have seen them, or have not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from engines.detectors.base import Detector
from engines.training.fitting.crossfit import FOLDS, cross_fit
from engines.training.fitting.train import CLOSED_FORM, MAX_CLOSED_FORM_IMAGES, TrainOptions, for_all, score, train
from engines.training.images.features import CachedFeatures
from engines.training.images.grouping import coarsest, part_groups, twin_groups
from engines.training.images.looks import looks
from engines.training.images.recurrence import recurring_places
from engines.training.refinement.records import CellWeights, Indices, Scores

FINE_TUNE_SHARE = 0.2
"""Of the detector's steps, after each removal of the papers' refinement."""


class FeatureJudge:
    """The `Judge` of refinement for a detector on cached features.

    Held-out scores are of the closed form where there is one: couplings soak up dirt, and the rounds stay cheap.
    """

    def __init__(
        self,
        detector: Detector,
        features: CachedFeatures,
        indices: Indices,
        training: TrainOptions,
        grouped: Callable[[CachedFeatures, Indices], Indices] = twin_groups,
    ) -> None:
        """`grouped`: which images are held out together."""
        self._grouped = grouped
        self.detector = detector
        self._features = features
        self._indices = indices
        self._training = training
        self._trained = False

    @cached_property
    def _groups(self) -> Indices:
        return self._grouped(self._features, self._indices)

    def own(self, kept: Indices, *, continued: bool) -> Scores:
        """See `Judge.own`; a detector with a closed form is refined by that, as in `unseen`."""
        images = self._indices[kept]
        training = CLOSED_FORM if self.detector.has_closed_form else self._training
        fine_tuned = continued and self._trained and training.steps_of(self.detector) > 0
        if fine_tuned:
            steps = max(1, round(FINE_TUNE_SHARE * training.steps_of(self.detector)))
            training = TrainOptions(steps, training.seed)
        train(self.detector, self._features, images, training, continued=fine_tuned)
        self._trained = True
        scores, _ = score(self.detector, self._features, images)
        return scores

    def unseen(self, learned: Indices, weights: CellWeights | None) -> tuple[Scores, NDArray[np.float32]]:
        """See `Judge.unseen`."""
        found = cross_fit(
            self.detector,
            self._features,
            self._indices,
            CLOSED_FORM if self.detector.has_closed_form else self._training,
            learned=self._indices[learned],
            weights=for_all(weights, self._indices, self._features),
            groups=self._groups,
            folds=FOLDS,  # compared with each other: more would double the time and change little
        )
        return found.image_scores, found.maps

    def positive(self, scores: Scores) -> Scores:
        """See `Judge.positive`."""
        return np.asarray(self.detector.positive(torch.from_numpy(scores)).numpy(), np.float64)

    def describe(self, images: Indices, kept: Indices) -> NDArray[np.float32]:
        """See `Judge.describe`: of the coarsest features, see `looks`."""
        values = coarsest(self._features)
        ordinary = kept[:: -(-len(kept) // MAX_CLOSED_FORM_IMAGES)]
        return looks(values[self._indices[images]], values[self._indices[ordinary]])

    def parts(self) -> Indices:
        """See `Judge.parts`."""
        return self._parts

    @cached_property
    def _parts(self) -> Indices:
        return part_groups(self._features, self._indices)

    def recurring(self, differs: NDArray[np.bool_], learned: Indices) -> NDArray[np.bool_]:
        """See `Judge.recurring`: of the coarsest features, see `recurring_places`."""
        values = coarsest(self._features)
        return recurring_places(values[self._indices], differs, learned, self._parts)
