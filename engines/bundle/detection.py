"""What an engine finds and what it does not see: measured when it was taught, on synthetic defects, see decision 0022.

For every kind of defect and two contrasts: the size from which it is found 9 times of 10, with 95 % confidence, at the
limits that the engine was calibrated with. Sizes are pixels of the camera picture.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engines import said

DefectKind = Literal["bright spot", "dark spot", "scratch", "hair", "cut", "stain", "soft brightness"]
KINDS: tuple[DefectKind, ...] = get_args(DefectKind)
PLURALS = {kind: f"{kind}s" for kind in KINDS} | {"scratch": "scratches", "soft brightness": "soft brightness"}
CLEAR, FAINT = 80, 30
"""Grey levels of 255 by which a defect differs from the part around it."""
CONTRASTS = {"clear": CLEAR, "faint": FAINT}
PROBABILITY, CONFIDENCE = 0.9, 0.95
NEXT_TO_NOTHING = 2
"""An engine that finds fewer of the seven kinds than this, with clear contrast, finds next to nothing."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Size = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Curve(_Strict):
    """How probably a defect is found, by its size: 1 / (1 + exp(-steepness * ln(size / half_px)))."""

    trials: Count
    """Defects in pictures that pass without them."""
    found: Count
    """Of these."""
    half_px: Size
    """Found every second time."""
    steepness: Size
    from_px: Size | None
    """Found with `PROBABILITY` at `CONFIDENCE` from this size on (a90/95); None: not up to the largest one tried."""

    @model_validator(mode="after")
    def _counted(self) -> Curve:
        if self.found > self.trials:
            raise ValueError(f"found {self.found} of {self.trials} trials")
        return self


class Detectability(_Strict):
    """Of one kind of defect at one contrast."""

    kind: DefectKind
    contrast: Annotated[int, Field(ge=1, le=255)]
    """Grey levels."""
    review: Curve
    """Above the review limit: the part does not pass."""
    reject: Curve
    """Above the reject limit: the part fails outright."""


class Detection(_Strict):
    """Of all kinds. The pictures were held out: each was scored by a model that did not learn it."""

    curves: Annotated[tuple[Detectability, ...], Field(strict=False, min_length=1, max_length=64)]
    smallest_px: Size
    largest_px: Size
    """Sizes that were tried."""
    pixel_size_mm: Size | None = None
    """Of a camera pixel on the part; None: not known."""
    seed: int

    @property
    def finds_next_to_nothing(self) -> bool:
        """Whether an engine needs a written reason to be used."""
        return sum(each.review.from_px is not None for each in self.of("clear")) < NEXT_TO_NOTHING

    def of(self, contrast: str) -> tuple[Detectability, ...]:
        """The curves of one of `CONTRASTS`."""
        return tuple(each for each in self.curves if each.contrast == CONTRASTS[contrast])

    def shown(self, size_px: float) -> str:
        """A size in mm where that is known, else in pixels."""
        if self.pixel_size_mm is None:
            return f"{size_px:.3g} px"
        return f"{size_px * self.pixel_size_mm:.2g} mm"

    def in_words(self) -> tuple[str, ...]:
        """A sentence for each contrast: what does not pass, from which size on, and what is not found."""
        return tuple(sentence for name in CONTRASTS for sentence in self._sentences(name))

    def _sentences(self, contrast: str) -> list[str]:
        curves = self.of(contrast)
        found = ", ".join(
            said.FROM_SIZE(kind=PLURALS[each.kind], size=self.shown(each.review.from_px))
            for each in curves
            if each.review.from_px is not None
        )
        missed = ", ".join(PLURALS[each.kind] for each in curves if each.review.from_px is None)
        largest = self.shown(self.largest_px)
        if found and missed:
            return [said.FINDS_AND_MISSES(kind=contrast, found=found, missed=missed, size=largest)]
        if missed:
            return [said.MISSES(kind=contrast, missed=missed, size=largest)]
        return [said.FINDS(kind=contrast, found=found)] if found else []
