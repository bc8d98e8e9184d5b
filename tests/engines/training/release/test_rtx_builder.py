"""The graphs of every detector parse and build in the builder of TensorRT-RTX (not TensorRT: see `rtx_build`), without
a GPU: strongly typed, as many images as the profile says, for four generations of GPUs.
"""

from __future__ import annotations

import copy
import functools
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from engines.bundle.manifest import InputSpec
from engines.detectors.base import Detector
from engines.detectors.catalogue import DETECTORS, DetectorFactory
from engines.detectors.differnet import DiffernetDetector
from engines.detectors.kinds import Kinds
from engines.detectors.known_defects import KnownDefects
from engines.detectors.spatial import SpatialDetector
from engines.location.location import Location
from engines.training.kinds.graph import with_kinds
from engines.training.release.export import export_onnx, map_spec
from engines.training.release.frame_graph import make_frame_graph
from engines.training.release.int8.quantise import quantised_backbone
from tests.bench.engines.pictures import ring
from tests.engines.training.release.rtx_build import Build

SPEC = InputSpec(width=128, height=64)
"""Small, because a build takes as long as its kernels are many; the operators are those of any size."""
TARGETS = ("SM75", "SM86", "SM89", "SM120")
TIMEOUT_S = 280
FACTORIES: dict[str, DetectorFactory] = {
    **DETECTORS,
    # It repeats the same operators, so its builds take longest: fewer views, a shorter and narrower flow.
    "differnet": functools.partial(DiffernetDetector, train_views=1, test_views=2, blocks=2, hidden=32),
}

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="NVIDIA publishes TensorRT-RTX for x86-64 only, on PyPI"),
]


def pictures(count: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([ring(seed, size=160)[:64, :128] for seed in range(count)]))


@functools.cache
def trained(name: str) -> Detector:
    """The detector as it ships, one step away from its start."""
    torch.manual_seed(0)
    detector = FACTORIES[name](SPEC).eval()
    with torch.inference_mode():
        features = {key: value.clone() for key, value in detector.features(pictures(4)).items()}
    features = {key: value.clone() for key, value in features.items()}
    detector.initialise(features)
    parameters = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    if parameters:
        optimiser = torch.optim.Adam(parameters, lr=1e-3)
        detector.loss(features).backward()
        optimiser.step()
    return detector


def graph_of(name: str, precision: str) -> bytes:
    if precision == "fp16":
        return export_onnx(trained(name), SPEC, "float16")
    full = export_onnx(trained(name), SPEC)
    return full if precision == "float32" else quantised_backbone(full, list(pictures(4).numpy())).model


def build(graph: bytes, folder: Path, targets: Sequence[str]) -> list[Build]:
    file = folder / "model.onnx"
    file.write_bytes(graph)
    command = [
        sys.executable,
        "-m",
        "tests.engines.training.release.rtx_build",
        str(file),
        str(SPEC.height),
        str(SPEC.width),
        *targets,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, f"the process of TensorRT-RTX ended with {done.returncode}: {done.stderr[-2000:]}"
    return [Build(**json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_half_precision_builds_in_tensorrt_rtx_for_every_generation(name: str, tmp_path: Path) -> None:
    found = build(graph_of(name, "fp16"), tmp_path, TARGETS)
    assert [entry.target for entry in found] == list(TARGETS)
    for entry in found:
        assert entry.builder.startswith("TensorRT-RTX "), entry
        assert not entry.problems, entry
        assert entry.plan_bytes > 100_000, entry


@pytest.mark.parametrize(
    ("name", "precision"), [*((name, "float32") for name in sorted(DETECTORS)), ("spatial", "int8")]
)
def test_the_other_graphs_build_in_tensorrt_rtx(name: str, precision: str, tmp_path: Path) -> None:
    """One generation is enough: what differs from half precision is the type of the same operators."""
    (found,) = build(graph_of(name, precision), tmp_path, ["SM89"])
    assert not found.problems
    assert found.plan_bytes > 100_000


def test_a_head_for_known_defects_and_kinds_builds_in_tensorrt_rtx_for_every_generation(tmp_path: Path) -> None:
    detector = copy.deepcopy(trained("spatial"))
    assert isinstance(detector, SpatialDetector)
    dim = sum(stream.dim for stream in detector.streams)
    detector.known_defects = KnownDefects(torch.randn(dim) / 10, 0.0, gain=0.1, start=0.0)
    unit = torch.nn.functional.normalize(torch.randn(3, dim), dim=1)
    detector.kinds = Kinds(torch.randn(dim) / 10, unit, detector.map_size)
    for entry in build(export_onnx(detector, SPEC, "float16"), tmp_path, TARGETS):
        assert not entry.problems, entry
        assert entry.plan_bytes > 100_000, entry


@pytest.mark.parametrize(("precision", "target"), [("fp16", "SM75"), ("int8", "SM89")])
def test_kinds_that_were_learned_anew_build_in_tensorrt_rtx(precision: str, target: str, tmp_path: Path) -> None:
    detector = trained("spatial")
    assert isinstance(detector, SpatialDetector)
    dim = sum(stream.dim for stream in detector.streams)
    unit = torch.nn.functional.normalize(torch.randn(3, dim), dim=1).numpy()
    graph = with_kinds(graph_of("spatial", precision), np.zeros(dim, np.float32), unit, map_spec(detector))
    (found,) = build(graph, tmp_path, [target])
    assert not found.problems
    assert found.plan_bytes > 100_000


@pytest.mark.parametrize(("width", "height", "grey"), [(500, 333, True), (97, 128, False)])
def test_what_prepares_frames_builds_in_tensorrt_rtx(width: int, height: int, grey: bool, tmp_path: Path) -> None:
    """Odd and even sizes, grey and colour: all steps that there are, with ignored regions and borders."""
    fill = np.zeros((SPEC.height, SPEC.width, 3), np.uint8)
    location = Location(ignore=(((0.0, 0.0), (0.5, 0.0), (0.0, 0.5)),), pictures={"fill": fill})
    graph = make_frame_graph(width, height, SPEC, location, grey=grey)
    for entry in build(graph.model, tmp_path, TARGETS):
        assert not entry.problems, entry
        assert entry.plan_bytes > 10_000, entry


def test_what_it_cannot_build_is_reported(tmp_path: Path) -> None:
    """So the tests above can fail: an operator that nobody knows, and one that Turing does not have."""
    graph = onnx.load_from_string(graph_of("spatial", "float32"))
    (turing,) = build(graph.SerializeToString(), tmp_path, ["SM75"])
    assert turing.plan_bytes == 0
    assert "FP32 GEMM is not supported" in " ".join(turing.problems)
    next(node for node in graph.graph.node if node.op_type == "Exp").op_type = "Nonsense"
    (unknown,) = build(graph.SerializeToString(), tmp_path, ["SM86"])
    assert unknown.plan_bytes == 0
    assert "Nonsense" in " ".join(unknown.problems)
