"""The inspector: an engine with the limits of its views, which turns frames into verdicts.

    frame ─┬─► model input ─► engine: Scores ─► regions ─┬─► Measurement ─► Decision
           └─► frame quality ────────────────────────────┘

Model input and quality need nothing but the pixels. The input is made from the moment the frame is there, while it is
still open whose frame it is: by the inspection thread while that waits for work, else beside it while the engine runs.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec, MapScore
from engines.engine import Prepared
from engines.errors import PartNotLocated
from engines.ignored_zones import IgnoredZones
from engines.location.picture_values import place_of
from engines.location.pose import TurnedPlacement
from engines.scale import ScoreScale
from station.codes import ReasonCode
from station.line.inspection.decision import Limits, decide, not_located
from station.line.inspection.frame_quality import frame_quality
from station.line.inspection.joining import WORST, JoinRule
from station.line.inspection.measurement import measure
from station.line.inspection.missing import without_missing
from station.results import Decision, Frame, FrameQuality, Inspection, Measurement, Pixels, Scores

_BESIDE = ThreadPoolExecutor(1, thread_name_prefix="beside-engine")
"""Has the core that the engine leaves to the line. It keeps nothing: what it makes belongs to whoever asked."""


class Scorer(Protocol):
    """What inspection asks of an engine."""

    def prepare(self, pixels: Pixels, /) -> Prepared:
        """What `score` takes, of one frame. Any thread may call it, also while the engine runs or after `close`."""
        ...

    def score(self, prepared: Sequence[Prepared], /) -> Sequence[Scores | PartNotLocated]:
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
    ignored: IgnoredZones | None = None
    """Zones that the image score leaves out; None: the engine's score of the whole frame."""

    def outside(self, scores: Scores) -> Scores:
        """With the image score of what lies outside ignored zones; what is not a number stays so."""
        if self.ignored is None or not math.isfinite(scores.image_score):
            return scores
        if scores.model_map is None or scores.placement is None:
            raise ValueError("ignored zones need the engine's own map")
        return replace(scores, image_score=self.ignored.score(scores.model_map, scores.placement))


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """A frame whose model input is made once, by the first thread that gets to it. Any thread may call it."""

    frame: Frame
    by: Inspector
    prepared: Future[Prepared] = field(default_factory=Future)
    _taken: threading.Lock = field(default_factory=threading.Lock)
    """Held for good by the thread that makes it."""

    def make(self) -> None:
        """Makes the model input unless another thread does. What goes wrong is raised by `result`."""
        if not self._taken.acquire(blocking=False):
            return
        try:
            self.prepared.set_result(self.by.scorer.prepare(self.frame.pixels))
        except Exception as problem:  # noqa: BLE001  raised again by `result`, in the inspection stage
            self.prepared.set_exception(problem)

    def make_beside(self) -> None:
        """Has it made beside the thread that waits for the engine; returns at once."""
        _BESIDE.submit(self.make)

    def result(self) -> Prepared:
        """The model input: waits for the thread that makes it, or makes it now."""
        self.make()
        return self.prepared.result()


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
    rejected_share: float = 0.01
    """Of good parts, as the engine promised at most."""
    doubted_share: float = 0.1
    """Of good parts, rejected or in review, as promised."""
    class_numbers: Mapping[str, int] = field(default_factory=dict)
    """Kind of defect -> what the PLC calls it; kinds without a number are not there."""
    held_out: tuple[float, ...] = ()
    """Scores, as shown, of good pictures that would pass, by models that had not seen them; empty: not known."""

    input: InputSpec | None = None
    """Of the engine's model; needed for frames with missing heights alone."""
    score_rule: MapScore | None = None
    """How the engine's image score follows from its map; None: it does not."""

    @property
    def promised(self) -> tuple[float, float, tuple[float, ...]]:
        """What the engine promised of good parts: share rejected, rejected or in review; scores of unseen ones."""
        return self.rejected_share, self.doubted_share, self.held_out

    @property
    def reject_score(self) -> float:
        """The limit that the station shows where no single view is meant."""
        return self.default.limits.reject_score

    def begin(self, frame: Frame) -> Begun:
        """What becomes the model input of a frame. Returns at once; any thread may call it."""
        return Begun(frame, self)

    def inspect(self, begun: Sequence[Begun]) -> list[Inspection]:
        """Judges frames of one part. Never raises for a bad frame or a bad score; raises what the engine raises."""
        started_ns = time.monotonic_ns()
        prepared = [one.result() for one in begun]
        looks = [_BESIDE.submit(_look, one.frame) for one in begun]
        results = self.scorer.score(prepared)
        return [
            self._judge(one.frame, *look.result(), result, started_ns)
            for one, look, result in zip(begun, looks, results, strict=True)
        ]

    def _judge(
        self,
        frame: Frame,
        quality: FrameQuality,
        missing: NDArray[np.bool_] | None,
        result: Scores | PartNotLocated,
        started_ns: int,
    ) -> Inspection:
        view = self.views.get(frame.camera, self.default)
        scores = measurement = None
        quality = replace(quality, place=_place(result))
        if not isinstance(result, PartNotLocated):
            result = view.outside(result) if missing is None else self._measured(result, missing, view)
        if isinstance(result, PartNotLocated):
            decision = not_located(quality, view.limits, str(result))
        elif not (math.isfinite(result.image_score) and math.isfinite(float(result.anomaly_map.sum()))):
            scores = result
            found = f"image score {scores.image_score}, largest map value {scores.anomaly_map.max()}"
            decision = Decision.error(ReasonCode.SCORE_NOT_FINITE, found)
        else:
            scores = result
            measurement = self._measure(frame, quality, result, view)
            decision = decide(measurement, view.limits)
        now_ns = time.monotonic_ns()
        return Inspection(
            frame,
            decision,
            scores,
            measurement,
            started_ns,
            now_ns,
            view.limits.reject_score,
            None if scores is None else self.pixel_scale,
            0 if scores is None else self.class_numbers.get(scores.kind, 0),
        )

    def _measured(self, scores: Scores, missing: NDArray[np.bool_], view: ViewLimits) -> Scores:
        """Without places that have no height, and without ignored zones."""
        if self.input is None:
            raise ValueError("a frame with missing heights needs an inspector that knows its engine's input")
        counted = None if view.ignored is None else view.ignored.counted
        return without_missing(scores, missing, self.input, self.score_rule, counted)

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


def _look(frame: Frame) -> tuple[FrameQuality, NDArray[np.bool_] | None]:
    """The quality of a frame, and where it has no height."""
    missing = None if frame.heights is None else frame.heights.missing
    return frame_quality(frame.pixels, missing), missing


def _place(result: Scores | PartNotLocated) -> tuple[float, float, float] | None:
    """Where the part lies; None: it was not found, or is not looked for."""
    placement = None if isinstance(result, PartNotLocated) else result.placement
    if not isinstance(placement, TurnedPlacement):
        return None
    pose = placement.pose
    return place_of(pose.x, pose.y, pose.width, pose.height, placement.image_width)
