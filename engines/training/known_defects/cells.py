"""Whitened cells of images by models that have not learned them: what heads and kinds are fitted to.

A cell that was learned lies nearer to the mean than one that was not. So cells of good images come from the models of
cross-fitting, and those of labelled images from the final one, which has never learned them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.detectors.base import Detector
from engines.training.fitting.crossfit import CrossFit
from engines.training.fitting.train import CLOSED_FORM, SCORE_BATCH, Weights, score, train
from engines.training.images.features import CachedFeatures, take
from engines.training.images.grouping import twin_groups
from engines.training.refinement.records import Indices


class Cells:
    """Makes whitened cells a batch at a time, from features on disk: memory does not grow with the number of images.

    Args:
        detector: trained on `kept`; not changed.
        held_out: of the kept images.
        weights: of the cells of all images of the features.
        models: of cross-fitting, in the order of the folds; none: they are fitted here, in closed form.
    """

    def __init__(
        self,
        detector: Detector,
        features: CachedFeatures,
        kept: Indices,
        held_out: CrossFit,
        *,
        weights: Weights,
        models: Sequence[Detector] = (),
    ) -> None:
        self.detector = detector
        self.kept, self.held_out = kept, held_out
        self.folds = held_out.fold_of_each
        """Of each of the kept images."""
        self._features, self._weights = features, weights
        self.given = tuple(models)
        """Those of cross-fitting that it was made with."""

    def with_held_out(self, held_out: CrossFit) -> Cells:
        """The same cells, beside other held-out scores."""
        return Cells(self.detector, self._features, self.kept, held_out, weights=self._weights, models=self.given)

    @cached_property
    def are_there(self) -> bool:
        """The detector has whitened cells."""
        with torch.inference_mode():
            return self.detector.cells(take(self._features, self.kept[:1])) is not None

    @cached_property
    def models(self) -> tuple[Detector, ...]:
        """Without each fold in turn."""
        if self.given:
            return self.given
        found = []
        for fold in range(self.held_out.folds):
            model = copy.deepcopy(self.detector)
            train(model, self._features, self.kept[self.folds != fold], CLOSED_FORM, self._weights)
            found.append(model)
        return tuple(found)

    def of_good(self, fold: int, usable: NDArray[np.bool_] | None = None) -> Iterator[Tensor]:
        """Batches (n, map_height, map_width, dim) of the images of this fold, by the model without it.

        Args:
            usable: of the kept images those that are wanted; None: all.
        """
        wanted = self.folds == fold
        return self._made(self.models[fold], self.kept[wanted if usable is None else wanted & usable])

    def of_others(self, images: Indices) -> Iterator[Tensor]:
        """Batches (n, map_height, map_width, dim) of images that nobody has learned, by the detector."""
        return self._made(self.detector, images)

    def score_others(self, images: Indices) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Scores (n,) and maps (n, map_height, map_width) of images that nobody has learned, by the detector."""
        return score(self.detector, self._features, images)

    def twin_groups(self, others: Indices) -> NDArray[np.intp]:
        """A label for each kept image and then for each of the others; twins have the same."""
        return twin_groups(self._features, np.concatenate([self.kept, others]))

    def _made(self, model: Detector, images: Indices) -> Iterator[Tensor]:
        for start in range(0, len(images), SCORE_BATCH):
            with torch.inference_mode():
                z = model.cells(take(self._features, images[start : start + SCORE_BATCH]))
            assert z is not None  # who makes heads has asked
            yield z
