"""Places that differ from the ordinary in several parts, and in the same way: how the product varies, not dirt.

Defects lie anywhere and look like this or that. What lies at one place of many parts and looks the same there (an edge
that some pictures show, a hole, a step of the surface) is the product's own, however few of the parts have it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ALIKE = 0.5
"""Cosine of the angle between the deviations of two parts at a place. Of the places of KolektorSDD's good images that
lie out of the ordinary, 8 to 10 % are alike in a twentieth of the parts, of those of its defects at most 1 %; with 0.3
a fifth of both, with 0.7 none of either."""
MIN_PARTS = 4
MIN_SHARE = 0.03
"""Of the parts that are learned: in fewer, it is chance or dirt."""
MAX_WITNESSES = 1000
"""Learned images that are compared with: bounds time and memory."""
MIN_DEVIATION = 1e-6
"""Of features that never vary."""


def recurring_places(
    features: NDArray[np.float16], differs: NDArray[np.bool_], learned: NDArray[np.intp], parts: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """(images, map_height, map_width): whether each image's deviation at a place is that of enough other parts there.

    A part counts where it differs and its features deviate in the same direction from the mean of the learned images.
    Each dimension is counted in its own deviation, drawn half way to the mean over all places: few images make it
    uncertain. A place is one of the features'; all cells of the map within it share its answer.

    Args:
        features: (images, rows, columns, dim), rows and columns at most those of the map. Others have no places: none
            recurs.
        differs: (images, map_height, map_width), where an image lies out of the ordinary.
        learned: positions of the images that may be witnesses.
        parts: a number from 0 on for each image; images with the same one show the same part and are one witness.
    """
    if features.ndim != 4 or features.shape[1] > differs.shape[1] or features.shape[2] > differs.shape[2]:
        return np.zeros_like(differs)
    rows, row_of = _cells_of(features.shape[1], differs.shape[1])
    columns, column_of = _cells_of(features.shape[2], differs.shape[2])
    coarse = np.logical_or.reduceat(np.logical_or.reduceat(differs, rows, axis=1), columns, axis=2)
    witnesses = learned[:: -(-len(learned) // MAX_WITNESSES)]
    witnesses = witnesses[np.argsort(parts[witnesses], kind="stable")]
    first_of_part = np.flatnonzero(np.diff(parts[witnesses], prepend=-1))
    is_other = parts[:, np.newaxis] != parts[witnesses]
    at_least = max(MIN_PARTS, MIN_SHARE * len(first_of_part))
    mean_spread = np.asarray(features[witnesses], np.float32).std(axis=0).mean(axis=(0, 1))
    found = np.zeros(coarse.shape, np.bool_)
    for row, column in np.argwhere(coarse[witnesses].any(axis=0)):
        values = np.asarray(features[:, row, column], np.float32)
        spread = np.maximum((values[witnesses].std(axis=0) + mean_spread) / 2, MIN_DEVIATION)
        directions = (values - values[witnesses].mean(axis=0)) / spread
        directions /= np.linalg.norm(directions, axis=1, keepdims=True) + 1e-12
        alike = (directions @ directions[witnesses].T >= ALIKE) & coarse[witnesses, row, column] & is_other
        alike_parts = np.logical_or.reduceat(alike, first_of_part, axis=1)
        found[:, row, column] = np.count_nonzero(alike_parts, axis=1) >= at_least
    return found[:, row_of][:, :, column_of]


def _cells_of(places: int, cells: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Along one side of the map: at which cell each place begins, and to which place each cell belongs."""
    place_of = np.arange(cells) * places // cells
    return np.searchsorted(place_of, np.arange(places)), place_of
