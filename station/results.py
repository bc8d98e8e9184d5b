"""The dataclasses that flow through the station, in the order a part meets them.

    Frame ─► Scores ─► Measurement ─► Decision ─► InspectionRecord
    └──────── one `Inspection` per view ────────┘   of all views

Each is frozen and owned by the stage that makes it. All times are CLOCK_MONOTONIC nanoseconds
(`time.monotonic_ns()`) unless the name says `wall`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

from station.codes import REASONS, ReasonCode

if TYPE_CHECKING:  # the configuration and the control socket need the words, not numpy
    import numpy as np
    from numpy.typing import NDArray

    from engines.inputs.depth import Heights
    from engines.location.pose import TurnedPlacement
    from engines.preprocess import Placement
    from engines.scale import ScoreScale

Pixels: TypeAlias = "NDArray[np.uint8]"


class Verdict(IntEnum):
    """What the station says of a part; the numbers are those of the register Result."""

    PASS = 1
    FAIL = 2
    REVIEW = 3
    ERROR = 4


SEVERITY = {Verdict.PASS: 0, Verdict.REVIEW: 1, Verdict.FAIL: 2, Verdict.ERROR: 3}
"""Which verdict wins over which."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The pixels of one view. The array is this frame's own copy and is never written again."""

    camera: str
    frame_id: int
    pixels: Pixels
    """(height, width) grey or (height, width, 3) RGB."""
    trigger_time_ns: int
    received_time_ns: int
    heights: Heights | None = None
    """Of a 3-D camera: what the picture was made of."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What the engine said of one frame, in its own units.

    The same as `EngineOutput`, and not that class: who reads records imports this module, and with it no engine.
    """

    image_score: float
    anomaly_map: NDArray[np.float32]
    """(map_height, map_width); covers exactly the frame, whatever its resolution."""
    engine_start_ns: int
    engine_end_ns: int
    model_map: NDArray[np.float32] | None = None
    """The map over the model's input, before it was laid over the frame."""
    placement: Placement | TurnedPlacement | None = None
    """Where the frame lies in that input."""
    kind: str = ""
    """The kind of defect that the worst place looks like; empty: the engine knows none. Never part of a decision."""


@dataclass(frozen=True, slots=True)
class Region:
    """One connected area of the anomaly map above the pixel threshold, in pixels of the frame and in mm."""

    area_mm2: float
    length_mm: float
    """Longer side of the smallest rotated rectangle around the region."""
    centre_px: tuple[float, float]
    """(x, y)."""
    box_px: tuple[int, int, int, int]
    """(x, y, width, height)."""
    peak_score: float
    """Highest value in the map; 0.5 is the engine's limit of a region, as for the score of the part."""
    contour_px: tuple[tuple[int, int], ...] = ()
    """Outline, (x, y) points."""


@dataclass(frozen=True, slots=True)
class UnlistedRegions:
    """What is known of the regions that were too many to list: enough to hold them against every limit."""

    count: int = 0
    area_mm2: float = 0.0
    """All of them together."""
    largest_mm2: float = 0.0
    longest_mm: float = 0.0
    """Upper bound of their lengths: the longest diagonal of their upright boxes."""


@dataclass(frozen=True, slots=True)
class Regions:
    """The anomalous regions of one frame: the largest one by one, largest first, the others in sum."""

    listed: tuple[Region, ...] = ()
    unlisted: UnlistedRegions = UnlistedRegions()

    @property
    def count(self) -> int:
        return len(self.listed) + self.unlisted.count

    @property
    def area_mm2(self) -> float:
        return sum(region.area_mm2 for region in self.listed) + self.unlisted.area_mm2


@dataclass(frozen=True, slots=True)
class FrameQuality:
    """Whether the picture itself can be trusted."""

    mean_grey: float
    saturated_share: float
    sharpness: float
    """Variance of the Laplacian on a grey image scaled to at most 512 px."""
    shape: tuple[int, ...]
    """Shape of the pixels: (height, width) grey or (height, width, 3) RGB."""
    missing_share: float = 0.0
    """Of a 3-D camera: pixels without a height, of all."""
    place: tuple[float, float, float] | None = None
    """Of the located part: centre x, y and size, shares of the width of the frame; None: it is not located."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured on one frame."""

    score: float
    """On the scale from 0 to 1 with 0.5 at the engine's reject limit, see `engines.scale`."""
    regions: Regions
    quality: FrameQuality

    @property
    def defect_area_mm2(self) -> float:
        return self.regions.area_mm2


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for a verdict: a code of the table and what was found here."""

    code: ReasonCode
    detail: str = ""

    def __str__(self) -> str:
        return f"{REASONS[self.code].text}: {self.detail}" if self.detail else REASONS[self.code].text


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict with its reasons, most severe first. PASS has none; every other verdict has at least one."""

    verdict: Verdict
    reasons: tuple[Reason, ...] = ()

    def __post_init__(self) -> None:
        if (self.verdict is Verdict.PASS) == bool(self.reasons):
            raise ValueError(f"{self.verdict.name} with reasons {self.reasons!r}: only PASS has none")

    @classmethod
    def error(cls, code: ReasonCode, detail: str = "") -> Decision:
        """The decision on a part that was not inspected."""
        return cls(Verdict.ERROR, (Reason(code, detail),))

    @property
    def code(self) -> ReasonCode:
        return self.reasons[0].code if self.reasons else ReasonCode.NONE


