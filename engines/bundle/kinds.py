"""The kinds of defects that an engine suggests: their record in the manifest, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engines import said

MAX_KINDS = 32
KindName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$")]
UNKNOWN_KIND = "unknown"
"""What is said of a defect that looks like no kind enough."""


class KindsRecord(BaseModel):
    """The kinds of defects that the graph knows, in the order of its output `kinds`. A suggestion, never a verdict."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    names: Annotated[tuple[KindName, ...], Field(strict=False, min_length=2, max_length=MAX_KINDS)]
    labelled: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False, max_length=MAX_KINDS)]
    """Images of each."""
    least_likeness: Annotated[float, Field(ge=-1, le=1)]
    """Below, the kind is unknown."""
    left_out: Annotated[int, Field(ge=0)]
    """Labelled images that were compared with kinds made without them and their twins; the others are the only ones."""
    right: Annotated[int, Field(ge=0)]
    """Of these, named rightly."""
    unknown: Annotated[int, Field(ge=0)]
    """Of these, unknown."""

    @model_validator(mode="after")
    def _alike(self) -> KindsRecord:
        if len(self.names) != len(self.labelled) or len(set(self.names)) != len(self.names):
            raise ValueError(
                f"{len(self.names)} names, of {len(set(self.names))} kinds, and {len(self.labelled)} counts"
            )
        return self

    def name_of(self, likeness: Sequence[float]) -> str:
        """The kind of the largest of these likenesses, one for each of `names`; or `UNKNOWN_KIND`."""
        best = max(range(len(likeness)), key=lambda each: likeness[each])
        return self.names[best] if likeness[best] >= self.least_likeness else UNKNOWN_KIND  # NaN is not


def kinds_in_words(kinds: KindsRecord) -> str:
    """Which kinds of defects the engine suggests, and how often it was right on images that were left out."""
    named = ", ".join(f"{name} ({count})" for name, count in zip(kinds.names, kinds.labelled, strict=True))
    if not kinds.left_out:
        return said.ONE_IMAGE_A_KIND(named=named)
    return said.KINDS(named=named, count=kinds.left_out, total=kinds.right, number=kinds.unknown)
