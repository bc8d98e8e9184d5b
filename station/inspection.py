"""The inspection stage: frame -> scores -> measurement -> decision, on one named thread.

The thread owns the inspector (and so the engine): a new one is handed over through the same queue as the frames, so
frames that were queued before it are still judged by the old one.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from engines.errors import PartNotLocated
from engines.scale import ScoreScale
from station.decision import Rules, decide, not_located
from station.measurement import measure
from station.quality import frame_quality
from station.reasons import ReasonCode
from station.results import Decision, Frame, Inspection, Measurement, Scores, Trigger, error

log = structlog.get_logger()


class Scorer(Protocol):
    """What inspection asks of an engine."""

    def score(self, frame: Frame, /) -> Scores:
        """Raises PartNotLocated, or whatever the runtime raises; the stage turns the latter into an error part."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Inspector:
    """An engine with its rules: everything that turns a frame into a verdict."""

    scorer: Scorer
    rules: Rules
    engine_id: str
    scale: ScoreScale
    """Of image scores: what people, rules and PLC see instead of the engine's own units."""
    pixel_scale: ScoreScale
    """Of the cells of the map."""
    pixel_score: float
    """Cells at or above this, on that scale, belong to a region."""
    pixel_size_mm: float
    min_region_mm2: float = 0.0

    def inspect(self, frame: Frame) -> Inspection:
        """Judges one frame. Never raises for a bad frame or a bad score; raises what the engine raises."""
        started_ns = time.monotonic_ns()
        quality = frame_quality(frame.pixels)
        try:
            scores = self.scorer.score(frame)
        except PartNotLocated as problem:
            decision = not_located(quality, self.rules, str(problem))
            return self._inspection(frame, decision, None, None, started_ns)
        if not (math.isfinite(scores.image_score) and math.isfinite(float(scores.anomaly_map.sum()))):
            found = f"image score {scores.image_score}, largest map value {scores.anomaly_map.max()}"
            decision = error(ReasonCode.SCORE_NOT_FINITE, found)
            return self._inspection(frame, decision, scores, None, started_ns)
        regions = measure(
            scores.anomaly_map,
            frame.pixels.shape[:2],
            pixel_threshold=self.pixel_scale.raw(self.pixel_score),
            pixel_size_mm=self.pixel_size_mm,
            min_area_mm2=self.min_region_mm2,
        )
        listed = tuple(
            replace(region, peak_score=self.pixel_scale.shown(region.peak_score)) for region in regions.listed
        )
        measurement = Measurement(self.scale.shown(scores.image_score), replace(regions, listed=listed), quality)
        decision = decide(measurement, self.rules)
        return self._inspection(frame, decision, scores, measurement, started_ns)

    def _inspection(
        self,
        frame: Frame,
        decision: Decision,
        scores: Scores | None,
        measurement: Measurement | None,
        started_ns: int,
    ) -> Inspection:
        now = time.monotonic_ns()
        return Inspection(frame, decision, scores, measurement, started_ns, now, self.rules.reject_score)


@dataclass(frozen=True, slots=True)
class Inspected:
    """The stage's answer for one part."""

    acquisition_id: int
    inspection: Inspection


@dataclass(frozen=True, slots=True)
class InspectorChanged:
    """Another inspector (or none) has been installed; frames from now on are judged by it."""

    inspector: Inspector | None


@dataclass(frozen=True, slots=True)
class _Install:
    inspector: Inspector | None
    in_force: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class _Work:
    trigger: Trigger
    frame: Frame


class InspectionStage:
    """One thread with a bounded queue in front of the inspector."""

    def __init__(self, post: Callable[[Inspected | InspectorChanged], None], *, queue_size: int) -> None:
        self._post = post
        # one place more than parts in flight: a new inspector always finds room
        self._queue: queue.Queue[_Work | _Install | None] = queue.Queue(queue_size + 2)
        self._thread = threading.Thread(target=self._run, name="inspection")
        self._inspector: Inspector | None = None
        self._busy_since_ns = 0

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def busy_for_s(self) -> float:
        """How long the frame in hand has been in hand; 0 when idle."""
        since = self._busy_since_ns
        return (time.monotonic_ns() - since) / 1e9 if since else 0.0

    def start(self) -> None:
        self._thread.start()

    def submit(self, trigger: Trigger, frame: Frame) -> bool:
        """Queues a frame; False when the queue is full (the caller makes it an error part)."""
        try:
            self._queue.put_nowait(_Work(trigger, frame))
        except queue.Full:
            return False
        return True

    def install(self, inspector: Inspector | None, timeout_s: float = 30.0) -> None:
        """Hands over another inspector and waits until it is in force and `InspectorChanged` is posted.

        Raises queue.Full when the engine in hand does not come to an end.
        """
        install = _Install(inspector)
        self._queue.put(install, timeout=timeout_s)
        if not install.in_force.wait(timeout_s):
            raise queue.Full

    def stop(self, timeout_s: float) -> bool:
        """Lets what is queued finish and ends the thread; False when it did not end in time (a hanging engine)."""
        if self._thread.ident is None:
            return True
        try:
            self._queue.put(None, timeout=timeout_s)
        except queue.Full:
            return False
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            if isinstance(work, _Install):
                self._swap(work.inspector)
                work.in_force.set()
                continue
            self._busy_since_ns = time.monotonic_ns()
            self._post(Inspected(work.trigger.acquisition_id, self.inspect(work)))
            self._busy_since_ns = 0
        self._swap(None)

    def inspect(self, work: _Work) -> Inspection:
        """One frame through the inspector; whatever goes wrong is an error part with its reason."""
        if self._inspector is None:
            return Inspection(work.frame, error(ReasonCode.NO_ENGINE), decided_ns=time.monotonic_ns())
        try:
            return self._inspector.inspect(work.frame)
        except Exception as problem:  # stage boundary: a part is never left without a verdict
            log.exception("inspection failed", acquisition_id=work.trigger.acquisition_id)
            decision: Decision = error(ReasonCode.ENGINE_RAISED, f"{type(problem).__name__}: {problem}"[:200])
            return Inspection(work.frame, decision, decided_ns=time.monotonic_ns())

    def _swap(self, inspector: Inspector | None) -> None:
        old, self._inspector = self._inspector, inspector
        self._post(InspectorChanged(inspector))
        if old is not None and (inspector is None or old.scorer is not inspector.scorer):
            old.scorer.close()
