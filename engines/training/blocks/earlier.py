"""What a teaching makes of the blocks before it: their sums join its own, and their scores the sample of its limits.

Each fold of a block is held out together with the same fold of every other block, so the models that its images are
scored by have seen none of them: total of all sums less those of the fold. With one block alone that is the closed form
as ever; a block that is left out leaves nothing behind, since no other one knows of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engines.detectors.base import Detector
from engines.detectors.detail import detail_sums
from engines.detectors.sums import LocationSums, Sums, added, without
from engines.detectors.without_torch import DETAIL
from engines.errors import TrainingError
from engines.training.blocks.block import Block
from engines.training.fitting.crossfit import fold_of
from engines.training.fitting.train import MAX_DETAIL_IMAGES, score
from engines.training.images.features import take


@dataclass(frozen=True)
class Weighed:
    """A block, and how much it counts in what is normal: above 0, at most 1. In the limits it counts whole."""

    block: Block
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise TrainingError(
                f'block "{self.block.name}", weight {self.weight}: above 0 and at most 1; to leave it out: --without'
            )


@dataclass(frozen=True)
class Sample:
    """Held-out scores of the images of all blocks that limits are drawn from."""

    scores: NDArray[np.float64]
    peaks: NDArray[np.float64]
    """The highest cell of each map."""


class Earlier:
    """Owns the sums of some blocks, fold by fold. `folds`: of the teaching."""

    def __init__(self, detector: Detector, blocks: Sequence[Weighed], folds: int) -> None:
        """Raises TrainingError: the detector does not learn from sums."""
        if not detector.has_sums:
            raise TrainingError("this detector has no closed form of sums: blocks are for --detector spatial")
        self.blocks, self.folds = tuple(blocks), folds
        of_folds: list[Sums | None] = [None] * folds
        for one in blocks:
            places = fold_of(one.block.groups.astype(np.intp), folds)
            for fold in range(folds):
                of_folds[fold] = added(of_folds[fold], sums_of(detector, one.block, places == fold), one.weight)
        self._of_folds = [one for one in of_folds if one is not None]
        total: Sums | None = None
        for sums in self._of_folds:
            total = added(total, sums)
        assert total is not None, "there is at least one block"
        detail: LocationSums | None = None
        for one in blocks:
            if (found := _detail_of(one.block)) is not None:
                detail = found * one.weight if detail is None else detail + found * one.weight
        self._without_detail = total
        self.total: Sums = total if detail is None else {**total, DETAIL: detail}
        """Of everything that was learned."""

    @property
    def learned(self) -> int:
        """How many images."""
        return sum(one.block.learned for one in self.blocks)

    @property
    def is_dirty(self) -> bool:
        return any(one.block.is_dirty for one in self.blocks)

    def seen_by(self, fold: int) -> Sums:
        """What the model that does not see this fold learns."""
        return without(self._without_detail, self._of_folds[fold])

    def sample(self, models: Sequence[Detector], final: Detector) -> Sample:
        """Each image by the model of `models` (one a fold) that has not seen it; what was set aside by `final`."""
        scores, peaks = [], []
        for one in self.blocks:
            of_image, of_map = _held_out(one.block, models, final, self.folds)
            order = _order(one.block)
            scores.append(of_image[order])
            peaks.append(of_map[order])
        return Sample(np.concatenate(scores), np.concatenate(peaks))

    @property
    def parts(self) -> NDArray[np.intp]:
        """Of each of `sample`: what shows the same part has the same number, below 0."""
        found: list[NDArray[np.intp]] = []
        before = 0
        for one in self.blocks:
            _, part = np.unique(one.block.parts, return_inverse=True)
            found.append(-1 - before - part[_order(one.block)].astype(np.intp))
            before += len(one.block.images)
        return np.concatenate(found)


def _order(block: Block) -> NDArray[np.intp]:
    """Positions of the images that count in the limits, those of one part side by side."""
    order = np.argsort(block.parts, kind="stable")
    return order[block.counts[order]]


def sums_of(detector: Detector, block: Block, chosen: NDArray[np.bool_] | None = None) -> Sums:
    """Of the learned images of a block, or of the chosen ones (learned,)."""
    every = np.arange(block.learned)
    picked = every if chosen is None else every[chosen]
    weights = None if block.weights is None else torch.from_numpy(block.weights[picked])
    return detector.sums(take(block.features, picked), weights)


def _detail_of(block: Block) -> LocationSums | None:
    """Of what only the shown map is made of; as few images as a teaching takes for it."""
    if DETAIL not in block.features:
        return None
    count = block.learned
    spread = np.unique(np.linspace(0, count - 1, min(count, MAX_DETAIL_IMAGES)).astype(np.intp))
    features = torch.from_numpy(np.asarray(block.features[DETAIL][spread], np.float32))
    weights = None if block.weights is None else torch.from_numpy(block.weights[spread])
    return detail_sums(features, weights)


def _held_out(
    block: Block, models: Sequence[Detector], final: Detector, folds: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Image scores and highest cells of all images of a block."""
    images, learned = len(block.images), block.learned
    scores, peaks = np.empty(images), np.empty(images)
    places = fold_of(block.groups.astype(np.intp), folds)
    which = [(model, np.flatnonzero(places == fold)) for fold, model in enumerate(models)]
    for model, positions in (*which, (final, np.arange(learned, images))):
        found, maps = score(model, block.features, positions)
        scores[positions], peaks[positions] = found, maps.max(axis=(1, 2), initial=-np.inf)
    return scores, peaks
