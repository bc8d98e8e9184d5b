"""How an engine finds the part. Strict: unknown keys, wrong types and non-finite numbers are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

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


Deviations = Annotated[float, Field(ge=-16, le=16)]
"""In standard deviations of the part's own area along an axis."""


class BlobLocation(_Strict):
    """One part that lies free on a background, found by how it differs from it.

    What may be None came later: it is not written, and then neither the engine's id nor what it does changes.
    """

    method: Literal["blob"] = "blob"
    contrast: Annotated[float, Field(ge=1, le=255)]
    """Grey levels from the background at which a pixel belongs to the part; in colour the channel that differs most.
    With `cue` "edges": grey levels per pixel of the search image from which on there is an edge."""
    min_area_share: Annotated[float, Field(gt=0, lt=1)]
    """Of the image; what is smaller is not the part."""
    max_area_share: Annotated[float, Field(gt=0, lt=1)]
    turn: bool
    """Turn the part's longest axis to the x axis."""
    head: Literal["shape", "brightness", "none"] = "none"
    """What distinguishes the two ends of the axis: the thicker end, or the brighter one, goes left; `none`: nothing."""
    margin: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Around the part, share of the longer side of its box."""
    cue: Literal["edges"] | None = None
    """`edges`: the part is what a closed line of steep change surrounds; shadows and light are soft. None: its grey."""
    side: Literal["darker", "brighter"] | None = None
    """What the part is in every place, against its background: so a shadow is no part. None: either."""
    ground: Literal["local"] | None = None
    """`local`: the background is what surrounds a place, for uneven ones. None: a surface through the image's edge."""
    box: tuple[Deviations, Deviations, Deviations, Deviations] | None = None
    """Left, top, right and bottom of the part from its centre of gravity. None: its outermost points."""
    turn_by: Literal["lean"] | None = None
    """`lean`: the part is turned to where its outline leans (third moments), which has a head; for parts that are about
    as wide as long. None: to its longest axis."""
    max_other_share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Area of the next largest thing over the part's; more is another part, or a part in pieces. None: 0.4."""

    @model_serializer(mode="wrap")
    def _without_later(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


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
