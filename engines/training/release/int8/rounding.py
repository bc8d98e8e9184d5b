"""Weights in 8 bits chosen by what they give, not each for itself.

Rounding every weight to its nearest step moves the output by more than need be, since errors of inputs that vary
together add up. Here the float weights are first fitted to the inputs as the graph in 8 bits sees them (least squares,
which also makes up for the errors of earlier layers), then rounded one input after the other, while those not yet
rounded take over the error: Hassibi and Stork, "Optimal Brain Surgeon" (NIPS 1992), in the form of Frantar et al.,
"GPTQ" (ICLR 2023). The bias takes the mean error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LARGEST = 127
"""In 8 bits, symmetric."""
DAMPING = 0.1
"""Of the mean variance of the inputs, added to each: where the samples say little, the float weights stay."""
BLOCK = 64
"""Inputs whose errors are handed on together to those behind them, as one product of matrices."""
_TINY = float(np.finfo(np.float32).tiny)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RoundedWeights:
    """`steps * scales[:, None]` stand in for the float weights, with this bias."""

    steps: NDArray[np.int8]
    """(outputs, inputs), -127 to 127."""
    scales: NDArray[np.float32]
    """(outputs,): weight per step."""
    bias: NDArray[np.float32]
    """(outputs,)."""


def round_weights(
    weights: NDArray[np.float32], inputs: NDArray[np.float32], wanted: NDArray[np.float32]
) -> RoundedWeights:
    """Weights in 8 bits and a bias with which `inputs` give nearly what is `wanted`.

    Args:
        weights: (outputs, inputs) of the float graph.
        inputs: (samples, inputs) as the layer will see them: rounded, and moved by the layers before.
        wanted: (samples, outputs) of the float graph, bias included.
    """
    input_mean, wanted_mean = inputs.mean(axis=0), wanted.mean(axis=0)
    centred = inputs - input_mean
    covariance = _second_moments(centred, centred)
    covariance += np.eye(len(covariance)) * (DAMPING * covariance.diagonal().mean() + _TINY)
    missing = _second_moments(centred, wanted - wanted_mean - centred @ weights.T)
    fitted = weights + np.linalg.solve(covariance, missing).T
    scales = (np.abs(fitted).max(axis=1) / LARGEST + _TINY).astype(np.float32)
    steps = _rounded(fitted / scales[:, None], covariance)
    bias = wanted_mean - (steps * scales[:, None]) @ input_mean
    return RoundedWeights(steps.astype(np.int8), scales, bias.astype(np.float32))


def _second_moments(first: NDArray[np.float32], second: NDArray[np.float32]) -> Array:
    return np.asarray(first.T @ second / len(first), np.float64)


def _rounded(steps: Array, covariance: Array) -> Array:
    """Whole numbers near `steps`; the inputs that vary most first, while there are many to take over their error."""
    order = np.argsort(-covariance.diagonal(), kind="stable")
    # Row i: by how much inputs i, i+1, ... make up for an error of input i, those before it being fixed.
    takeover = np.linalg.cholesky(np.linalg.inv(covariance[np.ix_(order, order)])).T
    left = np.ascontiguousarray(steps[:, order].T)
    rounded = np.empty_like(steps)
    for start in range(0, len(left), BLOCK):
        end = min(start + BLOCK, len(left))
        errors = np.empty((end - start, left.shape[1]))
        for index in range(start, end):
            fixed = np.clip(np.round(left[index]), -LARGEST, LARGEST)
            errors[index - start] = (left[index] - fixed) / takeover[index, index]
            left[index:end] -= np.outer(takeover[index, index:end], errors[index - start])
            rounded[:, order[index]] = fixed
        left[end:] -= takeover[start:end, end:].T @ errors
    return rounded
