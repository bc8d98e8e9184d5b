"""The watch over one engine with one recipe: owns its streams, and names what has changed once they have settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from station.monitoring.band import Tolerance
from station.monitoring.conformal import LEAST_HELD_OUT, ConformalStream
from station.monitoring.diagnosis import (
    AS_TAUGHT,
    DOUBTED,
    GREY,
    HELD_OUT,
    KIND,
    MASTER,
    NOT_INSPECTED,
    PLACE_X,
    PLACE_Y,
    REJECTED,
    SATURATED,
    SCORES,
    SHARPNESS,
    SIZE,
    VIRTUAL,
    WRONGLY_PASSED,
    WRONGLY_REJECTED,
    Cause,
    Finding,
    diagnose,
    kind_of,
    name_of,
)
from station.monitoring.kinds import MOST_KINDS, KindStream
from station.monitoring.labelled import Labelled
from station.monitoring.masters import MasterStream
from station.monitoring.seen import SeenPart, SeenView
from station.monitoring.shares import DisagreementStream, ScoreStream, ShareStream
from station.monitoring.streams import BLOCK, Stream, StreamStatus, ValueStream
from station.results import Verdict

SETTLE_PARTS = 4 * BLOCK
"""After the first stream has moved: time for those that explain it, a lamp for instance, to move, too."""
HOURS_A_YEAR = 8760.0
UNLIKE_SHARE = 0.02
"""Pictures outside of the bands of their engine that are normal, as it promised (`PictureBands.outside_share`)."""
_UNLIKE_ALTERNATIVES = (0.1, 0.5, 0.9)
UNLIKE_BACK = 50
"""Pictures inside of the bands in a row, after which all is as taught."""
MISSED_SHARE = 0.15
"""Synthetic defects that may be missed: they are found 9 times of 10, by models made of four fifths of the pictures."""
_MISSED_ALTERNATIVES = (0.3, 0.5, 0.8)
MISSED_BACK = 160
"""Defects of about two virtual challenges: when they are found as ever, a change is over."""
DEFECTS_PER_HOUR = 84.0
STREAMS = 20
"""As many are counted for the run length of each; more cameras share it."""
_TOLERANCES = {
    GREY: Tolerance(relative=0.02),
    SATURATED: Tolerance(absolute=0.01),
    SHARPNESS: Tolerance(relative=0.15),
    PLACE_X: Tolerance(absolute=0.02),
    PLACE_Y: Tolerance(absolute=0.02),
    SIZE: Tolerance(relative=0.03),
}


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """What is normal, and how rarely a false alarm may come."""

    parts_per_hour: float
    false_alarms_per_year: float
    defect_share: float
    """Of truly defective parts, as agreed for this line."""
    not_inspected_share: float

    @property
    def run_length_parts(self) -> float:
        """Of each stream, so that all together keep the promise."""
        return self.parts_per_hour * HOURS_A_YEAR * STREAMS / self.false_alarms_per_year

    @property
    def run_length_defects(self) -> float:
        """Of the virtual challenge, likewise: synthetic defects an hour are some eighty."""
        return DEFECTS_PER_HOUR * HOURS_A_YEAR * STREAMS / self.false_alarms_per_year


@dataclass(frozen=True, slots=True)
class Promise:
    """What the engine was taught to keep: shares of good parts."""

    rejected: float
    doubted: float
    """Rejected or in review."""
    held_out: tuple[float, ...] = ()
    """Scores, 0 to 1, of good parts that would pass, by models that had not seen them; empty: not known."""


def promise_of(memory: Mapping[str, Any]) -> Promise:
    """Of what was kept over a restart. Raises KeyError, TypeError, ValueError: it says nothing of it."""
    held_out = tuple(float(score) for score in memory.get("held_out", ()))
    return Promise(float(memory["rejected"]), float(memory["doubted"]), held_out)


class Watch:
    """Owns the streams of one engine with one recipe."""

    def __init__(self, settings: WatchSettings, promise: Promise) -> None:
        self._settings = settings
        self.promise = promise
        length = settings.run_length_parts
        self._streams: dict[str, Stream] = {}
        for stream in (
            ShareStream(REJECTED, _share(promise.rejected + settings.defect_share), length),
            ShareStream(DOUBTED, _share(promise.doubted + settings.defect_share), length),
            ShareStream(NOT_INSPECTED, _share(settings.not_inspected_share), length),
            ScoreStream(SCORES, length),
            DisagreementStream(WRONGLY_REJECTED, _of_rejects(promise.rejected, settings.defect_share)),
            DisagreementStream(WRONGLY_PASSED, _share(settings.defect_share)),
            ShareStream(
                VIRTUAL,
                MISSED_SHARE,
                settings.run_length_defects,
                alternatives=_MISSED_ALTERNATIVES,
                back_values=MISSED_BACK,
            ),
        ):
            self._streams[stream.name] = stream
        if len(promise.held_out) >= LEAST_HELD_OUT:
            self._streams[HELD_OUT] = ConformalStream(HELD_OUT, length, promise.held_out)
        self._settling = 0
        """Parts still to come before what has moved is named."""
        self.finding: Finding | None = None
        """What has changed and stands."""

    def add(self, part: SeenPart) -> None:
        """One more part of production."""
        streams = self._streams
        streams[NOT_INSPECTED].add(float(part.not_inspected))
        if not part.not_inspected and not any(view.unlike for view in part.views):  # else its picture says why
            rejected = part.verdict is Verdict.FAIL
            streams[REJECTED].add(float(rejected))
            streams[DOUBTED].add(float(rejected or part.verdict is Verdict.REVIEW))
            if part.verdict is Verdict.PASS:
                streams[SCORES].add(part.score)
                if HELD_OUT in streams and len(part.views) == 1:  # teaching knows single pictures, not the worst of two
                    streams[HELD_OUT].add(part.score)
            self._add_kind(part.kind)
        for view in part.views:
            self._add_view(view)
        self._name()

    def add_master(self, name: str, score: float) -> None:
        """A master part was scored in a challenge test."""
        self._of_camera(MASTER, name).add(score)
        self._name()

    def add_virtual(self, found: Sequence[bool]) -> None:
        """A virtual challenge was made: whether each of its defects was found."""
        for one in found:
            self._streams[VIRTUAL].add(float(not one))
        self._name()

    def add_labelled(self, labelled: Labelled) -> None:
        """A person has said what a part was."""
        if (wrong := labelled.is_rejected_though_good) is not None:
            self._streams[WRONGLY_REJECTED].add(float(wrong))
        if (wrong := labelled.is_passed_though_defective) is not None:
            self._streams[WRONGLY_PASSED].add(float(wrong))
        self._name()

    def _add_kind(self, kind: str) -> None:
        known = [stream for name, stream in self._streams.items() if kind_of(name) == KIND]
        if kind and name_of(KIND, kind) not in self._streams and len(known) < MOST_KINDS:
            known.append(self._of_camera(KIND, kind))
        for stream in known:
            stream.add(float(stream.name == name_of(KIND, kind)))

    def _add_view(self, view: SeenView) -> None:
        values = {GREY: view.grey, SATURATED: view.saturated, SHARPNESS: view.sharpness}
        if view.place is not None:
            values.update(zip((PLACE_X, PLACE_Y, SIZE), view.place, strict=True))
        for kind, value in values.items():
            self._of_camera(kind, view.camera).add(value)
        for code, kind in AS_TAUGHT.items():
            stream = self._streams.get(name_of(kind, view.camera))
            if stream is None and code in view.unlike:  # from the first one on: engines without bands have none
                stream = self._of_camera(kind, view.camera)
            if stream is not None:
                stream.add(float(code in view.unlike))

    def _of_camera(self, kind: str, camera: str) -> Stream:
        name = name_of(kind, camera)
        if name not in self._streams:
            self._streams[name] = self._new(kind, name)
        return self._streams[name]

    def _new(self, kind: str, name: str) -> Stream:
        length = self._settings.run_length_parts
        if kind in _TOLERANCES:
            return ValueStream(name, _TOLERANCES[kind], length)
        if kind == MASTER:
            return MasterStream(name)
        if kind == KIND:
            return KindStream(name, length)
        if kind not in AS_TAUGHT.values():
            raise KeyError(kind)
        return ShareStream(name, UNLIKE_SHARE, length, alternatives=_UNLIKE_ALTERNATIVES, back_values=UNLIKE_BACK)

    def _name(self) -> None:
        """Names what has changed, once, when the streams have settled; a cause that explains more replaces it."""
        found = self._diagnosed()
        if found is None or (self.finding is not None and found.cause is self.finding.cause):
            self._settling = 0
            self.finding = found if found is None else self.finding
            return
        if not self._settling:
            self._settling = SETTLE_PARTS
        self._settling = 0 if self._is_unlike else self._settling - 1
        if not self._settling:
            self.finding = found

    def _diagnosed(self) -> Finding | None:
        streams = self._streams.values()
        if not any(stream.changed for stream in streams):
            return None
        return diagnose([stream.status for stream in streams if stream.has_moved], self._sharper, self._masters)

    @property
    def _masters(self) -> int:
        """That have learned."""
        masters = (stream for stream in self._streams.values() if isinstance(stream, MasterStream))
        return sum(stream.average is not None for stream in masters)

    @property
    def _is_unlike(self) -> bool:
        """Whether pictures are unlike those taught: that explains whatever else moves."""
        return any(stream.changed for name, stream in self._streams.items() if kind_of(name) in AS_TAUGHT.values())

    @property
    def _sharper(self) -> frozenset[str]:
        return frozenset(
            name
            for name, stream in self._streams.items()
            if isinstance(stream, ValueStream)
            and kind_of(name) == SHARPNESS
            and stream.band is not None
            and stream.last > stream.band.high
        )

    @property
    def statuses(self) -> list[StreamStatus]:
        """Of every stream."""
        return [stream.status for stream in self._streams.values()]

    @property
    def learned(self) -> float:
        """Share of the learning that is done, of the stream that is last."""
        return min(status.learned for status in self.statuses)

    def learn_again(self) -> None:
        """What comes now is normal: a person has looked at it."""
        for stream in self._streams.values():
            stream.learn_again()
        self._settling = 0
        self.finding = None

    @property
    def memory(self) -> dict[str, Any]:
        """For a restart; but for the promise."""
        return {
            "settling": self._settling,
            "finding": None if self.finding is None else [self.finding.cause.name, self.finding.detail],
            "streams": {name: one.memory for name, one in self._streams.items()},
        }

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError: not the memory of a watch."""
        for name, of_stream in memory["streams"].items():
            kind, _, camera = name.partition(": ")
            if camera:
                self._of_camera(kind, camera).restore(of_stream)
            else:
                self._streams[name].restore(of_stream)
        self._settling = int(memory["settling"])
        if memory["finding"] is not None:
            cause, detail = memory["finding"]
            self.finding = Finding(Cause[cause], str(detail))


def _of_rejects(rejected: float, defective: float) -> float:
    """Of parts that are rejected: the share that may be good, by promise and agreement."""
    return _share(rejected / max(rejected + defective, 1e-9))


def _share(share: float) -> float:
    return min(max(share, 0.001), 0.9)
