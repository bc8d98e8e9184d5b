"""Which parts are open, which id belongs to which frame, when a part is too late, and the counters.

Pure and clock-injected: no threads, no sockets, no clock. One thread (signalling) owns the one instance.

A part is *opened* once, by a trigger, and *closed* once, by whatever comes first: its inspection, a camera fault,
its deadline, a stop. What comes second finds no open part and is recorded as late, never applied.

Which id belongs to which trigger (`frame_matching`): the PLC latches an id shortly before the part reaches the light
barrier; a frame belongs to the newest id latched before the frame's trigger *time*. Older ids that are still waiting
never got a frame and become error parts. Counting frames instead would shift every later verdict by one part after a
single lost frame or a part taken off by hand.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from station.codes import ReasonCode
from station.line.signalling.frame_matching import NS_PER_MS, LatchedId, LatchedIds, LatchState, may_be_of
from station.results import Decision, Part, PartCounts, Verdict

CLOSED_HISTORY = 64
ID_REGISTER = 0x1_0000_0000
"""The registers AcquisitionId and InspectionId hold an id modulo this. Ids themselves never begin again: the records
would take part 1 of a second round for that of the first. The one id a round that would read 0, "no part", is skipped.
"""

NOT_INSPECTED_ON_PURPOSE = frozenset(
    {
        ReasonCode.RESULT_OVERRUN,
        ReasonCode.STOPPED,
        ReasonCode.OFFLINE,
        ReasonCode.RESTARTED,
        ReasonCode.PLC_LOST,
        ReasonCode.HANDSHAKE_RESET,
        ReasonCode.CHALLENGE_PART_PASSED,
    }
)
"""Error reasons that say nothing about the health of camera and engine: they do not add up to a fault."""


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Limits of the part's way; see the configuration of the same names."""

    deadline_ms: int = 500
    no_frame_ms: int = 1000
    max_parts_in_flight: int = 8
    errors_in_a_row_to_fault: int = 3


@dataclass(frozen=True, slots=True)
class Counters(PartCounts):
    """Parts since the start or the last reset, and the views that were judged after their part had a result."""

    late: int = 0


_COUNTER = {Verdict.PASS: "passed", Verdict.FAIL: "failed", Verdict.REVIEW: "review", Verdict.ERROR: "error"}
"""The field of `Counters` that a verdict counts in."""


@dataclass(frozen=True, slots=True)
class FrameMatch:
    """What a frame means for the ledger."""

    part: Part | None
    """The part that the frame belongs to; None when it belongs to none (see `why_not`)."""
    without_frame: tuple[Part, ...] = ()
    """Parts opened now that are known to have lost their frame; the caller closes them as errors."""
    why_not: str = ""
    """`late`: its part already has a result; `missed`: triggered while not ready."""
    missed: int = 0
    """Triggers that count as missed: while not ready."""


@dataclass(frozen=True, slots=True)
class Expired:
    """A part whose time is over."""

    part: Part
    code: ReasonCode
    opened_now: bool = False
    """Until now it was only announced: its frame did not come."""


@dataclass(slots=True)
class _OpenPart:
    """A part between trigger and result."""

    part: Part
    has_frame: bool


