"""What `dossier.json` says. Strict: unknown keys, wrong types and non-finite numbers are refused.

An image's `id` is its place in the data set, from 0. Scores are raw unless they are called `shown`: those lie on the
scale of `engines.scale`, 0 to 1 with 0.5 at the limit that decided.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from engines.bundle.detection import Detection
from engines.bundle.kinds import KindsRecord
from engines.bundle.manifest import Calibration, KnownDefectsRecord, PossibleVariants, Reviews, Sha256

SCHEMA_VERSION = 1

Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Id = Annotated[int, Field(ge=0)]
Ids = Annotated[tuple[Id, ...], Field(strict=False)]
Texts = Annotated[tuple[str, ...], Field(strict=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class RoundRecord(_Strict):
    """One round of refinement."""

    number: Annotated[int, Field(ge=1)]
    images: Ids
    """Those that were scored, ascending."""
    scores: Annotated[tuple[Number, ...], Field(strict=False)]
    """Theirs, in the same order."""
    median: Number
    limit: Number | None
    """What scored above left; None: there was no limit."""
    removed: Ids
    """Worst first."""
    returned: Ids
    """Came back: a model that learned from fewer bad images found nothing wrong with them."""
    masked_share: Share
    """Of the map cells of the images that remained: those that are not learned after this round."""


class ImageRecord(_Strict):
    """What became of one image."""

    id: Id
    name: str
    """File name in one printable line, see `engines.training.as_json.plain_name`."""
    sha256: Sha256
    fate: Literal["kept", "removed"]
    protected: bool
    """A known-good image that would have left."""
    removed_in_round: Annotated[int, Field(ge=1)] | None
    """The last time. None for kept images and for known-bad ones, which leave before the first round."""
    removal_score: Number | None
    """In the round in which it left."""
    removal_shown: Share | None
    masked_share: Share
    """Of its map cells: those that looked defective and were not learned."""
    final_score: Number
    """By the final models, none of which saw this image."""
    final_shown: Share | None
    """None when there was no limit."""
    held_out_score: Number | None
    """Of the calibration; None for removed images."""
    held_out_shown: Share | None
    """As it would be shown on the line, 0.5 at the reject limit."""
    held_out_peak: Number | None
    """Peak of the anomaly map there."""


class RefinementRecord(_Strict):
    """What refinement decided."""

    method: str
    rounds: Annotated[tuple[RoundRecord, ...], Field(strict=False)]
    removed: Ids
    """In the order in which they left."""
    final_limit: Number | None
    capped: bool
    """More images were above the limit than may be removed."""
    dirt_share: Share
    """Estimated share of contaminated images; 0 when the data looks clean."""
    variants: Annotated[tuple[Ids, ...], Field(strict=False)]
    """Images that look alike and unlike the others: possibly a product variant. Removed, or not learned everywhere."""
    suspects: Ids = ()
    """Of the removed ones those that stand for defects as long as no person says otherwise."""
    known_good: Ids
    """Images that a person declared good: never removed."""
    known_bad: Ids
    """Images that a person declared bad: always removed."""


class DataRecord(_Strict):
    """What was learned from."""

    folder: str
    sha256: Sha256
    """Over the names and contents of all images."""
    image_count: Annotated[int, Field(ge=1)]


class Dossier(_Strict):
    """The whole of `dossier.json`."""

    schema_version: Literal[1] = 1
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    detector: str
    model_sha256: Sha256
    """The same as in the manifest of the engine this belongs to."""
    data: DataRecord
    software: dict[str, str]
    options: dict[str, JsonValue]
    """Everything that could be chosen, as it was."""
    seed: int
    duration_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    warnings: Texts
    finds: Texts = ()
    """What the engine finds and what it does not see; empty in dossiers that were made before it was measured."""
    detection: Detection | None = None
    """The same by kind of defect and size, as the manifest has it."""
    pictures: Texts = ()
    """What good pictures look like; empty in dossiers that were made before it was learned."""
    location: dict[str, JsonValue]
    """How the part is found in the image; empty: it is not looked for."""
    calibration: Calibration
    suspects: KnownDefectsRecord | None = None
    """Of `refinement.suspects`; None: they change no score, or there are none."""
    known_defects: KnownDefectsRecord | None = None
    kinds: KindsRecord | None = None
    reviews: Reviews | None = None
    """What other review budgets cost and catch; None in dossiers that were made before it was counted."""
    refinement: RefinementRecord
    images: Annotated[tuple[ImageRecord, ...], Field(strict=False)]
    """All of them; position = id."""
    possible_variants: PossibleVariants | None = None
    """Of `refinement.variants`: what a person said, and what the limits mean when these are good parts."""
    command: Texts
    """Arguments that run this training again from the cached features; empty when not known."""
