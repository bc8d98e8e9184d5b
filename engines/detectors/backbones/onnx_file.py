"""Any other frozen network: an ONNX model whose outputs are the feature maps.

The file decides what the detector sees. One input, float32 RGB 0..255 of shape (n, 3, height, width) with a free n,
normalisation inside the model; every output a feature map (n, channels, rows, columns) or the tokens of a vision
transformer (n, tokens, channels), see `tokens`; named as the tap, from fine to coarse. In training ONNX Runtime
computes the features. An exported engine contains the network itself: while torch traces the detector each call becomes
one placeholder node, and `inline` replaces the placeholders by the network.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor
from torch.nn import functional

from engines.bundle.graph_check import check_self_contained
from engines.detectors.backbones.base import Backbone, BackboneError
from engines.detectors.backbones.tokens import PATCHES_PX, TokenGrid, token_grid
from engines.errors import BundleError
from engines.runtimes.onnxruntime_quiet import model_in_memory_only, ort

PLACEHOLDER = "station.backbone"
"""Domain of the placeholder nodes."""
PROBE_SIZE_PX = 448
"""Multiple of the strides in use (32) and of the patches of vision transformers (14)."""


class OnnxBackbone(Backbone):
    """The network of an ONNX file.

    Args:
        path: the file; at most 2 GB, weights inside.
        threads: for ONNX Runtime; 0 takes as many as torch has.

    Raises:
        BackboneError: the file is missing, not an ONNX model or has other inputs or outputs.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        content = _read(path)
        try:
            self.model = onnx.load_from_string(content)
            options = ort.SessionOptions()
            options.intra_op_num_threads = threads or torch.get_num_threads()
            options.log_severity_level = 3
            model_in_memory_only(options)
            self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # neither onnx nor ONNX Runtime has a common base for its errors
            raise BackboneError(f"backbone {path}: not an ONNX model that ONNX Runtime can load: {error}") from error
        fixed_size = _check_signature(path, self._session)
        height, width = fixed_size or (PROBE_SIZE_PX, PROBE_SIZE_PX)
        names = [output.name for output in self._session.get_outputs()]
        if dotted := [name for name in names if "." in name or not name]:
            raise BackboneError(
                f'backbone {path}: output "{dotted[0]}": allowed are names without a dot, since they name what is '
                "learned of them; rename it and export again"
            )
        found = self._session.run(names, {self._input: np.zeros((2, 3, height, width), np.float32)})
        channels, strides = {}, {}
        grids = {name: token_grid(value.shape[1], height, width) for name, value in _tokens(names, found)}
        scales = {(grid.patch_px, grid.stride) for grid in grids.values() if grid is not None} or {(1, 1)}
        for name, value in zip(names, found, strict=True):
            grid = grids.get(name)
            if grid is not None and len(scales) == 1:
                channels[name], strides[name] = value.shape[2], grid.patch_px
                continue
            if value.ndim != 4 or len(value) != 2 or height % value.shape[2] or width % value.shape[3]:
                raise BackboneError(
                    f'backbone {path}: output "{name}" is {value.shape} for two images of {width}x{height}; allowed is '
                    "(n, channels, rows, columns) with a whole number of pixels per cell, or (n, tokens, channels) of "
                    f"patches of {', '.join(map(str, PATCHES_PX))} px, the same for all outputs"
                )
            channels[name], strides[name] = value.shape[1], height // value.shape[2]
            if width // value.shape[3] != strides[name]:
                raise BackboneError(f'backbone {path}: output "{name}" has cells that are not square')
        ((patch, cell),) = scales
        if any(stride * cell % patch for stride in strides.values()):
            raise BackboneError(f"backbone {path}: its maps have cells of {strides} px, its tokens of {patch} px")
        strides = {name: stride * cell // patch for name, stride in strides.items()}
        self._grids: dict[str, TokenGrid] = {name: grid for name, grid in grids.items() if grid is not None}
        self._scale = patch, cell
        """The network sees the input scaled by the first divided by the second."""
        self.fixed_size = fixed_size and (height * cell // patch, width * cell // patch)
        digest = hashlib.sha256(content).hexdigest()
        super().__init__(key=f"onnx {digest}", channels=channels, strides=strides, input_multiple=max(strides.values()))

    @property
    def _input(self) -> str:
        name: str = self._session.get_inputs()[0].name
        return name

    def check_input(self, height: int, width: int) -> None:
        """See `Backbone.check_input`."""
        if self.fixed_size is not None and (height, width) != self.fixed_size:
            raise BackboneError(
                f"input {width}x{height}: this ONNX backbone only takes {self.fixed_size[1]}x{self.fixed_size[0]}; "
                "export it with free height and width"
            )
        super().check_input(height, width)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """See `Backbone.forward`. Gives no gradients."""
        with warnings.catch_warnings():
            # The sizes become constants of an exported graph, and they are: an engine has one input size. The values
            # that ONNX Runtime computes do not, a placeholder stands for them.
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            height, width = (int(size) for size in image.shape[2:])
            self.check_input(height, width)
            patch, cell = self._scale
            if patch != cell:
                size = height * patch // cell, width * patch // cell
                image = functional.interpolate(image, size=size, mode="bilinear", align_corners=False)
            outputs: tuple[Tensor, ...] = _Features.apply(image, self)  # type: ignore[no-untyped-call]
        maps = {}
        for tap, value in zip(self.taps, outputs, strict=True):
            rows, columns = height // self.strides[tap], width // self.strides[tap]
            grid = self._grids.get(tap)
            # The reshape of a map changes nothing; it writes the size into the exported graph.
            maps[tap] = (
                value.reshape(-1, self.channels[tap], rows, columns)
                if grid is None
                else grid.as_map(value.reshape(-1, grid.others + rows * columns, self.channels[tap]), rows, columns)
            )
        return maps

    def run(self, image: Tensor) -> tuple[Tensor, ...]:
        """The outputs in the order of `taps`."""
        found = self._session.run(list(self.taps), {self._input: image.detach().float().numpy()})
        return tuple(torch.from_numpy(value).to(image.dtype) for value in found)

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxBackbone:
        """Frozen, so a copy of a detector may share it; a session cannot be copied."""
        return self


class _Features(torch.autograd.Function):
    """ONNX Runtime when it runs, a placeholder node when it is exported."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, backbone: OnnxBackbone) -> tuple[Tensor, ...]:
        outputs = backbone.run(image)
        ctx.mark_non_differentiable(*outputs)
        return outputs

    @staticmethod
    def symbolic(graph: Any, image: Any, backbone: OnnxBackbone) -> Any:
        return graph.op(f"{PLACEHOLDER}::Features", image, outputs=len(backbone.taps))


def inline(model: onnx.ModelProto, backbone: OnnxBackbone) -> onnx.ModelProto:
    """Replace every placeholder in the graph of a detector by the nodes of the backbone.

    Called more than once (several scales), the network is repeated and its weights are shared.

    Raises:
        BackboneError: the backbone uses operators that the opset of the detector does not have.
    """
    network = _converted(backbone.model, {entry.domain: entry.version for entry in model.opset_import}[""])
    weights = {tensor.name: f"backbone.{tensor.name}" for tensor in network.graph.initializer}
    merged = onnx.ModelProto()
    merged.CopyFrom(model)
    del merged.graph.node[:]
    calls = 0
    for node in model.graph.node:
        if node.domain != PLACEHOLDER:
            merged.graph.node.append(node)
            continue
        outer = {network.graph.input[0].name: node.input[0]}
        outer |= dict(zip((output.name for output in network.graph.output), node.output, strict=True))
        merged.graph.node.extend(_renamed(network.graph, f"backbone{calls}.", {**weights, **outer}))
        calls += 1
    for tensor in network.graph.initializer:
        merged.graph.initializer.add().CopyFrom(tensor)
        merged.graph.initializer[-1].name = weights[tensor.name]
    del merged.opset_import[:]
    known = {entry.domain for entry in network.opset_import}
    merged.opset_import.extend(network.opset_import)
    merged.opset_import.extend(e for e in model.opset_import if e.domain not in known and e.domain != PLACEHOLDER)
    return merged


def _converted(network: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """The network in the opset of the detector."""
    try:
        return onnx.version_converter.convert_version(network, opset)
    except Exception as error:  # the converter has no errors of its own
        found = {entry.domain: entry.version for entry in network.opset_import}.get("")
        raise BackboneError(
            f"the ONNX backbone (opset {found}) cannot be converted to opset {opset}: {error}; export it with that one"
        ) from error


def _renamed(graph: onnx.GraphProto, prefix: str, names: Mapping[str, str]) -> list[onnx.NodeProto]:
    """Copies of the nodes; values that are not in `names` get the prefix, and so do the nodes."""
    nodes = []
    for original in graph.node:
        node = onnx.NodeProto()
        node.CopyFrom(original)
        node.name = prefix + (original.name or original.output[0])  # ONNX Runtime takes no two alike
        for values in (node.input, node.output):
            values[:] = [names.get(value, prefix + value) if value else "" for value in values]
        nodes.append(node)
    return nodes


def _tokens(names: list[str], found: list[Any]) -> list[tuple[str, Any]]:
    """The outputs that are (n, tokens, channels)."""
    return [(name, value) for name, value in zip(names, found, strict=True) if value.ndim == 3 and len(value) == 2]


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        check_self_contained(content, f"backbone {path}")
    except OSError as error:
        raise BackboneError(f"backbone {path}: cannot be read: {error.strerror}") from error
    except BundleError as error:
        raise BackboneError(str(error)) from error
    return content


def _check_signature(path: Path, session: ort.InferenceSession) -> tuple[int, int] | None:
    """(height, width) if the model takes only that; None: free."""
    inputs = session.get_inputs()
    shape = list(inputs[0].shape) if inputs else []
    fixed = [isinstance(size, int) for size in shape]
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(shape) != 4 or fixed[0] or shape[1] != 3:
        found = [(value.name, value.type, value.shape) for value in inputs]
        raise BackboneError(
            f"backbone {path}: inputs are {found}; allowed is one, float32 (n, 3, height, width) with a free n, "
            "RGB 0..255, normalisation inside the model"
        )
    return (shape[2], shape[3]) if fixed[2] and fixed[3] else None
