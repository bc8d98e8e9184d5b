"""What is watched of a part: numbers alone, taken out of its record, so that no picture is held."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engines.bundle.picture_bands import relative_sharpness
from station.codes import ReasonCode
from station.results import Inspection, InspectionRecord, Verdict, kind_of, score_of

MECHANICS = frozenset(
    {
        ReasonCode.PART_NOT_LOCATED,
        ReasonCode.NO_FRAME,
        ReasonCode.INCOMPLETE_FRAME,
        ReasonCode.LOST_FRAME,
        ReasonCode.FRAME_RING_FULL,
        ReasonCode.VIEW_MISSING,
        ReasonCode.VIEW_AMBIGUOUS,
        ReasonCode.ENGINE_RAISED,
        ReasonCode.SCORE_NOT_FINITE,
        ReasonCode.DEADLINE,
        ReasonCode.OVERLOAD,
        ReasonCode.RESULT_OVERRUN,
    }
)
"""Why a part on a running line was not inspected: trigger, mechanics, camera or load."""

UNLIKE = (ReasonCode.LIGHT_NOT_AS_TAUGHT, ReasonCode.SHARPNESS_NOT_AS_TAUGHT, ReasonCode.PLACE_NOT_AS_TAUGHT)
"""A picture unlike those that the engine was taught with."""


@dataclass(frozen=True, slots=True)
class SeenView:
    """One picture."""

    camera: str
    grey: float
    """Mean, 0 to 255."""
    saturated: float
    """Share of its pixels."""
    sharpness: float
    """Variance of the Laplacian over the square of the mean grey: a lamp that gets weaker does not change it."""
    place: tuple[float, float, float] | None
    """Where the part lies: centre x, y and size, shares of the width of the frame; None: it is not located."""
    defect: tuple[float, float] | None
    """Centre of the largest region, as shares of width and height; None: there is no region."""
    unlike: frozenset[ReasonCode] = frozenset()
    """What is not as taught: codes of `UNLIKE`."""


@dataclass(frozen=True, slots=True)
class SeenPart:
    """One part of production, in time."""

    recipe: str
    engine_id: str
    verdict: Verdict
    not_inspected: bool
    score: float
    """NaN: it has none."""
    views: tuple[SeenView, ...]
    kind: str = ""
    """Of its defect, as the engine suggests; empty: it passes, or the engine knows none."""


@dataclass(frozen=True, slots=True)
class SeenMaster:
    """A part of a challenge test; which one it is, the run says."""

    acquisition_id: int
    score: float


def master_of(record: InspectionRecord) -> SeenMaster | None:
    """None: it is none, or was not scored."""
    score = score_of(record.views)
    if not record.part.challenge or record.late or score is None:
        return None
    return SeenMaster(record.part.acquisition_id, score)


def unlike_of(view: Inspection) -> frozenset[ReasonCode]:
    """What of its picture is not as taught."""
    return frozenset(reason.code for reason in view.decision.reasons if reason.code in UNLIKE)


def seen_of(record: InspectionRecord) -> SeenPart | None:
    """None: the part says nothing of production, as a master part, a late result, or what came while the line stood."""
    code = record.decision.code
    not_inspected = code in MECHANICS
    stands = record.decision.verdict is Verdict.ERROR and not not_inspected
    if record.late or record.part.challenge or not record.engine_id or stands:
        return None
    score = score_of(record.views)
    return SeenPart(
        record.recipe,
        record.engine_id,
        record.decision.verdict,
        not_inspected,
        math.nan if score is None else score,
        tuple(view for view in map(_view, record.views) if view is not None),
        kind_of(record.views),
    )


def _view(view: Inspection) -> SeenView | None:
    unlike = unlike_of(view)
    if view.measurement is None:
        # The part was not found; that its picture is dark, say, explains it.
        nothing = math.nan
        return SeenView(view.camera, nothing, nothing, nothing, None, None, unlike) if unlike else None
    quality, regions = view.measurement.quality, view.measurement.regions.listed
    height, width = quality.shape[:2]
    defect = None
    if regions:
        x, y = regions[0].centre_px
        defect = (x / width, y / height)
    grey = quality.mean_grey
    sharpness = relative_sharpness(quality.sharpness, grey)
    return SeenView(view.camera, grey, quality.saturated_share, sharpness, quality.place, defect, unlike)
