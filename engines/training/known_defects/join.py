"""Labelled defects become part of a detector: a head, and how much it counts, by leaving labelled images out.

    labelled images ─► heads without some of them, on images they did not see ─► weight that surely helps
                    └► head of all of them ─► detector.known_defects

Cross-fitted throughout: a good image is judged by a base model and a head that saw neither it nor its twins, a labelled
image by a head that saw neither it nor its twins. The limits are drawn from these joined scores, and good images that
are twins of a labelled one stay out of the sample: they may show the same defect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special  # scipy.stats takes a second of processor time to import

from engines.bundle.manifest import MapScore
from engines.detectors.known_defects import Bound, KnownDefects, bent
from engines.training.fitting.crossfit import FOLDS, CrossFit
from engines.training.known_defects.cells import Cells
from engines.training.known_defects.heads import Heads, LabelledImages
from engines.training.known_defects.logistic import Logistic

WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Spreads of the head's values over those of the anomaly scores, of good images; tried in this order."""
FEW_WEIGHT = 0.1
"""Where nothing can be left out: it can help a little and cost next to nothing."""
MIN_GROUPS = 3
"""Labelled images, twins counted once, from which leaving one out says something."""
MAX_PARTS = 10
"""The labelled images are left out one by one, or in this many parts when they are more."""
MIN_GOOD = 4
"""Good images that are left out with a labelled one (a quarter of all); with fewer there is no head."""
HIGH_SHARE = 0.9
"""Of the good images: those above lie about where a review limit does. What this is above the median is the unit of
margins."""
CONFIDENCE = 0.95
"""That further defects like the labelled ones gain on average what is counted as their gain."""
STRANGER_UNITS = 2.0
"""A defect of a kind that nobody labelled: it lies this far above the median of good images, and a head that was taught
other kinds adds to it what it adds to them."""
CERTAIN_UNITS = 10.0
"""What lies this far above the good ones is found in any case: there is nothing to gain beyond."""
LOGIT_SHARE = 0.01
"""Of the cells: the mean of the hottest is what a head says of an image."""
MAD_TO_DEVIATION = 1.4826
MIN_SPREAD = 1e-3
"""Of logits of good images: less is no spread, and would blow up what a head adds."""


@dataclass(frozen=True)
class Joined:
    """What labelled images came to. All scores are on the scale of the detector's own."""

    head: KnownDefects | None
    """None: the labels improve nothing, and the detector stays as it is."""
    weight: float
    """Of `WEIGHTS`; 0 without a head."""
    by_leaving_out: bool
    """The weight was chosen so; else there are too few labelled images, or no good ones for it."""
    held_out: CrossFit
    """Of the kept images, with what heads add that did not see them."""
    free: CrossFit
    """The same without a bound."""
    usable: NDArray[np.bool_]
    """Of the kept images those that may be calibrated on: no twins of labelled ones."""
    labelled_before: NDArray[np.float64]
    """Scores of the labelled images without labels."""
    labelled: NDArray[np.float64]
    """The same with a head that did not see them; without one where nothing could be left out."""
    masked_count: int
    """Labelled images with a mask."""
    groups: NDArray[np.intp]
    """Of the labelled images; twins have the same."""
    of_folds: tuple[KnownDefects, ...] = ()
    """Heads for the models of cross-fitting, which have seen none of what these have not; empty without a head."""


