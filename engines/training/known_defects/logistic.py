"""Logistic regression of cells: known defects against good parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

RIDGE = 3e-3
"""Of the squared weights, beside the mean loss. A tenth or ten times as much ranks within 0.002 (KolektorSDD)."""
MAX_ITERATIONS = 100


@dataclass(frozen=True)
class Logistic:
    """logit = weight x + bias."""

    weight: NDArray[np.float32]
    """(dim,)."""
    bias: float


def fit_logistic(good: NDArray[np.float32], defective: NDArray[np.float32], start: Logistic | None = None) -> Logistic:
    """The balanced logistic regression of `good` (n, dim) and `defective` (m, dim) cells: both classes weigh alike.

    Args:
        start: of similar cells, to be there sooner.
    """
    cells = np.concatenate([good, defective])
    sign = np.concatenate([np.full(len(good), -1.0, np.float32), np.full(len(defective), 1.0, np.float32)])
    share = np.concatenate(
        [np.full(len(good), 0.5 / len(good), np.float32), np.full(len(defective), 0.5 / len(defective), np.float32)]
    )

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weight = parameters[:-1].astype(np.float32)
        margin = sign * (cells @ weight + np.float32(parameters[-1]))
        slope = -share * sign * np.exp(-np.logaddexp(0, margin))  # share * sign * sigmoid(-margin), without overflow
        value = float((share * np.logaddexp(0, -margin)).sum()) + RIDGE / 2 * float(weight @ weight)
        return value, np.append(slope @ cells + RIDGE * weight, slope.sum()).astype(np.float64)

    first = np.zeros(cells.shape[1] + 1) if start is None else np.append(start.weight, start.bias).astype(np.float64)
    found = optimize.minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": MAX_ITERATIONS})
    return Logistic(found.x[:-1].astype(np.float32), float(found.x[-1]))
