"""A tiny valid engine for tests: blurred absolute difference from a reference image. No torch, no training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.bundle.detection import CLEAR, KINDS, Curve, DefectKind, Detectability, Detection
from engines.bundle.kinds import KindsRecord
from engines.bundle.location_spec import LocationSpec
from engines.bundle.manifest import (
    Calibration,
    Draft,
    InputSpec,
    MapScore,
    MapSpec,
    TrainingRecord,
)
from engines.bundle.reading import Golden, read_bundle
from engines.bundle.writing import write_bundle
from engines.location.location import Location
from engines.preprocess import prepare
from engines.runtimes.onnx import OnnxRuntime

CELL_PX = 8
HOTTEST_CELL = MapScore(hottest_share=1e-9)
"""The score is that of one cell."""


def detection_of(*found: DefectKind) -> Detection:
    """What an engine says that finds these kinds, with clear contrast, and no other."""

    def curve(kind: DefectKind, size_px: float) -> Curve:
        is_found = kind in found
        return Curve(trials=60, found=40 * is_found, half_px=9.0, steepness=3.0, from_px=size_px if is_found else None)

    return Detection(
        curves=tuple(
            Detectability(kind=kind, contrast=CLEAR, review=curve(kind, 12.0), reject=curve(kind, 20.0))
            for kind in KINDS
        ),
        smallest_px=2.0,
        largest_px=100.0,
        seed=0,
    )


def write_small_engine(
    path: Path,
    *,
    width: int,
    height: int,
    reference: NDArray[np.uint8] | None = None,
    reject_score: float = 40.0,
    review_score: float = 30.0,
    pixel_score: float = 30.0,
    map_score: MapScore | None = HOTTEST_CELL,
    detection: Detection | None = None,
    kinds: KindsRecord | None = None,
) -> Path:
    """Write an engine for images of `width` x `height` px (multiples of 8) whose score is the largest mean absolute
    difference (grey levels) from `reference` over a cell of 8 x 8 px; without a reference, from a uniform 64.

    With two `kinds` its graph is as sure of the first as the score is large: likeness 1 at a score of 255.
    """
    if reference is None:
        reference = np.full((height, width, 3), 64, np.uint8)
    if reference.ndim == 2:
        reference = np.repeat(reference[:, :, np.newaxis], 3, axis=2)
    model = small_model(reference, kinds=kinds is not None)
    spec, map_spec = InputSpec(width=width, height=height), MapSpec(width=width // CELL_PX, height=height // CELL_PX)

    bright = reference.copy()
    bright[height // 4 : height // 2, width // 4 : width // 2] = (
        255 - bright[height // 4 : height // 2, width // 4 : width // 2]
    )
    golden = []
    with OnnxRuntime(model, spec, map_spec, threads=1) as runtime:
        for name, image in (("reference", reference), ("spot", bright)):
            scores, maps = runtime.infer(image[np.newaxis])
            golden.append(Golden(name, image, float(scores[0]), float(maps.max())))

    draft = Draft(
        detector="small",
        created="2026-01-01T00:00:00Z",
        input=spec,
        map=map_spec,
        map_score=map_score,
        detection=detection,
        kinds=kinds,
        golden_tolerance=0.01,
        calibration=Calibration(
            reject_score=reject_score,
            review_score=review_score,
            pixel_score=pixel_score,
            typical_score=0.0,
            typical_peak=0.0,
            false_reject_budget=0.01,
            review_budget=0.03,
            pixel_budget=0.03,
            confidence=0.9,
            holdout_count=20,
            effective_count=20.0,
            method="fixed",
            promise="None: the limits are fixed.",
        ),
        training=TrainingRecord(
            data_sha256="0" * 64,
            image_count=20,
            removed_count=0,
            min_width=width,
            max_width=width,
            min_height=height,
            max_height=height,
            min_aspect=width / height,
            max_aspect=width / height,
            grey=bool((reference == reference[:, :, :1]).all()),
        ),
        software={},
    )
    write_bundle(path, draft=draft, model=model, golden=golden)
    return path


def write_located_engine(path: Path, good: NDArray[np.uint8], location: LocationSpec) -> Path:
    """Write an engine that finds the part and scores how it differs from the one in the image `good`.

    The reject limit is 40 grey levels over a cell, as in `write_small_engine`.
    """
    spec = InputSpec(width=160, height=64)
    reference = prepare(good, spec, Location(location)).pixels
    plain = read_bundle(
        write_small_engine(path.with_name("plain-engine"), width=spec.width, height=spec.height, reference=reference)
    )
    height, width = good.shape[:2]
    taught = plain.manifest.training.model_copy(
        update={
            **{"min_width": width, "max_width": width, "min_height": height, "max_height": height},
            **{"min_aspect": width / height, "max_aspect": width / height, "grey": good.ndim == 2},
        }
    )
    manifest = plain.manifest.model_copy(update={"location": location, "training": taught})
    write_bundle(path, draft=manifest, model=plain.model, golden=plain.golden)
    return path


def small_model(reference: NDArray[np.uint8], *, kinds: bool = False) -> bytes:
    """The ONNX graph: |image - reference|, mean over colours and cells, maximum as score; maybe two kinds."""
    height, width, _ = reference.shape
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["float", "reference"], ["difference"]),
        helper.make_node("Abs", ["difference"], ["distance"]),
        helper.make_node("Transpose", ["distance"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("ReduceMean", ["planes", "one"], ["grey"], keepdims=1),
        helper.make_node(
            "AveragePool", ["grey"], ["cells"], kernel_shape=[CELL_PX, CELL_PX], strides=[CELL_PX, CELL_PX]
        ),
        helper.make_node("Squeeze", ["cells", "one"], ["anomaly_map"]),
        helper.make_node("ReduceMax", ["anomaly_map", "rows_columns"], ["image_score"], keepdims=0),
    ]
    outputs = []
    if kinds:
        nodes += [
            helper.make_node("Unsqueeze", ["image_score", "one"], ["column"]),
            helper.make_node("Mul", ["column", "sure"], ["kinds"]),
        ]
        outputs.append(helper.make_tensor_value_info("kinds", TensorProto.FLOAT, ["n", 2]))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", height, width, 3])],
        [
            helper.make_tensor_value_info("image_score", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, ["n", height // CELL_PX, width // CELL_PX]),
            *outputs,
        ],
        [
            numpy_helper.from_array(reference.astype(np.float32), "reference"),
            numpy_helper.from_array(np.array([1], np.int64), "one"),
            *([numpy_helper.from_array(np.array([[1, -1]], np.float32) / 255, "sure")] if kinds else []),
            numpy_helper.from_array(np.array([1, 2], np.int64), "rows_columns"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()
