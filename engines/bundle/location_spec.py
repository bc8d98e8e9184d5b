"""How an engine finds the part. Strict: unknown keys, wrong types and non-finite numbers are refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Share, Share]
"""(x, y), both from 0 to 1."""
Polygon = Annotated[tuple[Point, ...], Field(min_length=3, max_length=64)]

SEARCH_PX = 256
"""Longer side of the image in which a part is searched."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class NoLocation(_Strict):
    """The model sees the whole image."""

    method: Literal["none"] = "none"


class BlobLocation(_Strict):
    """One part that lies free on an even background, found by how it differs from the image's edge."""

    method: Literal["blob"] = "blob"
    contrast: Annotated[float, Field(ge=1, le=255)]
    """Grey levels from the background at which a pixel belongs to the part; in colour the channel that differs most."""
    min_area_share: Annotated[float, Field(gt=0, lt=1)]
    """Of the image; what is smaller is not the part."""
    max_area_share: Annotated[float, Field(gt=0, lt=1)]
    turn: bool
    """Turn the part's longest axis to the x axis."""
    head: Literal["shape", "brightness", "none"] = "none"
    """What distinguishes the two ends of the axis: the thicker end, or the brighter one, goes left; `none`: nothing."""
    margin: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Around the part, share of the longer side of its box."""


class TemplateLocation(_Strict):
    """A taught picture, searched by normalised correlation. The model sees what lies under it."""

    method: Literal["template"] = "template"
    search_width: Annotated[int, Field(ge=16, le=SEARCH_PX)]
    """Images are scaled to this size (px) for the search, as was the one that the picture was cut from."""
    search_height: Annotated[int, Field(ge=16, le=SEARCH_PX)]
    min_correlation: Annotated[float, Field(gt=0, lt=1)]
    max_angle_deg: Annotated[float, Field(ge=0, le=30)] = 0.0
    """The part may be turned by up to this, either way."""


LocationSpec = Annotated[NoLocation | BlobLocation | TemplateLocation, Field(discriminator="method")]

PictureName = Literal["template", "fill"]
"""`template`: the taught picture, grey, at the size of the search. `fill`: what ignored regions show instead, RGB, in
the size of the model's input."""


def needed_pictures(spec: LocationSpec, ignore: tuple[Polygon, ...]) -> set[PictureName]:
    """The pictures that an engine must bring."""
    names: set[PictureName] = set()
    if spec.method == "template":
        names.add("template")
    if ignore:
        names.add("fill")
    return names
