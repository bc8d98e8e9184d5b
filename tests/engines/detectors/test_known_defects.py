"""The head for known defects: its formula, and that the exported graph computes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engines.bundle.manifest import InputSpec
from engines.detectors.known_defects import Bound, KnownDefects, bent, compressed, logits
from engines.detectors.spatial import SpatialDetector
from engines.ignored_zones import score_of
from engines.runtimes.onnx import OnnxRuntime
from engines.training.release.export import check_parity, export_onnx, map_spec

SPEC = InputSpec(width=96, height=96)


def test_compression_keeps_direction_and_bounds_length() -> None:
    z = torch.tensor([[3.0, 4.0], [300.0, 400.0], [0.0, 0.0]])
    v = compressed(z)
    expected = 3 * torch.log(1 + torch.tensor([5.0, 500.0]) / 2**0.5)
    assert torch.allclose(v.norm(dim=-1)[:2], expected)
    assert torch.allclose(v[0] / v[0].norm(), z[0] / 5)
    assert torch.equal(v[2], torch.zeros(2))
    weight = torch.tensor([0.5, -2.0])
    assert torch.allclose(logits(z, weight, 1.5, 2), v @ weight + 1.5)


def test_only_what_lies_above_the_start_is_added() -> None:
    z = torch.tensor([1.0, 5.0]).reshape(1, 1, 2, 1)
    head = KnownDefects(torch.tensor([1.0]), 0.0, gain=2.0, start=3.0)
    added = head(torch.full((1, 1, 2), 0.25), z) - 0.25
    assert added[0, 0, 0] == 0
    assert torch.allclose(added[0, 0, 1], 2 * (3 * torch.log(torch.tensor(6.0)) - 3))


def test_a_bound_bends_what_is_added_and_keeps_its_order() -> None:
    z = torch.tensor([1.0, 5.0, 9.0, 5.0]).reshape(1, 1, 4, 1)
    anomaly_map = torch.tensor([0.25, 0.25, 0.25, 3.0]).reshape(1, 1, 4)
    weight = torch.tensor([1.0])
    plain = KnownDefects(weight, 0.0, gain=2.0, start=3.0)(anomaly_map, z).flatten()
    bounded = KnownDefects(weight, 0.0, gain=2.0, start=3.0, bound=Bound(1.5, 2.5))(anomaly_map, z).flatten()
    assert (plain[1:] > 2.5).all()
    assert bounded[0] == pytest.approx(0.25)
    assert 1.5 < bounded[1] < bounded[2] < 2.5
    assert bounded[3] == 3.0, "what is odd by itself stays"


@given(st.floats(-5, 5), st.floats(0.01, 5), st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=30))
def test_bent_values_keep_their_order_below_the_ceiling(begins: float, width: float, values: list[float]) -> None:
    joined = torch.tensor(sorted(values), dtype=torch.float64)
    found = bent(joined, Bound(begins, begins + width))
    assert (found <= begins + width + 1e-9).all()
    assert (found <= joined + 1e-9).all()
    assert (found.diff() >= -1e-12).all()
    assert torch.allclose(found[joined <= begins], joined[joined <= begins])


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_exported_graph_has_the_head_and_its_score_follows_from_the_map(precision: str) -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (12, 96, 96, 3), dtype=torch.uint8)
    detector = SpatialDetector(SPEC).eval()
    with torch.inference_mode():
        features = detector.features(images)
        detector.initialise(features)
        _, before = detector.score(features)
        z = detector.cells(features)
        weight = torch.randn(z.shape[-1]) / 10
        start = float(np.median(logits(z, weight, 0.0, len(weight)).numpy()))
        top = float(before.max())
        detector.suspects = KnownDefects(-weight, 0.0, gain=0.1, start=start, bound=Bound(top, top + 0.01))
        _, between = detector.score(features)
        detector.known_defects = KnownDefects(weight, 0.0, gain=0.1, start=start)
        scores, after = detector.score(features)
    assert (between > before).any()
    assert (between <= top + 0.01).all()
    before = between
    assert z.shape == (12, 6, 6, sum(stream.dim for stream in detector.streams))
    assert (after >= before).all()
    assert (after > before).any()
    assert detector.map_score is not None
    found = score_of(after[0].numpy(), after[0].numel(), detector.map_score)
    assert found == pytest.approx(float(scores[0]), abs=1e-5)
    graph = export_onnx(detector, SPEC, "float16" if precision == "float16" else "float32")
    with OnnxRuntime(graph, SPEC, map_spec(detector), threads=1) as runtime:
        unseen = torch.randint(
            0, 256, (2, 96, 96, 3), dtype=torch.uint8
        )  # what was learned has no deviance to speak of
        if precision == "float32":
            check_parity(detector, runtime, unseen.numpy())
        else:
            with torch.inference_mode():
                expected = detector(unseen)[1].numpy()
            assert np.abs(runtime.infer(unseen.numpy())[1] - expected).max() < 0.02 * expected.max()
