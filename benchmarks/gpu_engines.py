"""For benchmarks/gpu_check.py: the default detector at any input size, on textures made here, and PyTorch on a GPU.

Nothing is trained: how long an inference takes does not depend on what was learned. Needs the extra `train`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from engines.bundle.manifest import Calibration, Draft, InputSpec, TrainingRecord, Variant
from engines.bundle.reading import Golden, Graph
from engines.bundle.writing import write_bundle
from engines.detectors.base import Detector
from engines.detectors.spatial import SpatialDetector
from engines.location.location import WHOLE_IMAGE
from engines.parity_report import HALF
from engines.runtimes.onnx import OnnxRuntime, runtime_name
from engines.runtimes.parity import Side, compare, parity_images
from engines.training.release.export import export_onnx, halved, map_spec
from engines.training.release.frame_graph import make_frame_graph

LEARNED, SAMPLE = 16, 8
FRAME_SIZE = 2448, 2048
"""Width and height of a usual sensor of 5 MP, px; in colour."""
NO_DATA = "0" * 64
"""There is no data set: the images are made here."""
_MATRIX = 8192
_REPEATS = 20


@dataclass(frozen=True)
class MadeEngine:
    """An engine on disk and the network that it came from."""

    path: Path
    detector: Detector
    operations: int
    """Additions and multiplications for one image."""


def textures(side: int, count: int, seed: int = 0) -> NDArray[np.uint8]:
    """(count, side, side, 3): brushed metal of random grain."""
    random = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        noise = random.normal(0, 40, (side, side)).astype(np.float32)
        grain = cv2.GaussianBlur(noise, (0, 0), sigmaX=9, sigmaY=1) * 3
        images.append(np.repeat(np.clip(128 + grain, 0, 255).astype(np.uint8)[..., np.newaxis], 3, axis=2))
    return np.stack(images)


def make_engine(path: Path, side: int, *, backbone: str = "lite0") -> MadeEngine:
    """Write the default detector for `side` x `side` px, set in closed form, to the new folder `path`."""
    spec = InputSpec(width=side, height=side)
    detector = SpatialDetector(spec, backbone)
    detector.eval()
    images = textures(side, LEARNED + SAMPLE)
    learned, held_out = images[:LEARNED], images[LEARNED:]
    with torch.inference_mode():
        parts = [detector.features(torch.from_numpy(image[np.newaxis])) for image in learned]
        detector.initialise({name: torch.cat([part[name] for part in parts]) for name in parts[0]})
        with FlopCounterMode(display=False) as counter:
            detector(torch.from_numpy(learned[:1]))
    model, half = export_onnx(detector, spec), export_onnx(detector, spec, "float16")
    spot = held_out[0].copy()
    spot[side // 3 : side // 2, side // 3 : side // 2] = 255 - spot[side // 3 : side // 2, side // 3 : side // 2] // 2
    with (
        OnnxRuntime(model, spec, map_spec(detector), threads=2) as reference,
        OnnxRuntime(half, spec, map_spec(detector), threads=2) as other,
    ):
        golden = [_golden(name, image, reference) for name, image in (("good", held_out[0]), ("spot", spot))]
        limits = _limits(held_out, reference, golden)
        parity = compare(
            Side(runtime_name(), reference),
            Side(runtime_name("float16"), other),
            parity_images(golden, list(held_out)),
            limits,
            HALF,
        )
    draft = Draft(
        detector="spatial",
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        input=spec,
        map=map_spec(detector),
        golden_tolerance=0.05,
        calibration=limits,
        training=TrainingRecord(
            data_sha256=NO_DATA,
            image_count=LEARNED,
            removed_count=0,
            min_width=side,
            max_width=side,
            min_height=side,
            max_height=side,
            min_aspect=1.0,
            max_aspect=1.0,
            grey=True,
        ),
        software={},
    )
    half_graph: dict[Variant, Graph] = {"fp16": Graph(half, parity)}
    frame = make_frame_graph(*FRAME_SIZE, spec, WHOLE_IMAGE, grey=False)
    write_bundle(path, draft=draft, model=model, golden=golden, variants=half_graph, sample=list(held_out), frame=frame)
    return MadeEngine(path, detector, int(counter.get_total_flops()))


def on_torch(engine: MadeEngine) -> dict[str, Callable[[NDArray[np.uint8]], Any]]:
    """The same network in PyTorch on the GPU, copies included: eager and compiled, in float32 and in half precision
    where the exported graph is.
    """
    half = halved(engine.detector).to("cuda")
    networks = {"torch eager fp32": engine.detector.to("cuda"), "torch eager fp16": half}
    compiled = torch.compile(networks["torch eager fp16"], mode="max-autotune", dynamic=False)
    return {name: partial(_infer, network) for name, network in (*networks.items(), ("torch.compile fp16", compiled))}


def _infer(network: Any, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    with torch.inference_mode():
        score, anomaly_map = network(torch.from_numpy(images).pin_memory().to("cuda", non_blocking=True))
        return score.cpu().numpy(), anomaly_map.cpu().numpy()  # both wait for the GPU


def torch_on_gpu() -> str:
    """What PyTorch would use; empty when it cannot use the GPU."""
    if not torch.cuda.is_available():
        return ""
    return f"torch {torch.__version__} on {torch.cuda.get_device_name()}"


def peak_operations_per_s() -> float:
    """What a large matrix product in half precision reaches on this GPU."""
    a, b = (torch.randn(_MATRIX, _MATRIX, device="cuda", dtype=torch.float16) for _ in range(2))
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    for _ in range(3):
        a @ b
    start.record()
    for _ in range(_REPEATS):
        a @ b
    end.record()
    torch.cuda.synchronize()
    return float(2.0 * _MATRIX**3 * _REPEATS / (start.elapsed_time(end) / 1e3))


def _golden(name: str, image: NDArray[np.uint8], runtime: OnnxRuntime) -> Golden:
    scores, maps = runtime.infer(image[np.newaxis])
    return Golden(name, image, float(scores[0]), float(maps[0].max()))


def _limits(held_out: NDArray[np.uint8], runtime: OnnxRuntime, golden: list[Golden]) -> Calibration:
    """Between the textures and the one with a spot; no promise."""
    results = [runtime.infer(image[np.newaxis]) for image in held_out]
    scores = np.array([float(score[0]) for score, _ in results])
    peaks = np.array([float(found.max()) for _, found in results])
    way, way_of_map = golden[1].image_score - scores.max(), golden[1].map_peak - peaks.max()
    return Calibration(
        reject_score=float(scores.max() + way / 2),
        review_score=float(scores.max() + way / 3),
        pixel_score=float(peaks.max() + way_of_map / 2),
        typical_score=float(np.median(scores)),
        typical_peak=float(np.median(peaks)),
        false_reject_budget=0.01,
        review_budget=0.03,
        pixel_budget=0.03,
        confidence=0.9,
        holdout_count=len(held_out),
        effective_count=float(len(held_out)),
        method="fixed",
        promise="None: this engine is for measuring.",
    )
