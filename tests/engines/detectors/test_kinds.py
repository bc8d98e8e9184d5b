"""Kinds of defects in the graph: the formula, and that every runtime computes it beside a head for known defects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.bundle.manifest import InputSpec
from engines.detectors.kinds import Kinds, look
from engines.detectors.known_defects import KnownDefects, compressed
from engines.detectors.spatial import SpatialDetector
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.openvino import OpenVinoRuntime
from engines.training.release.export import check_parity, export_onnx, map_spec

SPEC = InputSpec(width=96, height=96)


def test_the_hottest_cells_are_looked_at() -> None:
    z = torch.randn(2, 20, 20, 5, generator=torch.Generator().manual_seed(0))
    anomaly_map = torch.rand(2, 20, 20, generator=torch.Generator().manual_seed(1))
    found = look(anomaly_map, z, 400, 5)
    for image in range(2):
        hottest = anomaly_map[image].flatten().argsort()[-10:]  # 2.5 % of 400
        expected = compressed(z[image]).flatten(0, 1)[hottest].mean(dim=0)
        assert torch.allclose(found[image], expected, atol=1e-5)


def test_likeness_is_a_cosine_to_each_kind() -> None:
    z = torch.zeros(1, 1, 1, 2)
    z[..., 0] = 100.0
    likeness = Kinds(torch.zeros(2), torch.eye(2), (1, 1))(torch.zeros(1, 1, 1), z)
    assert torch.allclose(likeness, torch.tensor([[1.0, 0.0]]), atol=1e-6)


@pytest.fixture(scope="module")
def detector() -> SpatialDetector:
    """With a head for known defects and three kinds, as teaching leaves it."""
    torch.manual_seed(0)
    detector = SpatialDetector(SPEC).eval()
    with torch.inference_mode():
        detector.initialise(detector.features(torch.randint(0, 256, (12, 96, 96, 3), dtype=torch.uint8)))
    dim = sum(stream.dim for stream in detector.streams)
    detector.known_defects = KnownDefects(torch.randn(dim) / 10, 0.0, gain=0.1, start=0.0)
    unit = torch.nn.functional.normalize(torch.randn(3, dim), dim=1)
    detector.kinds = Kinds(torch.randn(dim) / 10, unit, (6, 6))
    return detector


@pytest.fixture(scope="module")
def graph(detector: SpatialDetector) -> bytes:
    return export_onnx(detector, SPEC)


def pictures() -> torch.Tensor:
    return torch.randint(0, 256, (3, 96, 96, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("runtime_class", [OnnxRuntime, OpenVinoRuntime])
def test_runtimes_compute_head_and_kinds(
    runtime_class: type[OnnxRuntime] | type[OpenVinoRuntime], detector: SpatialDetector, graph: bytes
) -> None:
    images = pictures()
    with torch.inference_mode():
        scores, maps, likeness = (value.numpy() for value in detector(images))
    with runtime_class(graph, SPEC, map_spec(detector), threads=1) as runtime:
        found_scores, found_maps = runtime.infer(images.numpy())
        assert runtime.kinds is not None
        assert np.abs(found_scores - scores).max() < 2e-3
        assert np.abs(found_maps - maps).max() < 2e-3 * max(1.0, np.abs(maps).max())
        assert runtime.kinds.shape == (3, 3)
        assert np.abs(runtime.kinds - likeness).max() < 2e-3
        if isinstance(runtime, OnnxRuntime):
            check_parity(detector, runtime, images.numpy())


def test_half_precision_says_nearly_the_same(detector: SpatialDetector) -> None:
    with torch.inference_mode():
        likeness = detector(pictures())[2].numpy()
    half = export_onnx(detector, SPEC, "float16")
    with OnnxRuntime(half, SPEC, map_spec(detector), threads=1) as runtime:
        runtime.infer(pictures().numpy())
        assert runtime.kinds is not None
        assert np.abs(runtime.kinds - likeness).max() < 0.02
