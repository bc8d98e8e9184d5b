"""What good pictures look like, as an engine learned it: a band for each value of a picture, see decision 0034.

Outside of a band the engine was never shown such a picture, so its score says little of the part.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engines import said

EVERY_CAMERA = ""
"""The bands of all pictures together: for cameras that have none of their own."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


def relative_sharpness(sharpness: float, mean_grey: float) -> float:
    """Sharpness over the square of the mean grey: a lamp that gets weaker does not change it."""
    return sharpness / max(mean_grey, 1.0) ** 2


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ValueBand(_Strict):
    """From `low` to `high`, both inside. None: not limited on that side."""

    low: Number | None = None
    high: Number | None = None

    @model_validator(mode="after")
    def _ordered(self) -> ValueBand:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"a band from {self.low} to {self.high}: low must not be above high")
        return self

    def __contains__(self, value: float) -> bool:
        """What is not a number is beyond every limit."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def __str__(self) -> str:
        if self.low is None:
            return said.ANY() if self.high is None else said.AT_MOST(number=f"{self.high:.3g}")
        if self.high is None:
            return said.AT_LEAST(number=f"{self.low:.3g}")
        return said.BETWEEN(number=f"{self.low:.3g}", other_number=f"{self.high:.3g}")


class PictureBand(_Strict):
    """Of one camera, by the values of `engines.location.picture_values`."""

    images: Annotated[int, Field(ge=1)]
    """Good ones that it was drawn from; what refinement removed is not among them."""
    independent: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    """As many independent pictures say as much: neighbours in capture order resemble each other."""
    grey: ValueBand
    """Mean, 0 to 255."""
    saturated: ValueBand
    """Share of the pixels."""
    sharpness: ValueBand
    """Relative to the square of the mean grey, which the light does not change. Without an upper side."""
    place_x: ValueBand | None = None
    """Centre of the located part, as a share of the width of the picture; None: the part is not located."""
    place_y: ValueBand | None = None
    size: ValueBand | None = None
    """Likewise, root of the part's area."""


class PictureBands(_Strict):
    """Of an engine. Each limit holds with the confidence of the calibration."""

    cameras: Annotated[dict[Annotated[str, Field(max_length=64)], PictureBand], Field(min_length=1, max_length=33)]
    """By camera; `EVERY_CAMERA`: of all pictures together."""
    outside_share: Share
    """Of good pictures, outside of any band of theirs at most."""
    confidence: Annotated[float, Field(gt=0, lt=1)]
    without_model: Share
    """Of good pictures beyond one limit at most, by their order alone: what holds whatever their tails."""

    @model_validator(mode="after")
    def _for_every_camera(self) -> PictureBands:
        if EVERY_CAMERA not in self.cameras:
            raise ValueError("the band of all pictures together is missing")
        return self

    def of(self, camera: str) -> PictureBand:
        """That of a camera, or else of all pictures together."""
        return self.cameras.get(camera, self.cameras[EVERY_CAMERA])


def bands_in_words(bands: PictureBands | None) -> tuple[str, ...]:
    """What good pictures look like: a line for each camera, and what is promised."""
    if bands is None:
        return (said.BANDS_NOT_LEARNED(),)
    lines = []
    for camera, band in sorted(bands.cameras.items()):
        if camera == EVERY_CAMERA and len(bands.cameras) > 1:
            continue
        seen: dict[str, object] = {
            "grey": band.grey,
            "saturated": band.saturated,
            "sharpness": band.sharpness,
            "count": band.images,
        }
        if band.size is None:
            lines.append(said.CAMERA_BAND(camera=camera, **seen) if camera else said.BAND(**seen))
        else:
            seen |= {"across": band.place_x, "down": band.place_y, "big": band.size}
            lines.append(said.CAMERA_BAND_AND_PLACE(camera=camera, **seen) if camera else said.BAND_AND_PLACE(**seen))
    promise = said.BANDS_PROMISE(share=f"{bands.outside_share:.1%}", other_share=f"{bands.confidence:.0%}")
    if bands.without_model > bands.outside_share:
        promise = said.BANDS_BY_MODEL(promise=promise, share=f"{bands.without_model:.1%}")
    return (*lines, promise)
