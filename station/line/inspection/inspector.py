"""The inspector: an engine with the limits of its views, which turns frames into verdicts.

    frame ─┬─► engine: Scores ─► regions ─┬─► Measurement ─► Decision
           └─► frame quality (beside it) ─┘

No thread of the station lives here and nothing is kept between two frames: whoever has an inspector calls `inspect`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from engines.errors import PartNotLocated
from engines.scale import ScoreScale
from station.codes import ReasonCode
from station.line.inspection.decision import Limits, decide, not_located
from station.line.inspection.frame_quality import frame_quality
from station.line.inspection.joining import WORST, JoinRule
from station.line.inspection.measurement import measure
from station.results import Decision, Frame, FrameQuality, Inspection, Measurement, Scores

_BESIDE = ThreadPoolExecutor(1, thread_name_prefix="frame-quality")
"""Measures the quality of frames while the engine runs: the engine leaves it a core, and the verdict needs both."""


class Scorer(Protocol):
    """What inspection asks of an engine."""

    def score(self, frames: Sequence[Frame], /) -> Sequence[Scores | PartNotLocated]:
        """Scores frames together and returns one result each, in their order.

        Raises whatever the runtime raises; the stage turns it into error parts.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ViewLimits:
    """What the frames of one camera are held against, and what makes a region of their maps."""

    limits: Limits
    pixel_threshold: float
    """Cells at or above this belong to a region; in the engine's own units."""
    pixel_size_mm: float
    min_region_mm2: float = 0.0


@dataclass(frozen=True, slots=True)
class Inspector:
    """An engine with the limits of its views. The inspection thread owns the one that is installed."""

    scorer: Scorer
    engine_id: str
    scale: ScoreScale
    """Of image scores: what people, limits and PLC see instead of the engine's own units."""
    pixel_scale: ScoreScale
    """Of the cells of the map."""
    default: ViewLimits
    """For cameras that are not named in `views`."""
    views: Mapping[str, ViewLimits] = field(default_factory=dict)
    joining: JoinRule = WORST
    runtime: str = ""
    """What runs the engine, and why."""

    @property
    def reject_score(self) -> float:
        """The limit that the station shows where no single view is meant."""
        return self.default.limits.reject_score

    def inspect(self, frames: Sequence[Frame]) -> list[Inspection]:
        """Judges frames of one part. Never raises for a bad frame or a bad score; raises what the engine raises."""
        started_ns = time.monotonic_ns()
        qualities = [_BESIDE.submit(frame_quality, frame.pixels) for frame in frames]
        results = self.scorer.score(frames)
        return [
            self._judge(frame, quality.result(), result, started_ns)
            for frame, quality, result in zip(frames, qualities, results, strict=True)
        ]

    def _judge(
        self, frame: Frame, quality: FrameQuality, result: Scores | PartNotLocated, started_ns: int
    ) -> Inspection:
        view = self.views.get(frame.camera, self.default)
        scores = measurement = None
        if isinstance(result, PartNotLocated):
            decision = not_located(quality, view.limits, str(result))
        elif not (math.isfinite(result.image_score) and math.isfinite(float(result.anomaly_map.sum()))):
            scores = result
            found = f"image score {scores.image_score}, largest map value {scores.anomaly_map.max()}"
            decision = Decision.error(ReasonCode.SCORE_NOT_FINITE, found)
        else:
            scores, measurement = result, self._measure(frame, quality, result, view)
            decision = decide(measurement, view.limits)
        now_ns = time.monotonic_ns()
        return Inspection(frame, decision, scores, measurement, started_ns, now_ns, view.limits.reject_score)

    def _measure(self, frame: Frame, quality: FrameQuality, scores: Scores, view: ViewLimits) -> Measurement:
        regions = measure(
            scores.anomaly_map,
            frame.pixels.shape[:2],
            pixel_threshold=view.pixel_threshold,
            pixel_size_mm=view.pixel_size_mm,
            min_area_mm2=view.min_region_mm2,
            shown=self.pixel_scale.shown,
        )
        return Measurement(self.scale.shown(scores.image_score), regions, quality)
