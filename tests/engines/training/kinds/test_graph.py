"""Kinds in a graph that PyTorch has exported, exchanged without it: the same formulas, and scores to the byte."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from engines.bundle.manifest import MapSpec
from engines.detectors.kinds import Kinds, look
from engines.detectors.spatial import SpatialDetector
from engines.errors import ExportError
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.onnxruntime_quiet import ort
from engines.runtimes.openvino import OpenVinoRuntime
from engines.training.kinds.graph import LOOK, scoring_sha256, with_kinds, with_looks
from engines.training.release.export import Precision, export_onnx, map_spec
from tests.bench.engines.kinds_of_defects import SPEC, defective, ring_detector
from tests.bench.engines.pictures import ring
from tests.bench.engines.small_engine import small_model


@dataclass(frozen=True)
class Taught:
    """A detector as a teaching leaves it, and its graph."""

    detector: SpatialDetector
    model: bytes
    size: MapSpec


def taught(known_defects: bool, kinds: int, precision: Precision = "float32", *, suspects: bool = False) -> Taught:
    detector = ring_detector(suspects=suspects, known_defects=known_defects, kinds=kinds)
    return Taught(detector, export_onnx(detector, SPEC, precision), map_spec(detector))


def images() -> NDArray[np.uint8]:
    return np.stack([ring(500), defective("scratch", 501), defective("weave", 502)])


def new_kinds(dim: int, count: int = 4) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(5)
    means = rng.normal(size=(count, dim))
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    return (rng.normal(size=dim) / 10).astype(np.float32), unit.astype(np.float32)


def run(
    model: bytes, size: MapSpec, on: type[OnnxRuntime] | type[OpenVinoRuntime] = OnnxRuntime
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    with on(model, SPEC, size, threads=1) as runtime:
        scores, maps = runtime.infer(images())
        return scores, maps, np.zeros(0, np.float32) if runtime.kinds is None else runtime.kinds


@pytest.mark.parametrize(
    ("known_defects", "kinds", "suspects"),
    [(False, 0, False), (True, 0, False), (False, 3, False), (True, 3, False), (False, 0, True), (True, 3, True)],
)
def test_other_kinds_are_what_pytorch_computes_and_scores_stay(known_defects: bool, kinds: int, suspects: bool) -> None:
    before = taught(known_defects, kinds, suspects=suspects)
    common, means = new_kinds(sum(stream.dim for stream in before.detector.streams))
    made = with_kinds(before.model, common, means, before.size)
    scores, maps, likeness = run(made, before.size)
    old_scores, old_maps, _ = run(before.model, before.size)
    assert np.array_equal(scores, old_scores)
    assert np.array_equal(maps, old_maps)
    before.detector.kinds = Kinds(torch.from_numpy(common), torch.from_numpy(means), before.detector.map_size)
    with torch.inference_mode():
        expected = before.detector(torch.from_numpy(images()))[2].numpy()
    assert likeness.shape == (3, 4)
    assert np.abs(likeness - expected).max() < 2e-3
    *_, on_openvino = run(made, before.size, OpenVinoRuntime)
    assert np.abs(on_openvino - expected).max() < 2e-3
    assert with_kinds(made, common, means, before.size) == made, "the same again is the same to the byte"
    assert scoring_sha256(made) == scoring_sha256(before.model)


def test_a_graph_in_half_precision_gets_them_too() -> None:
    full, half = taught(True, 3), taught(True, 3, "float16")
    common, means = new_kinds(sum(stream.dim for stream in full.detector.streams))
    in_full, in_half = (with_kinds(one.model, common, means, one.size) for one in (full, half))
    scores, maps, likeness = run(in_half, half.size)
    old_scores, old_maps, _ = run(half.model, half.size)
    assert np.array_equal(scores, old_scores)
    assert np.array_equal(maps, old_maps)
    assert np.abs(likeness - run(in_full, full.size)[2]).max() < 0.02


def test_a_look_is_what_the_detector_sees() -> None:
    before = taught(True, 0)
    graph, whole = with_looks(before.model, before.size)
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found, coarsest = session.run([LOOK, whole], {"image": images()})
    detector = before.detector
    with torch.inference_mode():
        features = detector.features(torch.from_numpy(images()))
        _, anomaly_map, cells = detector.score_with_cells(features)
        assert cells is not None
        expected = look(anomaly_map, cells, before.size.height * before.size.width, cells.shape[-1]).numpy()
    assert np.abs(found - expected).max() < 2e-3
    smallest = min(detector.streams, key=lambda stream: features[stream.tap][0].numel())
    assert np.abs(coarsest - features[smallest.tap].numpy()).max() < 2e-3 * np.abs(coarsest).max()


def test_whatever_scores_is_hashed_and_kinds_are_not() -> None:
    before = taught(False, 3)
    model = onnx.load_from_string(before.model)
    for tensor in model.graph.initializer:
        if tensor.name == "detector.whitenings.e8.mean":
            values = numpy_helper.to_array(tensor).copy()
            values.flat[0] += np.float32(1e-6)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    assert scoring_sha256(model.SerializeToString()) != scoring_sha256(before.model)
    common, means = new_kinds(sum(stream.dim for stream in before.detector.streams))
    assert scoring_sha256(with_kinds(before.model, common, means, before.size)) == scoring_sha256(before.model)


def test_a_graph_without_whitened_cells_is_refused_with_what_to_do() -> None:
    model = small_model(np.full((64, 64, 3), 64, np.uint8))
    with pytest.raises(ExportError, match=r"no whitened features of cells.*--detector spatial"):
        with_kinds(model, np.zeros(4, np.float32), np.eye(4, dtype=np.float32), MapSpec(width=8, height=8))
