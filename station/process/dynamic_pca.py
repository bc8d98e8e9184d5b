"""Dynamic principal components: do values move together as they did, and as they did a moment before? Pure.

Each sample stands beside the two before it (Ku, Storer, Georgakis 1995); components that explain most of the variance
span what is normal. Two statistics say how far a sample is from it: T2 within that space, SPE beside it. Both are
smoothed (EWMA 0.2), which finds small lasting changes. Limits are those that the smoothed statistics of a time of their
own keep.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
"""(samples, signals)."""
LAGS = 2
WEIGHT = 0.2
"""Of the newest sample in the moving average."""
EXPLAINED = 0.90
"""Of the variance, by the components that span what is normal."""
LEAST_SAMPLES = 200
"""To learn from; of them the second half sets the limits where there is no time of their own for these."""
FLAT = 1e-9


@dataclass(frozen=True, slots=True)
class Model:
    """What is normal."""

    names: tuple[str, ...]
    mean: Values
    """(signals,)."""
    scale: Values
    """(signals,)."""
    loadings: Values
    """(signals * (LAGS + 1), components)."""
    variances: Values
    """(components,)."""
    t2_limit: float = math.inf
    spe_limit: float = math.inf

    def scores(self, values: Values) -> tuple[Values, Values]:
        """(T2, SPE) of every sample that has its two before it, smoothed; `values`: in order and without gaps."""
        rows = lagged((values - self.mean) / self.scale)
        inside = rows @ self.loadings
        t2 = (inside**2 / self.variances).sum(axis=1)
        spe = ((rows - inside @ self.loadings.T) ** 2).sum(axis=1)
        return smoothed(t2), smoothed(spe)

    def contributions(self, values: Values) -> list[tuple[str, float]]:
        """Which signals make the last sample unusual, and by which share of its SPE and T2; the largest first.

        `values`: at least the last ten samples; the shares are those of their mean, as the smoothed statistics are.
        """
        rows = lagged((values - self.mean) / self.scale)[-5:]
        inside = rows @ self.loadings
        beside = (rows - inside @ self.loadings.T) ** 2
        within = np.abs(rows * ((inside / self.variances) @ self.loadings.T))
        parts = beside.sum(axis=0) / self.spe_limit + within.sum(axis=0) / self.t2_limit
        of_signal = parts.reshape(LAGS + 1, len(self.names)).sum(axis=0)
        whole = float(of_signal.sum()) or 1.0
        return sorted(
            ((name, float(part) / whole) for name, part in zip(self.names, of_signal, strict=True)),
            key=lambda pair: -pair[1],
        )


def learn(names: Sequence[str], values: Values) -> Model:
    """A model without limits. Raises ValueError: too few samples, or a value that is no number."""
    if len(values) < LEAST_SAMPLES:
        raise ValueError(f"{len(values)} samples: at least {LEAST_SAMPLES}")
    if not np.isfinite(values).all():
        raise ValueError("a value is missing: learn from a time without gaps")
    mean, scale = values.mean(axis=0), values.std(axis=0, ddof=1)
    scale = np.where(scale > FLAT * np.maximum(1.0, np.abs(mean)), scale, 1.0)  # what stands still says nothing
    rows = lagged((values - mean) / scale)
    variances, vectors = np.linalg.eigh(np.cov(rows, rowvar=False))
    variances, vectors = variances[::-1], vectors[:, ::-1]
    explained = np.cumsum(np.maximum(variances, 0.0)) / max(float(np.maximum(variances, 0.0).sum()), FLAT)
    count = int(np.searchsorted(explained, EXPLAINED)) + 1
    return Model(tuple(names), mean, scale, vectors[:, :count], np.maximum(variances[:count], FLAT))


def with_limits(model: Model, values: Values, false_share: float) -> Model:
    """The same model with limits that both statistics together exceed in `false_share` of these samples."""
    t2, spe = model.scores(values)
    low, high = 0.0, false_share
    for _ in range(40):  # the share of either, so that both together are what was asked for
        each = (low + high) / 2
        above = (t2 > np.quantile(t2, 1 - each)) | (spe > np.quantile(spe, 1 - each))
        low, high = (low, each) if above.mean() > false_share else (each, high)
    limits = float(np.quantile(t2, 1 - low)), float(np.quantile(spe, 1 - low))
    return Model(model.names, model.mean, model.scale, model.loadings, model.variances, *limits)


def unusual(model: Model, values: Values) -> NDArray[np.bool_]:
    """Of every sample that has its two before it: whether it is beyond a limit."""
    t2, spe = model.scores(values)
    return (t2 > model.t2_limit) | (spe > model.spe_limit)


def lagged(values: Values) -> Values:
    """(samples - LAGS, signals * (LAGS + 1)): each row with the two before it."""
    return np.hstack([values[LAGS - lag : len(values) - lag] for lag in range(LAGS + 1)])


def smoothed(values: Values) -> Values:
    """Exponentially weighted moving average; it begins with the first value."""
    out = np.empty_like(values)
    state = values[0] if len(values) else 0.0
    for index, value in enumerate(values):
        state = state + WEIGHT * (value - state)
        out[index] = state
    return out
