"""How and where images differ from ordinary ones, as one vector an image.

Two images with the same oddity at the same place have vectors that point the same way, whatever else is in them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ORDINARY_SHARE = 0.99
"""Of the ordinary images, at every location: what deviates less than theirs counts nothing there."""
MIN_DEVIATION = 1e-6
"""Of features that never vary."""


def looks(features: NDArray[np.float16], ordinary: NDArray[np.float16]) -> NDArray[np.float32]:
    """(images, k) of features (images, ..., dim); the axes between are locations.

    At every location the features are counted in deviations of ordinary images, and shrunk by what these reach there:
    only odd places are left, each with the direction in which it is odd. The spread of a dimension, and what is reached
    at a location, are drawn half way to the mean over all locations: few images make them uncertain.

    Args:
        ordinary: features of ordinary images, (other images, ..., dim).
    """
    good = _by_location(ordinary)
    mean, spread = good.mean(axis=0), good.std(axis=0)
    spread = np.maximum((spread + spread.mean(axis=0)) / 2, MIN_DEVIATION)
    reached = np.quantile(np.square((good - mean) / spread).mean(axis=2), ORDINARY_SHARE, axis=0)
    reached = (reached + reached.mean()) / 2
    deviations = (_by_location(features) - mean) / spread
    strength = np.square(deviations).mean(axis=2)
    odd = np.maximum(0.0, 1 - reached / np.maximum(strength, MIN_DEVIATION))
    vectors: NDArray[np.float32] = (deviations * odd[..., np.newaxis]).reshape(len(features), -1).astype(np.float32)
    return vectors


def _by_location(features: NDArray[np.float16]) -> NDArray[np.float32]:
    """(images, locations, dim)."""
    return np.asarray(features, np.float32).reshape(len(features), -1, features.shape[-1])
