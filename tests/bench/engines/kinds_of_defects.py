"""Rings with defects of several kinds, and an engine of the default detector that has seen good ones alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from engines.bundle.manifest import Calibration, Draft, InputSpec, TrainingRecord
from engines.bundle.reading import Golden, Graph
from engines.bundle.writing import write_bundle
from engines.detectors.kinds import Kinds
from engines.detectors.known_defects import Bound, KnownDefects
from engines.detectors.spatial import SpatialDetector
from engines.parity_report import HALF
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.parity import Side, compare, parity_images
from engines.training.release.export import export_onnx, map_spec
from tests.bench.engines.pictures import SIZE_PX, ring

SPEC = InputSpec(width=SIZE_PX, height=SIZE_PX)
KINDS = ("scratch", "stain", "weave")
STRANGER = "burr"
"""A kind that nobody labels."""
GOOD = 24


def defective(kind: str, seed: int) -> NDArray[np.uint8]:
    """A ring with a defect of this kind, somewhere on it: (height, width, 3)."""
    image = ring(seed)
    rng = np.random.default_rng([seed, len(kind)])
    angle, middle, radius = rng.uniform(0, 2 * np.pi), SIZE_PX / 2, SIZE_PX / 3
    x, y = (int(middle + radius * way(angle)) for way in (np.cos, np.sin))
    if kind == "scratch":
        turn = rng.uniform(0, np.pi)
        dx, dy = int(16 * np.cos(turn)), int(16 * np.sin(turn))
        cv2.line(image, (x - dx, y - dy), (x + dx, y + dy), (255, 255, 255), 3)
    elif kind == "stain":
        spot = np.zeros(image.shape[:2], np.float32)
        cv2.circle(spot, (x, y), 9, 1.0, -1)
        shade = cv2.GaussianBlur(spot, (0, 0), 2)[..., np.newaxis]
        image = np.asarray(image * (1 - 0.8 * shade), np.uint8)
    elif kind == "weave":
        rows, columns = np.mgrid[0:SIZE_PX, 0:SIZE_PX]
        inside = (abs(rows - y) < 9) & (abs(columns - x) < 9)
        image[inside & ((rows // 3 + columns // 3) % 2 == 0)] = (30, 30, 30)
        image[inside & ((rows // 3 + columns // 3) % 2 == 1)] = (240, 240, 240)
    else:
        cv2.rectangle(image, (x - 8, y - 8), (x + 8, y + 8), (20, 60, 230), -1)
    return image


def write_images(folder: Path, kind: str, count: int, first_seed: int) -> list[Path]:
    """PNGs of defective rings."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{kind}-{seed}.png" for seed in range(first_seed, first_seed + count)]
    for seed, file in enumerate(files, start=first_seed):
        assert cv2.imwrite(str(file), defective(kind, seed)[..., ::-1])
    return files


def ring_detector(*, suspects: bool = False, known_defects: bool = False, kinds: int = 0) -> SpatialDetector:
    """Learned from good rings, in closed form; heads with weights by chance where they are asked for."""
    torch.manual_seed(0)
    detector = SpatialDetector(SPEC).eval()
    images = torch.from_numpy(np.stack([ring(seed) for seed in range(GOOD)]))
    with torch.inference_mode():
        features = detector.features(images)
        detector.initialise(features)
        detector.fit_detail(features)
    dim = sum(stream.dim for stream in detector.streams)
    if suspects:
        detector.suspects = KnownDefects(torch.randn(dim) / 10, 0.0, gain=0.1, start=0.0, bound=Bound(0.1, 0.3))
    if known_defects:
        detector.known_defects = KnownDefects(torch.randn(dim) / 10, 0.0, gain=0.1, start=0.0)
    if kinds:
        unit = torch.nn.functional.normalize(torch.randn(kinds, dim), dim=1)
        detector.kinds = Kinds(torch.randn(dim) / 10, unit, detector.map_size)
    return detector


def write_ring_engine(path: Path) -> Path:
    """An engine for rings in float32 and float16, that knows no kinds; its limits are drawn from its own images."""
    detector = ring_detector()
    model, half, size = export_onnx(detector, SPEC), export_onnx(detector, SPEC, "float16"), map_spec(detector)
    images = {name: ring(seed) for seed, name in enumerate(("best", "median", "worst"), start=100)}
    images["painted"] = defective(STRANGER, 100)
    sample = tuple(ring(seed) for seed in range(200, 208))
    with OnnxRuntime(model, SPEC, size, threads=1) as runtime, OnnxRuntime(half, SPEC, size, threads=1) as other:
        scored = [runtime.infer(image[np.newaxis]) for image in (*images.values(), *sample)]
        scores, peaks = [float(score[0]) for score, _ in scored], [float(layers.max()) for _, layers in scored]
        golden = [Golden(*entry) for entry in zip(images, images.values(), scores, peaks, strict=False)]
        calibration = _limits([*scores[:3], *scores[4:]], [*peaks[:3], *peaks[4:]])
        sides = Side("float32", runtime), Side("float16", other)
        parity = compare(*sides, parity_images(golden, sample), calibration, HALF)
    draft = Draft(
        detector="spatial",
        created="2026-01-01T00:00:00Z",
        input=SPEC,
        map=size,
        map_score=detector.map_score,
        golden_tolerance=0.01,
        calibration=calibration,
        training=TrainingRecord(
            data_sha256="0" * 64,
            image_count=GOOD,
            removed_count=0,
            min_width=SIZE_PX,
            max_width=SIZE_PX,
            min_height=SIZE_PX,
            max_height=SIZE_PX,
            min_aspect=1.0,
            max_aspect=1.0,
            grey=False,
        ),
        software={},
    )
    write_bundle(path, draft=draft, model=model, golden=golden, variants={"fp16": Graph(half, parity)}, sample=sample)
    return path


def _limits(scores: list[float], peaks: list[float]) -> Calibration:
    return Calibration(
        reject_score=max(scores) + 0.3,
        review_score=max(scores) + 0.1,
        pixel_score=max(peaks) + 0.3,
        typical_score=float(np.median(scores)),
        typical_peak=float(np.median(peaks)),
        false_reject_budget=0.01,
        review_budget=0.1,
        pixel_budget=0.03,
        confidence=0.9,
        holdout_count=len(scores),
        effective_count=float(len(scores)),
        method="of a test",
        promise="None: of a test.",
    )
