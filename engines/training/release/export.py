"""From a trained detector to one ONNX graph, proven to compute the same."""

from __future__ import annotations

import copy
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.bundle.manifest import InputSpec, MapSpec
from engines.detectors.backbones.lite import LiteBackbone
from engines.detectors.backbones.onnx_file import PLACEHOLDER, OnnxBackbone, inline
from engines.detectors.base import Detector
from engines.detectors.flow import Subnet
from engines.errors import ExportError
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.signature import KINDS, OUTPUTS
from engines.training.release.matrix_products import without_float32_products

OPSET = 17
"""TensorRT 10.3 and every supported ONNX Runtime read it."""
PARITY_TOLERANCE = 2e-3
"""Allowed difference between torch and ONNX Runtime: absolute below 1, relative above."""

Precision = Literal["float32", "float16"]


@dataclass(frozen=True)
class HalfCheck:
    """The half-precision graph against the full one, on the same images."""

    max_score_difference: float
    """In units of the scores."""
    max_map_difference: float
    rank_correlation: float
    """Spearman's, of the image scores; 1: they rank the images alike."""


def export_onnx(detector: Detector, spec: InputSpec, precision: Precision = "float32") -> bytes:
    """The graph `image` uint8 (n, height, width, 3) -> `image_score` (n,), `anomaly_map` (n, h, w); n is free.

    Where the detector knows kinds of defects there is a third output, `kinds` (n, kinds).

    With "float16" the convolutions of the backbone and the subnets of the couplings are in half precision. The state of
    a flow, exponentials, log-determinants, distances and scores stay in float32, where half would lose small
    differences of large numbers; so do all inputs and outputs. The network of an ONNX file stays as it is.

    Raises:
        ExportError: the graph is not valid.
        BackboneError: the ONNX file of the backbone does not fit into the graph.
    """
    detector.eval()
    from_file = [module for module in detector.modules() if isinstance(module, OnnxBackbone)]
    traced = halved(detector) if precision == "float16" else detector
    model = onnx.load_from_string(_trace(traced, spec, {PLACEHOLDER: 1} if from_file else {}))
    if precision == "float16":  # for GPUs, of which some cannot do what every processor can
        model = without_float32_products(model)
    for backbone in from_file:
        model = inline(model, backbone)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the exported graph ({precision}) is not valid: {error}") from error
    return bytes(model.SerializeToString())


def halved(detector: Detector) -> Detector:
    """A copy whose parts that tolerate it compute in half precision; they convert what goes in and out themselves."""
    copied = copy.deepcopy(detector)
    for module in copied.modules():
        if isinstance(module, LiteBackbone | Subnet):
            module.half()
    return copied


class _CastFirst(nn.Module):
    """The detector on pixels that are numbers of its own kind before anything else is done with them.

    The detectors transpose first and cast then, which is the same; but TensorRT takes 8 bits in the cast only.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = self.detector(image.float())
        return found


def _trace(detector: Detector, spec: InputSpec, custom_opsets: dict[str, int]) -> bytes:
    example = torch.zeros((1, spec.height, spec.width, 3), dtype=torch.uint8)
    names = ("image", *OUTPUTS, *((KINDS,) if detector.kinds is not None else ()))
    with tempfile.TemporaryDirectory(prefix="station-export-") as folder, warnings.catch_warnings(), torch.no_grad():
        # The exporter that replaces this one needs another package and gives the same graph; torch is pinned.
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*legacy TorchScript-based ONNX.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.onnx\..*")
        # It warns that paddings are not folded into constants; the runtimes do that when they load the graph.
        warnings.filterwarnings("ignore", category=UserWarning, message="Constant folding.*")
        # A backbone from a file is a placeholder here, its shapes are written into the graph behind it.
        warnings.filterwarnings("ignore", category=UserWarning, message=f".*shape inference of {PLACEHOLDER}::.*")
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            _CastFirst(detector),
            (example,),
            file,
            input_names=[names[0]],
            output_names=list(names[1:]),
            dynamic_axes={name: {0: "n"} for name in names},
            opset_version=OPSET,
            custom_opsets=custom_opsets,
            dynamo=False,
        )
        return file.read_bytes()


def check_parity(detector: Detector, runtime: OnnxRuntime, images: NDArray[np.uint8]) -> float:
    """Score `images` (n, height, width, 3) with torch and with the runtime; returns the largest difference.

    Differences are relative where the value is above 1.

    Raises:
        ExportError: the difference is above the tolerance, or a score is not finite.
    """
    with torch.inference_mode():
        expected = [value.numpy() for value in detector(torch.from_numpy(images))]
    found = [*runtime.infer(images)] + ([] if runtime.kinds is None else [runtime.kinds])
    difference = max(
        float((np.abs(a - b) / np.maximum(1.0, np.abs(a))).max()) for a, b in zip(expected, found, strict=True)
    )
    if not difference <= PARITY_TOLERANCE:  # written so that NaN fails
        raise ExportError(
            f"torch and ONNX Runtime differ by {difference:.3g} on {len(images)} images, allowed {PARITY_TOLERANCE:g}"
        )
    return difference


def check_half(full: OnnxRuntime, half: OnnxRuntime, images: NDArray[np.uint8]) -> HalfCheck:
    """Score at least two `images` (n, height, width, 3) with the graph in float32 and in float16.

    Raises:
        ExportError: a score of the half-precision graph is not finite, which means that it overflows.
        ValueError: fewer than two images.
    """
    if len(images) < 2:
        raise ValueError(f"{len(images)} images: ranks need at least two")
    full_scores, full_maps = _infer_singly(full, images)
    half_scores, half_maps = _infer_singly(half, images)
    if not (np.isfinite(half_scores).all() and np.isfinite(half_maps).all()):
        raise ExportError("the half-precision graph gives scores that are not finite; export it in float32")
    full_ranks, half_ranks = (
        np.argsort(np.argsort(x, kind="stable")).astype(float) for x in (full_scores, half_scores)
    )
    return HalfCheck(
        max_score_difference=float(np.abs(full_scores - half_scores).max()),
        max_map_difference=float(np.abs(full_maps - half_maps).max()),
        rank_correlation=float(np.corrcoef(full_ranks, half_ranks)[0, 1]),
    )


def _infer_singly(runtime: OnnxRuntime, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One by one, as on the line, so that many images need no more memory than one."""
    results = [runtime.infer(image[np.newaxis]) for image in images]
    return np.concatenate([score for score, _ in results]), np.concatenate([found for _, found in results])


def map_spec(detector: Detector) -> MapSpec:
    """The size of the detector's anomaly map as the manifest says it."""
    height, width = detector.map_size
    return MapSpec(width=width, height=height, detail=detector.map_detail)
