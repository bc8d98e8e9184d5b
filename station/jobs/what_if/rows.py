"""Parts decided again from their rows: score, regions and quality of the picture are on record, the limits are others.

What was not inspected (a lost frame, a part that was not found, a deadline) stays what it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engines.bundle.manifest import Manifest
from station.codes import ReasonCode
from station.configuration.model import Configuration
from station.jobs.what_if.figures import Note, Replayed
from station.line.inspection.decision import Limits, decide
from station.line.inspection.joining import JoinRule, join
from station.line.inspection.limits import join_rule, limits_of_view
from station.records.parts import PartRow, ViewRow
from station.results import (
    Decision,
    Frame,
    FrameQuality,
    Inspection,
    Measurement,
    Region,
    Regions,
    UnlistedRegions,
    Verdict,
)

KEPT = frozenset(
    {
        ReasonCode.PART_NOT_LOCATED,
        ReasonCode.PLACE_NOT_AS_TAUGHT,
        ReasonCode.HEIGHTS_MISSING,
        ReasonCode.TEACHING,
        ReasonCode.WRONG_SIZE,
    }
)
"""Reasons that no limit makes or takes away, or that rows do not say enough of: where the part lay is not on record."""
_NOT_LOOKED_AT: Any = None
"""Pixels: joining asks for verdicts alone, and numpy is not loaded for this."""


@dataclass(frozen=True, slots=True)
class Judge:
    """The limits of every camera under one configuration."""

    limits: Mapping[str, Limits]
    rule: JoinRule

    @classmethod
    def of(cls, settings: Configuration, manifest: Manifest) -> Judge:
        """Raises LimitsError: the limits contradict the engine's calibration."""
        limits = {
            name: limits_of_view(
                settings.decision_on(name), settings.quality_on(name), manifest.calibration,
                bands=manifest.picture_bands, camera=name,
            )
            for name in settings.cameras
        }  # fmt: skip
        return cls(limits, join_rule(settings))

    def verdict(self, views: list[tuple[ViewRow, Measurement | None]]) -> Verdict:
        """Of a part whose views were measured like this; None: the view keeps what it had."""
        inspections = []
        for row, measurement in views:
            if measurement is None:
                decision = Decision(Verdict[row.verdict], row.reason_list)
            else:
                decision = decide(measurement, self.limits[row.camera])
            inspections.append(Inspection(Frame(row.camera, row.frame_id, _NOT_LOOKED_AT, 0, 0), decision))
        return join(inspections, self.rule).verdict


def replay(
    part: PartRow, before: Judge, after: Judge, shapes: Mapping[str, tuple[int, ...]], notes: Counter[Note]
) -> Replayed:
    """A part under both. `shapes`: (height, width) of the frames of each camera, for zones."""
    was = Verdict[part.verdict]
    known = all(view.camera in before.limits and view.camera in after.limits for view in part.views)
    if not part.views or not known or part.late or part.recovered or was is Verdict.ERROR:
        notes["not inspected"] += 1
        return Replayed(part, was, was)
    views = [(view, _measured(view, shapes)) for view in part.views]
    if any(measured is not None and measured.regions.unlisted.count for _, measured in views):
        notes["longest not known"] += 1
    return Replayed(part, before.verdict(views), after.verdict(views))


def _measured(view: ViewRow, shapes: Mapping[str, tuple[int, ...]]) -> Measurement | None:
    numbers = (view.score, view.mean_grey, view.saturated_share, view.sharpness, view.region_count)
    if any(number is None for number in numbers) or any(reason.code in KEPT for reason in view.reason_list):
        return None
    score, grey, saturated, sharpness, count = (float(number or 0.0) for number in numbers)
    regions = Regions() if not count else _regions(view, int(count))
    return Measurement(score, regions, FrameQuality(grey, saturated, sharpness, shapes.get(view.camera, (1, 1))))


def _regions(view: ViewRow, count: int) -> Regions:
    listed: tuple[Region, ...] = view.region_list
    missing = count - len(listed)
    if missing <= 0:
        return Regions(listed)
    area = max(0.0, (view.defect_area_mm2 or 0.0) - sum(region.area_mm2 for region in listed))
    smallest = min((region.area_mm2 for region in listed), default=area)
    return Regions(listed, UnlistedRegions(missing, area, smallest, 0.0))
