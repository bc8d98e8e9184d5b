"""From a trained detector to one ONNX graph, proven to compute the same."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from engines.detectors.base import Detector
from engines.manifest import InputSpec, MapSpec
from engines.runtimes.onnx import OnnxRuntime
from engines.training.errors import ExportError

OPSET = 17
"""TensorRT 10.3 and every supported ONNX Runtime read it."""
PARITY_TOLERANCE = 2e-3
"""Allowed difference between torch and ONNX Runtime, in units of the scores."""


def export_onnx(detector: Detector, spec: InputSpec) -> bytes:
    """The graph `image` uint8 (n, height, width, 3) -> `image_score` (n,), `anomaly_map` (n, h, w); n is free."""
    detector.eval()
    example = torch.zeros((1, spec.height, spec.width, 3), dtype=torch.uint8)
    names = ("image", "image_score", "anomaly_map")
    with tempfile.TemporaryDirectory(prefix="station-export-") as folder, warnings.catch_warnings():
        # The exporter that replaces this one needs another package and gives the same graph; torch is pinned.
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*legacy TorchScript-based ONNX.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.onnx\..*")
        # It tells that paddings are not folded into constants; the runtimes do that when they load the graph.
        warnings.filterwarnings("ignore", category=UserWarning, message="Constant folding.*")
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            detector,
            (example,),
            file,
            input_names=[names[0]],
            output_names=list(names[1:]),
            dynamic_axes={name: {0: "n"} for name in names},
            opset_version=OPSET,
            dynamo=False,
        )
        model = file.read_bytes()
    onnx.checker.check_model(onnx.load_from_string(model))
    return model


def check_parity(detector: Detector, runtime: OnnxRuntime, images: NDArray[np.uint8]) -> float:
    """Score `images` (n, height, width, 3) with torch and with the runtime; returns the largest difference.

    Raises:
        ExportError: the difference is above the tolerance, or a score is not finite.
    """
    with torch.inference_mode():
        torch_score, torch_map = detector(torch.from_numpy(images))
    score, anomaly_map = runtime.infer(images)
    difference = max(
        float(np.abs(torch_score.numpy() - score).max()), float(np.abs(torch_map.numpy() - anomaly_map).max())
    )
    if not difference <= PARITY_TOLERANCE:  # written so that NaN fails
        raise ExportError(
            f"torch and ONNX Runtime differ by {difference:.3g} on {len(images)} images, allowed {PARITY_TOLERANCE:g}"
        )
    return difference


def map_spec(detector: Detector) -> MapSpec:
    """The size of the detector's anomaly map as the manifest says it."""
    height, width = detector.map_size
    return MapSpec(width=width, height=height)
