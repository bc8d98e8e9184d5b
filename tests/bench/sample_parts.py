"""Parts for tests of the recording side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from station.codes import ReasonCode
from station.line.inspection.joining import WORST, join
from station.results import (
    Decision,
    Frame,
    FrameQuality,
    Inspection,
    InspectionRecord,
    Measurement,
    Part,
    Pixels,
    Reason,
    Region,
    Regions,
    Scores,
    Verdict,
)

REGION = Region(1.5, 2.25, (30.0, 40.5), (25, 36, 10, 9), 0.75, ((25, 36), (34, 36), (34, 44)))
CODES = {
    Verdict.FAIL: ReasonCode.SCORE_ABOVE_LIMIT,
    Verdict.REVIEW: ReasonCode.SCORE_IN_REVIEW_BAND,
    Verdict.ERROR: ReasonCode.DEADLINE,
}
WALL_TIME = 1_800_000_000.0


def decision(verdict: Verdict) -> Decision:
    return Decision(verdict) if verdict is Verdict.PASS else Decision(verdict, (Reason(CODES[verdict], "detail"),))


def new_part(acquisition_id: int) -> Part:
    now = time.monotonic_ns()
    wall_time = WALL_TIME + acquisition_id
    return Part(acquisition_id, 1000 + acquisition_id, "line", now, wall_time, now + 500_000_000, 77)


def textured(seed: int, shape: tuple[int, ...] = (64, 48, 3)) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@dataclass
class PartMaker:
    """Makes complete records of one session."""

    session: str = "s1"
    pixels: Callable[[int], Pixels] = field(default=textured)

    def inspected(self, acquisition_id: int, verdict: Verdict, *, late: bool = False) -> InspectionRecord:
        """A part with frame, scores and measurement; the answer after 20 ms."""
        part, verdict_now = new_part(acquisition_id), decision(verdict)
        at = part.time_ns
        pixels = self.pixels(acquisition_id)
        frame = Frame("top", acquisition_id, pixels, at, at + 3_000_000)
        anomaly_map = np.linspace(-1.0, 2.0, 16 * 12, dtype=np.float32).reshape(16, 12)
        scores = Scores(-31.5, anomaly_map, at + 5_000_000, at + 15_000_000)
        measurement = Measurement(0.5, Regions((REGION,)), FrameQuality(100.0, 0.01, 55.0, pixels.shape))
        inspection = Inspection(frame, verdict_now, scores, measurement, at + 4_000_000, at + 16_000_000, 0.4)
        applied = decision(Verdict.ERROR) if late else verdict_now
        return self._record(part, applied, (inspection,), late)

    def seen_by(self, acquisition_id: int, verdicts: Mapping[str, Verdict]) -> InspectionRecord:
        """A part with a view of each of these cameras, each taken 1 ms after the one before."""
        record = self.inspected(acquisition_id, Verdict.PASS)
        (view,) = record.views
        views = tuple(
            replace(
                view,
                frame=replace(view.frame, camera=camera, received_time_ns=view.frame.received_time_ns + 1_000_000 * n),
                decision=decision(verdict),
            )
            for n, (camera, verdict) in enumerate(verdicts.items())
        )
        return replace(record, views=views, decision=join(views, WORST))

    def without_frame(self, acquisition_id: int) -> InspectionRecord:
        """A part that was given up."""
        return self._record(new_part(acquisition_id), decision(Verdict.ERROR), (), False)

    def _record(self, part: Part, applied: Decision, views: tuple[Inspection, ...], late: bool) -> InspectionRecord:
        return InspectionRecord(
            session=self.session,
            part=part,
            decision=applied,
            views=views,
            signalled_ns=part.time_ns + 20_000_000,
            engine_id="e" * 64,
            recipe="default",
            config_checksum="c" * 64,
            reject_score=0.4,
            late=late,
            extra={"note": "test"},
        )