def join_known_defects(cells: Cells, labelled: LabelledImages, bound: Bound | None = None) -> Joined:
    """What a head for the labelled images adds to the detector of `cells`, which is not changed.

    Args:
        bound: of what the head may add, see `KnownDefects`. The weight is chosen without.
    """
    detector, kept, held_out = cells.detector, cells.kept, cells.held_out
    before, maps = cells.score_others(labelled.indices)
    groups = cells.twin_groups(labelled.indices)
    own = groups[len(kept) :]
    usable = ~np.isin(groups[: len(kept)], own)
    masked = sum(int(index) in labelled.masks for index in labelled.indices)
    without = Joined(None, 0.0, False, held_out, held_out, usable, before, before, masked, own)
    heads = Heads(cells, labelled, maps, usable)
    fewest = min(int(np.count_nonzero(usable & np.isin(cells.folds, quarter))) for quarter in quarters(held_out.folds))
    rule = detector.map_score
    if not len(labelled.indices) or fewest < MIN_GOOD or rule is None or not cells.are_there:
        return without
    everyone = range(len(labelled.indices))
    parts = _parts(own)
    by_leaving_out = len(parts) >= MIN_GROUPS
    weight, after = _choose(heads, parts, own, rule) if by_leaving_out else (FEW_WEIGHT, before)
    if weight == 0:
        return replace(without, by_leaving_out=by_leaving_out, labelled=after)
    logits = np.empty_like(held_out.maps)
    fitted = [heads.fit(everyone, without=[fold]) for fold in range(held_out.folds)]
    for fold, each in enumerate(fitted):
        logits[cells.folds == fold] = heads.on_good(fold, each)
    scale = _Scale.of(held_out.image_scores[usable], logits[usable])
    free = scale.joined(held_out.maps, logits, weight)
    joined = scale.joined(held_out.maps, logits, weight, bound)
    return Joined(
        scale.head(heads.of_all, weight, bound),
        weight,
        by_leaving_out,
        replace(held_out, image_scores=image_scores_of(joined, rule), maps=joined),
        replace(held_out, image_scores=image_scores_of(free, rule), maps=free),
        usable,
        before,
        after,
        masked,
        own,
        tuple(scale.head(each, weight, bound) for each in fitted),
    )


@dataclass(frozen=True)
class _Scale:
    """How logits become units of the anomaly map, by what good images have of both."""

    per_logit: float
    """At a weight of 1."""
    start: float
    """Logits below add nothing."""

    @classmethod
    def of(cls, scores: NDArray[np.float64], logits: NDArray[np.float32]) -> _Scale:
        """From good images: `scores` (n,) without a head, `logits` (n, map_height, map_width) of one."""
        values = _hottest(logits, LOGIT_SHARE).mean(axis=1)
        return cls(_spread(scores) / max(_spread(values), MIN_SPREAD), float(np.median(values)))

    def head(self, found: Logistic, weight: float, bound: Bound | None) -> KnownDefects:
        """What becomes part of the graph."""
        vector = torch.from_numpy(found.weight)
        return KnownDefects(vector, found.bias, gain=weight * self.per_logit, start=self.start, bound=bound)

    def joined(
        self, maps: NDArray[np.float32], logits: NDArray[np.float32], weight: float, bound: Bound | None = None
    ) -> NDArray[np.float32]:
        """What `KnownDefects` computes, of (n, map_height, map_width) each."""
        added = np.float32(weight * self.per_logit) * np.maximum(logits - np.float32(self.start), np.float32(0))
        joined = maps + added
        if bound is not None:
            joined = np.maximum(maps, bent(torch.from_numpy(np.asarray(joined, np.float32)), bound).numpy())
        return np.asarray(joined, np.float32)


