"""The tokens of a vision transformer as a feature map.

A ViT [1] cuts its input into square patches and gives one token for each, row by row, behind those that belong to no
place: the class token and the registers [2]. Patches of 14 px [3] are no power of two, and the cells of all other maps
are; so the network sees the input scaled by 14 / 16 and a cell is 16 px of the input again.

References:
    [1] A. Dosovitskiy et al., "An image is worth 16x16 words: transformers for image recognition at scale", ICLR 2021.
    [2] T. Darcet, M. Oquab, J. Mairal, P. Bojanowski, "Vision transformers need registers", ICLR 2024.
    [3] M. Oquab et al., "DINOv2: learning robust visual features without supervision", TMLR 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

PATCHES_PX = (8, 14, 16, 32)
MOST_OTHERS = 9
"""A class token and 8 registers."""


@dataclass(frozen=True)
class TokenGrid:
    """How the tokens of a network lie in its input."""

    patch_px: int
    others: int
    """Tokens in front that belong to no place."""

    @property
    def stride(self) -> int:
        """Pixels of the detector's input per cell: the next power of two."""
        return 1 << (self.patch_px - 1).bit_length()

    def as_map(self, tokens: Tensor, rows: int, columns: int) -> Tensor:
        """(n, others + rows * columns, channels) -> (n, channels, rows, columns)."""
        channels = tokens.shape[-1]
        return tokens[:, self.others :].transpose(1, 2).reshape(-1, channels, rows, columns)


def token_grid(tokens: int, height: int, width: int) -> TokenGrid | None:
    """The grid of this number of tokens of an input (height, width) in pixels; None: no grid has as many.

    Where two would do, the one with fewer tokens that belong to no place.
    """
    found = [
        TokenGrid(patch, others)
        for patch in PATCHES_PX
        if height % patch == width % patch == 0
        and 0 <= (others := tokens - (height // patch) * (width // patch)) <= MOST_OTHERS
    ]
    return min(found, key=lambda grid: grid.others, default=None)
