"""How heights become a picture: what a configuration says, an image carries, and an engine holds for. No numpy here."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

Channel = Literal["height", "slope_x", "slope_y", "intensity"]
CHANNELS: tuple[Channel, ...] = ("height", "slope_x", "slope_y", "intensity")
Reference = Literal["plane", "camera"]
MOST_CHANNELS = 3
MARK = "Depth picture"
"""Keyword of the PNG text that says how a picture was made of heights."""


@dataclass(frozen=True, slots=True)
class DepthSpec:
    """How heights become a picture. An engine holds for one of these: other scales are other pictures."""

    range_mm: float
    """Above and below the reference; what is further away is white or black."""
    slope_range_mm: float
    """The rise from one pixel to the next that is white; the same fall is black."""
    channels: tuple[Channel, ...] = ("height", "slope_x", "slope_y")
    """One gives a grey picture; two or three give one in colours, whose third channel is 128 where there are two."""
    reference: Reference = "plane"
    """`plane`: the plane that fits most of the heights of the frame. `camera`: `zero_mm` of the camera's own axis."""
    zero_mm: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.range_mm < math.inf and 0 < self.slope_range_mm < math.inf and math.isfinite(self.zero_mm)):
            raise ValueError(f"range_mm {self.range_mm}, slope_range_mm {self.slope_range_mm}: both must be above 0")
        different = set(self.channels)
        if not (1 <= len(different) == len(self.channels) <= MOST_CHANNELS and different <= set(CHANNELS)):
            raise ValueError(
                f"channels {', '.join(self.channels)}: 1 to {MOST_CHANNELS} different of {', '.join(CHANNELS)}"
            )

    @property
    def as_text(self) -> str:
        """One line, the same for the same way; `of_text` reads it."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of_text(cls, text: str) -> DepthSpec:
        """Raises ValueError: this is no such text."""
        try:
            said: dict[str, Any] = json.loads(text)
            return cls(**{**said, "channels": tuple(said["channels"])})
        except (TypeError, KeyError, AttributeError) as problem:
            raise ValueError(f"{text!r:.80} does not say how a picture was made of heights") from problem

    def picture_shape(self, height: int, width: int) -> tuple[int, ...]:
        """Shape of the picture of heights (height, width)."""
        return (height, width) if len(self.channels) == 1 else (height, width, MOST_CHANNELS)
