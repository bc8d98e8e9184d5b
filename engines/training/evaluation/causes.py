"""Why a defective part passes: its place is not seen, the limit is too high, or good parts score as high."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines.location.pose import TurnedPlacement
from engines.preprocess import Placement

MOSTLY = 0.5
"""Less of a defect than this inside the model's input: what is seen of the part does not decide."""
CAUSES = ("location", "limit", "ranking")


def pass_causes(
    good: NDArray[np.float64],
    defective: NDArray[np.float64],
    seen: NDArray[np.float64],
    *,
    review_score: float,
    review_budget: float,
) -> dict[str, float]:
    """The share of the defective images that pass for each cause; together the share that passes.

    location: less than half of the defect lies in what the model sees. limit: it would be in review if the limit stood
    where `review_budget` of the good test images exceed it, so ranking allows it and calibration does not. ranking: as
    many good images score as high. Images whose part was not found are in review and pass for no cause.

    Args:
        good: (n,) scores of the good test images, located or not.
        defective: (m,) likewise; where no part was found above every limit.
        seen: (m,) share of the defect inside the model's input; 1 where the place of the defect is not known.
    """
    passes = defective <= review_score
    unseen = passes & (seen < MOSTLY)
    by_limit = passes & ~unseen & (defective > np.quantile(good, 1 - review_budget))
    by_ranking = passes & ~unseen & ~by_limit
    return {cause: float(np.mean(found)) for cause, found in zip(CAUSES, (unseen, by_limit, by_ranking), strict=True)}


def seen_share(mask: NDArray[np.bool_], placement: Placement | TurnedPlacement) -> float:
    """The share of a defect, True in a mask over the whole image, that lies in the part the model sees."""
    rows, columns = np.nonzero(mask)
    points = np.stack([(columns + 0.5) / mask.shape[1], (rows + 0.5) / mask.shape[0]], axis=1)
    at = placement.in_input(points)
    inside = (at >= 0).all(axis=1) & (at[:, 0] <= placement.input_width) & (at[:, 1] <= placement.input_height)
    return float(inside.mean())