class Ledger:
    """Owns the open parts and the counters of one session. Called by the signalling thread; judges nothing."""

    def __init__(self, settings: LedgerSettings, *, wall_offset_ns: int, first_id: int = 1) -> None:
        """`wall_offset_ns`: see `wall_clock_is`."""
        self._settings = settings
        self._wall_offset_ns = wall_offset_ns
        self._next_id = first_id
        self._open: dict[int, _OpenPart] = {}
        self._latched = LatchedIds()
        self._counts = Counter[str]()
        """By the fields of `Counters`."""
        self._errors_in_a_row = 0
        self._closed: deque[Part] = deque(maxlen=CLOSED_HISTORY)
        self._given_up_ns: int | None = None
        """Trigger of the last part that was closed without its frame."""
        self._challenge_run = 0
        self._challenge_ids: range | None = None

    def __repr__(self) -> str:
        """In one line, for debugging."""
        parts = (f"{key}{'' if entry.has_frame else ' without frame'}" for key, entry in self._open.items())
        return f"<Ledger open: {', '.join(parts) or 'none'}; next: {self._next_id}>"

    def wall_clock_is(self, offset_ns: int) -> None:
        """`offset_ns` + monotonic time = time since the epoch, for people: of the parts that are opened from now on."""
        self._wall_offset_ns = offset_ns

    @property
    def counters(self) -> Counters:
        return Counters(**self._counts)

    @property
    def open_parts(self) -> tuple[Part, ...]:
        return tuple(entry.part for entry in self._open.values())

    def open_part(self, acquisition_id: int) -> Part | None:
        """The part of this id; None when it is not open."""
        entry = self._open.get(acquisition_id)
        return None if entry is None else entry.part

    @property
    def is_full(self) -> bool:
        return len(self._open) >= self._settings.max_parts_in_flight

    @property
    def has_challenge_part(self) -> bool:
        """A master part is open: the next one has to wait, so that each result belongs to its step."""
        return any(part.challenge for part in self.open_parts)

    @property
    def awaits_frame(self) -> bool:
        """True while a part that was triggered by us has no frame yet."""
        return any(not entry.has_frame for entry in self._open.values())

    @property
    def is_empty(self) -> bool:
        """No part is open, and none that was announced while ready may still come."""
        return not self._open and not any(latched.while_ready for latched in self._latched.waiting())

    @property
    def is_drained(self) -> bool:
        """No part is open, and no frame of an announced one may still come, whether it was announced while ready or
        not: what is changed now cannot touch a part that was triggered before the change.
        """
        return not self._open and next(self._latched.waiting(), None) is None

    @property
    def fault_due(self) -> bool:
        """`errors_in_a_row_to_fault` parts in a row were not inspected: the line must stop."""
        return self._errors_in_a_row >= self._settings.errors_in_a_row_to_fault

    def assign_to_challenge(self, run: int, part_ids: range | None = None) -> None:
        """Parts opened from now on belong to this challenge test; 0: they are production. `part_ids`: those with one
        of these ids alone do.
        """
        self._challenge_run = run
        self._challenge_ids = part_ids

    def clear_fault(self) -> None:
        self._errors_in_a_row = 0

    def reset_counters(self) -> None:
        """Counts from zero again; parts in flight are counted as triggers of the new count, so that it balances."""
        self._counts = Counter(triggers=sum(not part.challenge for part in self.open_parts))

    def latch(
        self, part_id: int, now_ns: int, *, while_ready: bool, encoder_count: int = 0, deadline_ms: int = 0
    ) -> int:
        """The PLC announces the id of the next hardware trigger. Returns ids that fell out unused: missed."""
        if not self._latched.add(LatchedId(part_id, encoder_count, deadline_ms, now_ns, while_ready)):
            return 0
        self._counts["missed"] += 1
        return 1

    def open(self, source: str, now_ns: int, *, part_id: int = 0, encoder_count: int = 0, deadline_ms: int = 0) -> Part:
        """Opens a part that waits for its frame (PLC or software trigger)."""
        return self._open_part(source, now_ns, part_id, encoder_count, deadline_ms, has_frame=False)

    def miss(self, count: int = 1) -> None:
        """Triggers while the station was not ready."""
        self._counts["missed"] += count

    def late(self, acquisition_id: int) -> Part | None:
        """A view was judged after its part had a result: counts it, and finds the part as `closed` does."""
        self._counts["late"] += 1
        return self.closed(acquisition_id)

    def closed(self, acquisition_id: int) -> Part | None:
        """The part of this id if it is among the last `CLOSED_HISTORY` that got their result."""
        return next((part for part in self._closed if part.acquisition_id == acquisition_id), None)

    def frame(self, trigger_time_ns: int, *, lost_before: int, ready: bool) -> FrameMatch:
        """A frame of a hardware trigger came, complete or not: opens its part.

        What a camera loses shows as a gap before the next frame that it delivers. Behind the last one nothing shows it,
        unless ids are latched: then the id expires.

        `lost_before`: frames the camera counted but did not deliver since the one before. `ready`: the station
        takes parts now.
        """
        latched = self._latched.newest_before(trigger_time_ns)
        without, missed = self._without_frame(latched, lost_before, trigger_time_ns, ready)
        if latched is not None and latched.state is LatchState.EXPIRED:
            latched.state = LatchState.USED
            self._counts["late"] += 1
            return FrameMatch(None, without, "late", missed)
        part_id = encoder = deadline_ms = 0
        announced_while_ready = False
        if latched is not None and latched.state is LatchState.WAITING:
            latched.state = LatchState.USED
            part_id = latched.part_id
            encoder = latched.encoder_count
            deadline_ms = latched.deadline_ms
            announced_while_ready = latched.while_ready
        if not (ready or announced_while_ready):
            self._counts["missed"] += 1
            return FrameMatch(None, without, "missed", missed + 1)
        part = self._open_part("line", trigger_time_ns, part_id, encoder, deadline_ms, has_frame=True)
        return FrameMatch(part, without, "", missed)

    def frame_for_trigger(self, trigger_time_ns: int) -> FrameMatch:
        """A frame came in a mode where the station triggers the camera: it belongs to the part that waits for it,
        unless it is the late one of a part that was given up.
        """
        waiting = next((entry for entry in self._open.values() if not entry.has_frame), None)
        if waiting is not None and may_be_of(waiting.part.time_ns, trigger_time_ns, self._given_up_ns):
            waiting.has_frame = True
            return FrameMatch(waiting.part)
        self._counts["late"] += 1
        return FrameMatch(None, (), "late")

    def close(self, acquisition_id: int, decision: Decision) -> Part | None:
        """Closes a part with its verdict; None when it is not open: the verdict came late."""
        entry = self._open.pop(acquisition_id, None)
        if entry is None:
            return None
        part = entry.part
        self._closed.append(part)
        if not entry.has_frame:
            self._given_up_ns = part.time_ns
        if not part.challenge:
            self._counts[_COUNTER[decision.verdict]] += 1
        if decision.verdict is not Verdict.ERROR:
            self._errors_in_a_row = 0
        elif decision.code not in NOT_INSPECTED_ON_PURPOSE:
            self._errors_in_a_row += 1
        return part

    def expire(self, now_ns: int) -> list[Expired]:
        """Parts whose deadline is over, or whose frame did not come. The caller closes them as errors."""
        no_frame_ns = self._settings.no_frame_ms * NS_PER_MS
        expired = []
        for entry in self._open.values():
            if not entry.has_frame and now_ns >= entry.part.time_ns + no_frame_ns:
                expired.append(Expired(entry.part, ReasonCode.NO_FRAME))
            elif now_ns >= entry.part.deadline_ns:
                expired.append(Expired(entry.part, ReasonCode.DEADLINE))
        for latched in self._latched.expire(now_ns, no_frame_ns):
            if latched.while_ready:
                expired.append(Expired(self._open_latched(latched), ReasonCode.NO_FRAME, opened_now=True))
            else:
                self._counts["missed"] += 1
        return expired

    def next_wakeup_ns(self) -> int | None:
        """When `expire` has work next; None when nothing is open."""
        no_frame_ns = self._settings.no_frame_ms * NS_PER_MS
        times = [entry.part.deadline_ns for entry in self._open.values()]
        times += [entry.part.time_ns + no_frame_ns for entry in self._open.values() if not entry.has_frame]
        times += [latched.time_ns + no_frame_ns for latched in self._latched.waiting()]
        return min(times, default=None)

    def _without_frame(
        self, newest: LatchedId | None, lost_before: int, time_ns: int, ready: bool
    ) -> tuple[tuple[Part, ...], int]:
        """Opens a part for every id that a frame has overtaken, and for every further frame the camera lost."""
        parts: list[Part] = []
        missed = 0
        explained = self._latched.expired_before(newest)
        for latched in self._latched.overtaken_by(newest):
            explained += 1
            if latched.while_ready:
                parts.append(self._open_latched(latched))
            else:
                missed += 1
        for _ in range(lost_before - explained):
            if ready:
                parts.append(self._open_part("line", time_ns, 0, 0, 0, has_frame=True))
            else:
                missed += 1
        self._counts["missed"] += missed
        return tuple(parts), missed

    def _open_latched(self, latched: LatchedId) -> Part:
        return self._open_part(
            "line", latched.time_ns, latched.part_id, latched.encoder_count, latched.deadline_ms, has_frame=True
        )

    def _open_part(
        self, source: str, time_ns: int, part_id: int, encoder_count: int, deadline_ms: int, *, has_frame: bool
    ) -> Part:
        part = Part(
            acquisition_id=self._next_id,
            part_id=part_id,
            source=source,
            time_ns=time_ns,
            wall_time=(time_ns + self._wall_offset_ns) / 1e9,
            deadline_ns=time_ns + (deadline_ms or self._settings.deadline_ms) * NS_PER_MS,
            encoder_count=encoder_count,
            challenge=self._challenge_run if self._challenge_ids is None or part_id in self._challenge_ids else 0,
        )
        self._open[part.acquisition_id] = _OpenPart(part, has_frame)
        self._next_id += 1 if (self._next_id + 1) % ID_REGISTER else 2
        self._counts["challenge" if part.challenge else "triggers"] += 1
        return part