def _choose(
    heads: Heads, parts: list[list[int]], groups: NDArray[np.intp], rule: MapScore
) -> tuple[float, NDArray[np.float64]]:
    """The weight that lifts labelled images, left out with their twins, farthest above good ones that are left out too.

    How far, not how often: of few labelled images most are above all good ones anyway. What counts is a lower bound of
    the mean gain, less what defects of other kinds lose because good images spread more. Where labelled defects have
    little in common the bound is low, and 0 wins.

    Returns it with the scores of the labelled images at this weight. Of equal weights the smallest.

    Args:
        parts: of the positions of labelled images, each left out at once.
        groups: of the labelled images; twins have the same.
    """
    cells, maps = heads.cells, heads.maps
    tried = np.empty((len(WEIGHTS), len(maps)))
    margins = np.empty_like(tried)
    units = np.empty((len(WEIGHTS), len(parts)))
    for number, part in enumerate(parts):
        quarter = quarters(cells.held_out.folds)[number % FOLDS]
        learned = [each for each in range(len(maps)) if each not in part]
        head = heads.fit(learned, without=quarter)
        judges = np.isin(cells.folds, quarter) & heads.usable
        logits, of_part = _on_good(heads, judges, head), heads.on_labelled(part, head)
        scale = _Scale.of(cells.held_out.image_scores[judges], logits)
        for row, weight in enumerate(WEIGHTS):
            reached = image_scores_of(scale.joined(cells.held_out.maps[judges], logits, weight), rule)
            tried[row, part] = image_scores_of(scale.joined(maps[part], of_part, weight), rule)
            typical, high = np.quantile(reached, (0.5, HIGH_SHARE))
            units[row, number] = max(high - typical, MIN_SPREAD)
            margins[row, part] = (tried[row, part] - high) / units[row, number]
    best = int(sure_gains(margins, units, groups).argmax())
    return WEIGHTS[best], tried[best]


def sure_gains(
    margins: NDArray[np.float64], units: NDArray[np.float64], groups: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Of each weight, in units of margins; 0 of the first, which is a weight of 0.

    Args:
        margins: (weights, labelled images).
        units: (weights, parts).
        groups: of the labelled images; twins have the same and count as one.
    """
    capped = np.minimum(margins, CERTAIN_UNITS)
    gains = capped - capped[0]
    parts = np.stack([gains[:, groups == group].mean(axis=1) for group in np.unique(groups)], axis=1)
    error = parts.std(axis=1, ddof=1) / math.sqrt(parts.shape[1])
    sure = parts.mean(axis=1) - special.stdtrit(parts.shape[1] - 1, CONFIDENCE) * error
    lost = STRANGER_UNITS * (1 - (units[0] / units).mean(axis=1))
    return np.asarray(sure - lost, np.float64)


def quarters(folds: int) -> list[list[int]]:
    """The folds of each quarter of the good images: enough of them to compare a labelled image with."""
    return [list(range(first, folds, FOLDS)) for first in range(FOLDS)]


def _on_good(heads: Heads, wanted: NDArray[np.bool_], head: Logistic) -> NDArray[np.float32]:
    """Logits of the kept images that are `wanted`, in their order."""
    folds = heads.cells.folds
    found = np.empty((int(np.count_nonzero(wanted)), *heads.maps.shape[1:]), np.float32)
    for fold in np.unique(folds[wanted]).tolist():
        found[folds[wanted] == fold] = heads.on_good(fold, head)[wanted[folds == fold]]
    return found


def _parts(groups: NDArray[np.intp]) -> list[list[int]]:
    """The labelled images in the parts in which they are left out: twins, of the same group, are in one."""
    _, group = np.unique(groups, return_inverse=True)
    count = min(MAX_PARTS, int(group.max()) + 1)
    return [np.flatnonzero(group % count == part).tolist() for part in range(count)]


def image_scores_of(maps: NDArray[np.float32], rule: MapScore) -> NDArray[np.float64]:
    """The image scores of maps (n, map_height, map_width), by the detector's own rule."""
    hottest = _hottest(maps, rule.hottest_share).astype(np.float64)
    return np.asarray(np.log(np.exp(hottest).mean(axis=1)) if rule.log else hottest.mean(axis=1), np.float64)


def _hottest(maps: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """(n, count) of (n, map_height, map_width)."""
    flat = maps.reshape(len(maps), -1)
    count = math.ceil(flat.shape[1] * share)
    return np.partition(flat, flat.shape[1] - count, axis=1)[:, flat.shape[1] - count :]


def _spread(values: NDArray[np.floating[Any]]) -> float:
    """The deviation of a normal distribution with their median absolute deviation."""
    return MAD_TO_DEVIATION * float(np.median(np.abs(values - np.median(values))))
