"""Weights in 8 bits that give what the float ones give."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.training.release.int8.rounding import BLOCK, LARGEST, RoundedWeights, round_weights


def problem(seed: int, inputs: int, outputs: int = 8) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights, and inputs that vary together, as those of a network do: a quarter as many causes as inputs."""
    random = np.random.default_rng(seed)
    causes = random.normal(size=(1000, max(1, inputs // 4)))
    values = causes @ random.normal(size=(causes.shape[1], inputs)) + 0.1 * random.normal(size=(1000, inputs)) + 2
    return random.normal(size=(outputs, inputs)).astype(np.float32), values.astype(np.float32)


def output_of(rounded: RoundedWeights, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    return inputs @ (rounded.steps * rounded.scales[:, None]).T + rounded.bias


def error(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    return float(np.square(found - wanted).mean())


@given(seed=st.integers(0, 1000), inputs=st.sampled_from([16, BLOCK, BLOCK + 1, 3 * BLOCK - 5]))
def test_it_comes_nearer_than_rounding_to_nearest(seed: int, inputs: int) -> None:
    weights, values = problem(seed, inputs)
    wanted = values @ weights.T + 1
    rounded = round_weights(weights, values[:500], wanted[:500])
    scales = np.abs(weights).max(axis=1, keepdims=True) / LARGEST
    nearest = values @ (np.round(weights / scales) * scales).T + 1
    assert error(output_of(rounded, values[500:]), wanted[500:]) < error(nearest[500:], wanted[500:])
    assert rounded.steps.dtype == np.int8
    assert np.abs(rounded.steps.astype(int)).max() <= LARGEST


def test_it_makes_up_for_errors_of_the_layers_before() -> None:
    weights, values = problem(0, 32)
    wanted = values @ weights.T
    moved = values * np.linspace(0.8, 1.1, 32, dtype=np.float32) + 0.5
    assert error(output_of(round_weights(weights, moved, wanted), moved), wanted) < 0.05 * error(
        moved @ weights.T, wanted
    )


def test_inputs_that_never_vary_leave_the_weights_and_the_bias_does_it_all() -> None:
    weights, _ = problem(0, 16)
    inputs, wanted = np.full((50, 16), 3.0, np.float32), np.full((50, 8), 7.0, np.float32)
    rounded = round_weights(weights, inputs, wanted)
    assert np.abs(rounded.steps * rounded.scales[:, None] - weights).max() <= rounded.scales.max()
    np.testing.assert_allclose(output_of(rounded, inputs), wanted, atol=1e-4)


def test_weights_of_nothing_stay_nothing() -> None:
    rounded = round_weights(np.zeros((3, 4), np.float32), problem(0, 4)[1], np.zeros((1000, 3), np.float32))
    assert not rounded.steps.any()
    assert (rounded.scales > 0).all()
