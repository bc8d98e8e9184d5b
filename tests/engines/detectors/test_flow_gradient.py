"""The hand-written gradients and the flow of DifferNet: against autograd, in float64."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.detectors.flow import Chain, Flow, Permutation, PermutedFlow


def randomised(flow: Chain, seed: int) -> Chain:
    """Far from the identity."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.normal_(0.0, 0.4, generator=generator)
    return flow.double()


def random_vectors(count: int, dim: int, seed: int) -> torch.Tensor:
    return torch.randn(count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + 1))


permuted = st.tuples(st.integers(2, 9), st.integers(1, 3), st.integers(1, 3), st.integers(0, 10_000))


@given(permuted)
@settings(max_examples=25, deadline=None)
def test_inverse_and_log_det_of_the_permuted_flow(shape: tuple[int, int, int, int]) -> None:
    dim, blocks, hidden_layers, seed = shape
    flow = randomised(PermutedFlow(dim, blocks=blocks, hidden=8, hidden_layers=hidden_layers, seed=seed), seed)
    x = random_vectors(5, dim, seed)
    z, log_det = flow(x)
    assert torch.allclose(flow.inverse(z), x, atol=1e-6)
    jacobian = torch.autograd.functional.jacobian(lambda value: flow(value)[0], x[0])
    assert torch.allclose(torch.linalg.slogdet(jacobian).logabsdet, log_det[0], atol=1e-8)


@given(permuted)
@settings(max_examples=25, deadline=None)
def test_pullback_is_the_gradient_of_autograd(shape: tuple[int, int, int, int]) -> None:
    dim, blocks, hidden_layers, seed = shape
    flows = (
        PermutedFlow(dim, blocks=blocks, hidden=8, hidden_layers=hidden_layers, seed=seed),
        Flow(dim, couplings=blocks, hidden=8, seed=seed),
    )
    for flow in flows:
        randomised(flow, seed)
        x = random_vectors(4, dim, seed).requires_grad_()
        z, log_det = flow(x)
        (expected,) = torch.autograd.grad((z.square().sum(dim=-1) / 2 - 3 * log_det).sum(), x)
        found = flow.pullback(x.detach(), z.detach(), torch.full((4, 1), -3.0, dtype=torch.float64))
        assert torch.allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_one_block_transforms_both_halves() -> None:
    flow = randomised(PermutedFlow(6, blocks=1, hidden=8, hidden_layers=1), seed=3)
    jacobian = torch.autograd.functional.jacobian(lambda value: flow(value)[0], torch.zeros(6, dtype=torch.float64))
    assert ((jacobian.abs() > 1e-12).sum(dim=1) > 1).all()


def test_permutation_is_fixed_by_its_seed_and_moves_volumes_nowhere() -> None:
    first, again, other = (Permutation(50, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    x = torch.arange(50.0)[None]
    y, log_det = first(x)
    assert log_det.item() == 0
    assert torch.equal(y.sort().values, x)
    assert torch.equal(y, again(x)[0])
    assert not torch.equal(y, other(x)[0])
    assert torch.equal(first.inverse(y), x)
