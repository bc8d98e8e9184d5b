"""What labelled defects changed, as the manifest and the dossier keep it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import Calibration, KnownDefectsRecord
from engines.training.fitting.crossfit import CrossFit
from engines.training.known_defects.join import Joined


def record_of(joined: Joined, held_out: CrossFit, before: Calibration, after: Calibration) -> KnownDefectsRecord:
    """What at least one labelled image changed.

    Args:
        held_out: of the detector without them.
        before: the limits drawn from it.
        after: the limits drawn from the joined scores.
    """
    good = joined.usable
    return KnownDefectsRecord(
        labelled=len(joined.labelled),
        masks=joined.masked_count,
        weight=joined.weight,
        auroc_before=_auroc(held_out.image_scores[good], joined.labelled_before),
        passed_before=int(np.count_nonzero(joined.labelled_before <= before.review_score)),
        auroc_after=_auroc(joined.held_out.image_scores[good], joined.labelled) if joined.by_leaving_out else None,
        passed_after=(int(np.count_nonzero(joined.labelled <= after.review_score)) if joined.by_leaving_out else None),
    )


def _auroc(good: NDArray[np.float64], defective: NDArray[np.float64]) -> float:
    """Chance that a defective image scores above a good one, equal scores half (Mann-Whitney)."""
    difference = defective[:, np.newaxis] - good[np.newaxis, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))
