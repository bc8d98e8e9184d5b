"""The mathematics of the flow: inverse, log-determinant against autograd, in float64."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.detectors.flow import AffineCoupling, Flow


def random_flow(dim: int, couplings: int, seed: int) -> Flow:
    """A flow far from the identity."""
    flow = Flow(dim, couplings=couplings, hidden=16, seed=seed).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.normal_(0.0, 0.5, generator=generator)
    return flow


flows = st.tuples(st.integers(2, 9), st.integers(1, 5), st.integers(0, 10_000))


@given(flows)
@settings(max_examples=40, deadline=None)
def test_inverse(shape: tuple[int, int, int]) -> None:
    dim, couplings, seed = shape
    flow = random_flow(dim, couplings, seed)
    x = torch.randn(7, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    z, _ = flow(x)
    assert torch.allclose(flow.inverse(z), x, atol=1e-7)
    assert not torch.allclose(z, x)


@given(flows)
@settings(max_examples=40, deadline=None)
def test_log_det_is_that_of_the_jacobian(shape: tuple[int, int, int]) -> None:
    dim, couplings, seed = shape
    flow = random_flow(dim, couplings, seed)
    x = torch.randn(dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    jacobian = torch.autograd.functional.jacobian(lambda value: flow(value)[0], x)
    _, log_det = flow(x)
    assert torch.allclose(torch.linalg.slogdet(jacobian).logabsdet, log_det, atol=1e-8)


def test_a_new_flow_keeps_lengths_and_volumes() -> None:
    flow = Flow(10, couplings=3, hidden=8)
    x = torch.randn(5, 10)
    z, log_det = flow(x)
    assert torch.allclose(z.square().sum(dim=-1), x.square().sum(dim=-1))
    assert (log_det == 0).all()


def test_every_dimension_can_change() -> None:
    flow = random_flow(6, couplings=2, seed=1)
    x = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(lambda value: flow(value)[0], x)
    identity_rows = (jacobian.abs() > 1e-12).sum(dim=1) == 1
    assert not identity_rows.any()


def test_clamping_bounds_the_scale() -> None:
    coupling = AffineCoupling(4, 8, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in coupling.parameters():
            parameter.fill_(1e3)
    _, log_det = coupling(torch.ones(1, 4))
    assert log_det.abs().item() <= 2 * 1.9 + 1e-5


def test_what_has_learned_nothing_keeps_length_and_volume() -> None:
    flow = Flow(10, couplings=2, hidden=8)
    assert not flow.has_learned
    x = torch.randn(5, 10)
    z, log_det = flow(x)
    assert torch.allclose(z.square().sum(-1), x.square().sum(-1))
    assert not log_det.any()
    with torch.no_grad():
        coupling: Any = flow.layers
        coupling[1].subnet.layers[-1].bias[0] = 0.1
    assert flow.has_learned
