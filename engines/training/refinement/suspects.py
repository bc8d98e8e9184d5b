"""Images that refinement leaves out and that stand for defects: what hid in the training images teaches what to find.

A head that is fitted to a few labelled defects finds their like far better than a distance from good parts does
(`engines.training.known_defects`). Dirty data hold such defects, and refinement finds those that are far out. Learning
from both sides of a contaminated set, with the outlying ones as the other class, is [1]; here only what is beyond doubt
counts, since a good image among the examples teaches to find good parts.

References:
    [1] C. Qiu, A. Li, M. Kloft, M. Rudolph, S. Mandt, "Latent outlier exposure for anomaly detection with contaminated
        data", ICML 2022.
"""

from __future__ import annotations

import numpy as np

from engines.training.refinement.records import Found, Indices
from engines.training.refinement.thresholds import densest_third

SUSPECT_DEVIATIONS = 5.0
"""This far above the centre of the densest third, on the scale of the last round. With 3, half of the examples of
KolektorSDD with 10 % dirt are good ones, with 5 a third; with more dirt a sixth to none."""
MIN_SHARE = 0.03
"""Of the images: clean data have a few that far out (2 % of KolektorSDD's, rare good parts)."""


def suspects_of(found: Found, start: Indices, variants: tuple[Indices, ...]) -> Indices:
    """The examples, ascending; none where the data look clean.

    Args:
        start: the images that refinement began with.
        variants: images that look alike, which may be another product: no examples, since a person is asked.
    """
    asked = np.concatenate([*variants, start[:0]])
    out = np.setdiff1d(np.setdiff1d(start, found.kept), asked)
    centre, deviation = densest_third(found.scores[start])
    far_out: Indices = out[found.scores[out] > centre + SUSPECT_DEVIATIONS * deviation]
    return far_out if found.dirt_share > 0 and len(far_out) >= MIN_SHARE * len(start) else far_out[:0]
