"""Which parts keep their pictures, and how much memory pictures that wait for the disk may hold.

`admit` is called by the thread that records (signalling), `stored` by the recording thread. No lock: each counter is
written by one side only, and the differences are what waits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from station import said
from station.line.recording.retention import MB
from station.records.sample import in_sample
from station.results import Inspection, InspectionRecord, Verdict


@dataclass(frozen=True, slots=True)
class Admitted:
    """A record, with its pixels or without."""

    record: InspectionRecord
    image_bytes: int = 0
    """Memory that its pictures hold; 0: none is to be stored."""
    image_skipped: str | None = None
    """Why pictures that should be stored are not."""


class WaitingImages:
    """Decides which parts keep their pictures, of all views or none, and counts the memory that they hold."""

    def __init__(self, *, pass_image_share: float, queue_size: int, waiting_images_mb: int) -> None:
        self._pass_image_share = pass_image_share
        self._queue_size = queue_size
        self._limit_bytes = waiting_images_mb * MB
        self._parts_in = self._bytes_in = 0
        self._parts_out = self._bytes_out = 0

    def admit(self, record: InspectionRecord) -> Admitted:
        """Takes the pixels out of a record whose pictures are not to be stored, or for which there is no room."""
        if not record.views:
            return Admitted(record)
        if record.decision.verdict is Verdict.PASS and not record.late and not self._is_sampled(record):
            return Admitted(_without_pixels(record))
        size = sum(_held(view) for view in record.views)
        waiting = self._parts_in - self._parts_out
        held = self._bytes_in - self._bytes_out
        if waiting >= self._queue_size or held + size > self._limit_bytes:
            return Admitted(_without_pixels(record), image_skipped=said.IMAGES_WAIT())
        self._parts_in += 1
        self._bytes_in += size
        return Admitted(record, image_bytes=size)

    def stored(self, part: Admitted) -> None:
        """The pictures of this part are on disk, or given up."""
        if part.image_bytes:
            self._parts_out += 1
            self._bytes_out += part.image_bytes

    def _is_sampled(self, record: InspectionRecord) -> bool:
        """Of PASS a random sample, which nothing that the part looks like can change: what people find in it holds for
        all that passed."""
        if record.part.challenge:
            return True  # few, and a study shows what the station passed and should not have
        return in_sample(record.session, record.part.acquisition_id, self._pass_image_share)


def _held(view: Inspection) -> int:
    """Bytes of its picture, and of the heights that it was made of."""
    heights = view.frame.heights
    return view.frame.pixels.nbytes + (0 if heights is None else heights.values.nbytes)


def _without_pixels(record: InspectionRecord) -> InspectionRecord:
    """The same record without the memory of frames and maps."""
    return replace(record, views=tuple(_view_without_pixels(view) for view in record.views))


def _view_without_pixels(view: Inspection) -> Inspection:
    frame = replace(view.frame, pixels=np.empty((0, 0), np.uint8), heights=None)
    scores = view.scores
    if scores is not None:
        scores = replace(scores, anomaly_map=np.empty((0, 0), np.float32))
    return replace(view, frame=frame, scores=scores)
