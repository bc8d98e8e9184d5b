"""What a frozen feature extractor is to the detectors."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from engines.errors import TrainingError


class BackboneError(TrainingError):
    """The backbone is unknown, damaged or does not fit the input."""


class Backbone(nn.Module, ABC):
    """A frozen network: an image in, named feature maps out.

    Attributes:
        key: identifies architecture, weights and taps; part of the key of cached features and of the training record.
        channels: tap -> channels. Its order is the order of the taps, from fine to coarse for a file.
        strides: tap -> pixels per cell, the same for both directions.
        input_multiple: width and height of an input must be multiples of this.
    """

    def __init__(self, *, key: str, channels: dict[str, int], strides: dict[str, int], input_multiple: int) -> None:
        super().__init__()
        self.key = key
        self.channels = channels
        self.strides = strides
        self.input_multiple = input_multiple

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the feature maps that `forward` gives, in its order."""
        return tuple(self.channels)

    def check_input(self, height: int, width: int) -> None:
        """Raises `BackboneError` if images of this size cannot be computed."""
        multiple = self.input_multiple
        if height < multiple or width < multiple or height % multiple or width % multiple:
            raise BackboneError(f"input {width}x{height}: both must be multiples of {multiple} for this backbone")

    @abstractmethod
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Features of a batch.

        Args:
            image: (n, 3, height, width) float RGB, 0..255.

        Returns:
            Tap -> (n, channels, height / stride, width / stride), in the type of `image`.
        """