@dataclass(frozen=True, slots=True)
class Inspection:
    """All that inspecting one view of a part gave: from frame to decision, with the time of every step."""

    frame: Frame
    decision: Decision
    scores: Scores | None = None
    measurement: Measurement | None = None
    started_ns: int = 0
    decided_ns: int = 0
    reject_score: float | None = None
    """The reject limit of this view, on the scale of `Measurement.score`; None when it was not inspected."""
    pixel_scale: ScoreScale | None = None
    """Of the cells of `scores.anomaly_map`: how people see them."""
    class_number: int = 0
    """What the PLC calls the kind of defect in `scores`; 0: it has no number."""

    @property
    def camera(self) -> str:
        return self.frame.camera


@dataclass(frozen=True, slots=True)
class Part:
    """The product that is inspected: its ids and times, fixed when its trigger opens it."""

    acquisition_id: int
    part_id: int
    """The PLC's id; 0 when it gave none."""
    source: str
    """`line` (camera input), `plc` or `software`."""
    time_ns: int
    wall_time: float
    """Seconds since the epoch, for people."""
    deadline_ns: int
    encoder_count: int = 0
    challenge: int = 0
    """The run of the challenge test that the part belongs to; 0: production."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What every record and the map say of this station."""

    session: str
    recipe: str
    recipe_number: int
    config_checksum: str
    recipe_checksum: str = ""
    """Empty when the configuration is the recipe."""


@dataclass(frozen=True, slots=True)
class InspectionRecord:
    """One part, complete: what is written to the records."""

    session: str
    part: Part
    decision: Decision
    """Of the part: its views joined."""
    views: tuple[Inspection, ...]
    """What is known of each view, in the order of the configuration; a view that did not come is not there."""
    signalled_ns: int
    engine_id: str
    recipe: str
    config_checksum: str
    reject_score: float
    """The reject limit that was active, on the scale of `Measurement.score`; of the view with the highest score."""
    recipe_checksum: str = ""
    late: bool = False
    """True for a verdict that came after its deadline: kept for diagnosis, never applied."""
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def latency_ms(self) -> float:
        """Trigger to result."""
        return (self.signalled_ns - self.part.time_ns) / 1e6


def highest_scored(views: Sequence[Inspection]) -> Inspection | None:
    """The view with the highest score, which is the part's; None when no view was scored."""
    scored = [(view.measurement.score, view) for view in views if view.measurement is not None]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None


def kind_of(views: Sequence[Inspection]) -> str:
    """The kind of defect suggested for a part: of its view with the highest score among those that do not pass.

    Empty where every view passes, or the engine knows no kinds.
    """
    worst = _that_names_the_kind(views)
    return "" if worst is None or worst.scores is None else worst.scores.kind


def class_number_of(views: Sequence[Inspection]) -> int:
    """The number of that kind; 0: it has none."""
    worst = _that_names_the_kind(views)
    return 0 if worst is None else worst.class_number


def _that_names_the_kind(views: Sequence[Inspection]) -> Inspection | None:
    return highest_scored([view for view in views if view.decision.verdict in (Verdict.FAIL, Verdict.REVIEW)])


def score_of(views: Sequence[Inspection]) -> float | None:
    """The highest score of the views; None when none was scored."""
    shown = highest_scored(views)
    return shown.measurement.score if shown is not None and shown.measurement is not None else None


def defect_area_mm2(views: Sequence[Inspection]) -> float:
    """Of all views together."""
    return sum(view.measurement.defect_area_mm2 for view in views if view.measurement is not None)


@dataclass(frozen=True, slots=True)
class PartCounts:
    """Production in numbers. triggers = pass + fail + review + error + open; missed triggers are no parts."""

    triggers: int = 0
    passed: int = 0
    failed: int = 0
    review: int = 0
    error: int = 0
    missed: int = 0
    challenge: int = 0
    """Parts of challenge tests, which are in none of the others."""
