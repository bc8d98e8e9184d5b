"""The views of the parts in flight: which frame of which camera belongs to which part, and what is still missing. Pure.

The first camera leads: its trigger opens a part (see `ledger`). Every other camera stands beside it (the same trigger)
or further down the belt, `after_ms` or `after_counts` behind. How its frame finds its part:

* A camera with an own trigger line, or one that the station triggers later: by the trigger of the frame. It belongs to
  the part that should have been there then, give or take the tolerance. A frame that comes before its part is opened
  is held; one that fits no part belongs to none.
* Where the station triggers the first camera, one that it triggers with it: to the part that waits for it. Only one
  does, because TriggerReady is 0 until then.

A part may pass only with a frame that is certainly its own. So two parts so close that a frame could belong to either
are both `too_close`, and so is a part with two frames of one camera. Counting frames would hand every later part a
wrong picture after one lost frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from station.line.acquisition.messages import FrameArrived, FrameFailed
from station.line.signalling.frame_matching import NS_PER_MS, may_be_of
from station.results import Inspection, Part

CLOSED_HISTORY = 64
HELD_FRAMES = 64

FrameMessage = FrameArrived | FrameFailed


@dataclass(frozen=True, slots=True)
class ViewSettings:
    """One camera and its place behind the first; see the configuration of the same names."""

    camera: str
    by_station: bool = False
    """The station triggers it, by software; else it has a trigger line of its own."""
    after_ms: float = 0.0
    after_counts: int = 0
    tolerance_ms: float = 20.0
    tolerance_counts: int = 0
    no_frame_ms: int = 1000

    @property
    def beside(self) -> bool:
        """Takes its picture together with the first camera."""
        return not (self.after_ms or self.after_counts)


@dataclass(frozen=True, slots=True)
class Opened:
    """What the opening of a part brings to light."""

    frames: tuple[FrameMessage, ...] = ()
    """Frames of this part that came before it."""
    too_close: tuple[int, ...] = ()
    """Parts, this one among them, too close to each other for time or position to separate them."""


@dataclass(frozen=True, slots=True)
class ViewMatch:
    """What a frame means for the parts."""

    part: Part | None = None
    """The one that the frame belongs to; None when it belongs to none, or to none yet."""
    why_not: str = ""
    """`late`: its part has a result; `unmatched`: it fits no part; `twice`: its part has a frame of this camera."""
    ambiguous: tuple[int, ...] = ()
    """The part that has two frames of this camera now."""
    missing: tuple[MissingView, ...] = ()
    """Views that this frame has overtaken: they will not come any more."""


@dataclass(frozen=True, slots=True)
class MissingView:
    """A frame that did not come."""

    part: Part
    camera: str


@dataclass(slots=True, eq=False)
class _Views:
    """What is known of the views of one part."""

    part: Part
    position: float | None
    arrived: set[str] = field(default_factory=set)
    judged: dict[str, Inspection] = field(default_factory=dict)
    to_fire: dict[str, int] = field(default_factory=dict)
    """Cameras that the station has still to fire, and when."""
    is_open: bool = True
    cut_short: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    message: FrameMessage
    position: float | None


class ViewMatching:
    """Owns what has arrived of every open part. Called by the signalling thread; opens and closes each part once."""

    def __init__(self, settings: Sequence[ViewSettings]) -> None:
        """The first one leads."""
        self._settings = {view.camera: view for view in settings}
        self._lead = settings[0].camera
        self._followers = tuple(settings[1:])
        self._awaited = frozenset(
            view.camera for view in settings if view.by_station and view.beside and settings[0].by_station
        )
        self._matched = tuple(view for view in self._followers if view.camera not in self._awaited)
        """Those whose frames find their part by time or position."""
        self._open: dict[int, _Views] = {}
        self._closed: deque[_Views] = deque(maxlen=CLOSED_HISTORY)
        self._held: deque[_Held] = deque()

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(self._settings)

    @property
    def lead(self) -> str:
        """The camera whose trigger opens a part."""
        return self._lead

    @property
    def line_triggered(self) -> bool:
        """Parts trigger the first camera themselves."""
        return not self._settings[self._lead].by_station

    @property
    def awaits_frame(self) -> bool:
        """A camera that was triggered together with a part has not delivered."""
        return any(not self._awaited <= views.arrived for views in self._open.values())

    # ---- the life of a part -------------------------------------------------------------------------------------

    def opened(self, part: Part, position: float | None = None) -> Opened:
        """A part begins. `position`: of the belt at its trigger in counts, None when that is not known."""
        views = _Views(part, position)
        neighbours = [other for other in self._parts() if self._too_close(views, other)]
        self._open[part.acquisition_id] = views
        views.to_fire = {
            view.camera: part.time_ns + _ns(view.after_ms) for view in self._settings.values() if view.by_station
        }
        frames = [held for held in self._held if self._fits(views, held.message, held.position)]
        self._held = deque(held for held in self._held if held not in frames)
        cameras = [held.message.camera for held in frames]
        if neighbours or len(set(cameras)) < len(cameras):
            doubtful = (*(other for other in neighbours if other.is_open), views)
            return Opened(too_close=tuple(other.part.acquisition_id for other in doubtful))
        views.arrived.update(cameras)
        return Opened(tuple(held.message for held in frames))

    def lead_arrived(self, acquisition_id: int) -> None:
        """The frame of the first camera is there."""
        self._open[acquisition_id].arrived.add(self._lead)

    def frame(self, message: FrameMessage, position: float | None, now_ns: int) -> ViewMatch:
        """A frame of another camera came, complete or not. `position`: of the belt at its trigger."""
        view = self._settings[message.camera]
        if view.camera in self._awaited:
            return self._of_waiting_part(message)
        missing = self._overtaken(view, message, position) if message.frame_id else ()
        fitting = [views for views in self._parts() if self._fits(views, message, position)]
        if not fitting:
            if now_ns >= self._hold_until_ns(message) or len(self._held) >= HELD_FRAMES:
                return ViewMatch(why_not="unmatched", missing=missing)
            self._held.append(_Held(message, position))
            return ViewMatch(missing=missing)
        views = fitting[0]
        if len(fitting) > 1 or not views.is_open:
            return ViewMatch(why_not="late", missing=missing)
        if message.camera in views.arrived:
            return ViewMatch(why_not="twice", ambiguous=(views.part.acquisition_id,), missing=missing)
        views.arrived.add(message.camera)
        return ViewMatch(views.part, missing=missing)

    def judged(self, acquisition_id: int, inspection: Inspection) -> tuple[Inspection, ...] | None:
        """A view has its verdict. All views of the part, in order, once the last one has."""
        views = self._open[acquisition_id]
        views.judged[inspection.camera] = inspection
        return self._in_order(views) if len(views.judged) == len(self._settings) else None

    def close(self, acquisition_id: int, *, in_time: bool = True) -> tuple[Inspection, ...]:
        """The part has its result. The views that were judged until now, in order; none of a part never `opened`.

        `in_time`: not because its deadline is over.
        """
        views = self._open.pop(acquisition_id, None)
        if views is None:
            return ()
        inspections = self._in_order(views)
        views.is_open = False
        views.cut_short = in_time and len(self._settings) > 1
        views.judged.clear()  # its pictures are not kept
        self._closed.append(views)
        return inspections

    def cut_short(self, acquisition_id: int) -> Part | None:
        """A part that got its result, not long ago, for the sake of one view: others may still come."""
        return next(
            (views.part for views in self._closed if views.cut_short and views.part.acquisition_id == acquisition_id),
            None,
        )

    def is_open(self, acquisition_id: int) -> bool:
        return acquisition_id in self._open

    def exposing(self, acquisition_id: int) -> bool:
        """A camera beside the first one has not taken its picture: the part may not move yet."""
        views = self._open[acquisition_id]
        return any(view.beside and view.camera not in views.arrived for view in self._settings.values())

    def absent(self, acquisition_id: int) -> tuple[str, ...]:
        """Cameras whose frame has not come."""
        views = self._open.get(acquisition_id)
        return () if views is None else tuple(camera for camera in self._settings if camera not in views.arrived)

    # ---- time ---------------------------------------------------------------------------------------------------

    def due(self, now_ns: int) -> list[str]:
        """Cameras that the station must fire now."""
        cameras = []
        for views in self._open.values():
            for camera in [camera for camera, due_ns in views.to_fire.items() if now_ns >= due_ns]:
                del views.to_fire[camera]
                cameras.append(camera)
        return cameras

    def expire(self, now_ns: int) -> tuple[list[MissingView], list[FrameMessage]]:
        """Views whose frame should have come by now, and frames that have found no part."""
        missing = [
            MissingView(views.part, view.camera)
            for views, view, until_ns in self._waiting()
            if until_ns is not None and now_ns >= until_ns
        ]
        unmatched = [held for held in self._held if now_ns >= self._hold_until_ns(held.message)]
        if unmatched:
            self._held = deque(held for held in self._held if held not in unmatched)
        return missing, [held.message for held in unmatched]

    def next_wakeup_ns(self) -> int | None:
        """When `due` or `expire` has work next; None when nothing is open."""
        times = [until_ns for _, _, until_ns in self._waiting() if until_ns is not None]
        times += [due_ns for views in self._open.values() for due_ns in views.to_fire.values()]
        times += [self._hold_until_ns(held.message) for held in self._held]
        return min(times, default=None)

    def _parts(self) -> Iterable[_Views]:
        """All whose frames may still come; none where no frame has to find its part."""
        return (*self._open.values(), *self._closed) if self._matched else ()

    def _of_waiting_part(self, message: FrameMessage) -> ViewMatch:
        given_up = (views.part.time_ns for views in reversed(self._closed) if message.camera not in views.arrived)
        given_up_ns = next(given_up, None)
        for views in self._open.values():
            waits = message.camera not in views.arrived
            if waits and may_be_of(views.part.time_ns, message.trigger_time_ns, given_up_ns):
                views.arrived.add(message.camera)
                return ViewMatch(views.part)
        return ViewMatch(why_not="late")

    def _fits(self, views: _Views, message: FrameMessage, position: float | None) -> bool:
        view = self._settings[message.camera]
        behind = _behind(view, views, message.trigger_time_ns, position)
        return behind is not None and abs(behind) <= _tolerance(view)

    def _too_close(self, views: _Views, other: _Views) -> bool:
        """A frame could lie within the tolerance of both."""
        return any(
            (apart := _apart(view, other, views.part.time_ns, views.position)) is not None
            and abs(apart) <= 2 * _tolerance(view)
            for view in self._matched
        )

    def _overtaken(self, view: ViewSettings, message: FrameMessage, position: float | None) -> tuple[MissingView, ...]:
        """A camera delivers in order: what should have come before this frame is lost."""
        return tuple(
            MissingView(views.part, view.camera)
            for views in self._open.values()
            if view.camera not in views.arrived
            and (behind := _behind(view, views, message.trigger_time_ns, position)) is not None
            and behind > _tolerance(view)
        )

    def _waiting(self) -> Iterable[tuple[_Views, ViewSettings, int | None]]:
        """Parts, the cameras whose frame they wait for, and how long; None where only the deadline ends it."""
        for views in self._open.values():
            for view in self._followers:
                if view.camera not in views.arrived:
                    late_ns = _ns(view.after_ms + view.tolerance_ms + view.no_frame_ms)
                    yield views, view, None if view.after_counts else views.part.time_ns + late_ns

    def _hold_until_ns(self, message: FrameMessage) -> int:
        """The frame of the first camera that opens its part must have come by then."""
        return message.trigger_time_ns + _ns(self._settings[self._lead].no_frame_ms)

    def _in_order(self, views: _Views) -> tuple[Inspection, ...]:
        return tuple(views.judged[camera] for camera in self._settings if camera in views.judged)


def _ns(ms: float) -> int:
    return round(ms * NS_PER_MS)


def _tolerance(view: ViewSettings) -> int:
    """Unit: encoder counts if the camera has `after_counts`, else ns."""
    return view.tolerance_counts if view.after_counts else _ns(view.tolerance_ms)


def _behind(view: ViewSettings, views: _Views, time_ns: int, position: float | None) -> float | None:
    """How far behind its place in the part a frame was taken, in ns or counts; None when that is not known."""
    apart = _apart(view, views, time_ns, position)
    return None if apart is None else apart - (view.after_counts or _ns(view.after_ms))


def _apart(view: ViewSettings, views: _Views, time_ns: int, position: float | None) -> float | None:
    """From the part's trigger to a time or a position of the belt, in the unit of the view's tolerance."""
    if not view.after_counts:
        return time_ns - views.part.time_ns
    if position is None or views.position is None:
        return None
    return position - views.position
