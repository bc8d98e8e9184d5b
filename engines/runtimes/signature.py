"""Inputs and outputs that every graph of an engine has; whatever runs it checks them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec, MapSpec
from engines.errors import RuntimeFailure

OUTPUTS = ("image_score", "anomaly_map")
KINDS = "kinds"
"""A third output, of engines that suggest the kind of a defect."""

Tensor = tuple[str, str, list[int]]
"""Name, type as numpy calls it, and shape without the batch."""


def check_signature(found: Sequence[Tensor], spec: InputSpec, map_spec: MapSpec) -> int:
    """Compare the inputs, then outputs, of a graph with what the manifest says; returns how many kinds it knows.

    Raises:
        RuntimeFailure: they differ.
    """
    wanted: list[Tensor] = [
        ("image", "uint8", [spec.height, spec.width, spec.channels]),
        (OUTPUTS[0], "float32", []),
        (OUTPUTS[1], "float32", list(map_spec.shape)),
    ]
    rest = list(found[len(wanted) :])
    kinds = rest[0][2][0] if len(rest) == 1 and len(rest[0][2]) == 1 else 0
    if list(found[: len(wanted)]) != wanted or rest != ([(KINDS, "float32", [kinds])] if kinds else []):
        raise RuntimeFailure(
            f"the model has inputs and outputs {list(found)}, the manifest says {wanted}; teach it again"
        )
    return kinds


def scored_map(layers: NDArray[np.float32], size: MapSpec) -> NDArray[np.float32]:
    """The map (..., height, width) that the score follows from, of what the graph gives, (..., *size.shape)."""
    return layers if size.detail == 1 else layers[..., 0, :: size.detail, :: size.detail]


def shown_map(layers: NDArray[np.float32], size: MapSpec) -> NDArray[np.float32]:
    """The map that people see and regions are measured on, of what the graph gives, (..., *size.shape)."""
    return layers if size.detail == 1 else layers[..., 1, :, :]
