"""The tracker against a line that does anything: what must hold, always.

The belt runs, stands and runs back; parts come at any distance, get any verdict at any time or none. Only what goes in
and what comes out is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from station.codes import ErrorCode, ReasonCode
from station.line.ejection.messages import (
    Ejected,
    Ejector,
    LetThrough,
    LostTrack,
    PartClosed,
    PartMissed,
    PartOpened,
    Push,
    Release,
    StopLine,
    TrackingEvent,
    TrackingSettings,
)
from station.line.ejection.tracker import Tracker
from station.results import Verdict
from tests.bench.belts import KnownBelt

MS = 1_000_000
WINDOW = 250.0
SETTINGS = TrackingSettings(
    window=WINDOW,
    ejectors=(
        Ejector(distance=2000.0, pulse=200.0, verdicts=frozenset({Verdict.REVIEW}), lead_ns=5 * MS),
        Ejector(distance=3000.0, pulse_ns=20 * MS, reasons=frozenset({ReasonCode.DEADLINE})),
        Ejector(distance=4000.0, pulse_ns=400 * MS, lead_ns=12 * MS),
    ),
)
NEARER = replace(
    SETTINGS, ejectors=tuple(replace(ejector, distance=ejector.distance - 700) for ejector in SETTINGS.ejectors)
)
REASONS = {
    Verdict.PASS: [ReasonCode.NONE],
    Verdict.FAIL: [ReasonCode.SCORE_ABOVE_LIMIT],
    Verdict.REVIEW: [ReasonCode.SCORE_IN_REVIEW_BAND],
    Verdict.ERROR: [ReasonCode.DEADLINE, ReasonCode.NO_FRAME],
}


@dataclass
class Part:
    """What the test knows of a part."""

    acquisition_id: int
    position: float
    settings: TrackingSettings
    """Those at its trigger."""
    decision: tuple[Verdict, ReasonCode] | None = None
    pushes: list[Push] = field(default_factory=list)
    let_through: int = 0
    lost: int = 0

    @property
    def ends(self) -> int:
        return len(self.pushes) + self.let_through + self.lost


class AnyLine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.settings_since = 0
        self.belt = KnownBelt()
        self.tracker = Tracker(SETTINGS, self.belt)
        self.parts: dict[int, Part] = {}
        self.missed: list[float] = []
        self.missed_pushes = 0
        self.on = [False] * len(SETTINGS.ejectors)
        self.last_place = [-1e9] * len(SETTINGS.ejectors)
        self.stops: list[StopLine] = []
        self.belt.run(5000)

    # ---- the line

    @rule(speed=st.sampled_from([5000.0, 20_000.0, 800.0, 0.0, -3000.0]))
    def belt_changes_speed(self, speed: float) -> None:
        self.belt.move_to(self.now)
        self.belt.run(speed)
        self.take(self.tracker.advance(self.now))

    @rule(ms=st.integers(1, 400))
    def time_passes(self, ms: int) -> None:
        end = self.now + ms * MS
        while self.now < end:
            wakeup = self.tracker.next_wakeup_ns(self.now)
            self.now = end if wakeup is None else min(max(wakeup, self.now + 1), end)
            self.take(self.tracker.advance(self.now))

    @precondition(lambda self: self.tracker.is_idle)
    @rule(settings=st.sampled_from([SETTINGS, NEARER]))
    def settings_change(self, settings: TrackingSettings) -> None:
        assert self.tracker.change(settings, self.now) == []
        self.settings_since = self.now

    @rule(age_ms=st.integers(0, 20), part_id=st.integers(0, 1000))
    def part_comes(self, age_ms: int, part_id: int) -> None:
        """Its frame comes some time after its trigger."""
        triggered = max(self.now - age_ms * MS, self.belt.time_ns, self.settings_since)
        acquisition_id = len(self.parts) + 1
        self.parts[acquisition_id] = Part(acquisition_id, self.belt.position(triggered), self.tracker.settings)
        opened = PartOpened(acquisition_id, part_id, triggered)
        self.take(self.tracker.part_opened(opened, self.now))
        self.take(self.tracker.part_opened(opened, self.now))  # sent twice

    @rule()
    def part_is_missed(self) -> None:
        self.missed.append(self.belt.position(self.now))
        self.take(self.tracker.part_missed(PartMissed(7, self.now), self.now))

    @rule(verdict=st.sampled_from(list(Verdict)), data=st.data())
    def verdict_comes(self, verdict: Verdict, data: st.DataObject) -> None:
        waiting = [part for part in self.parts.values() if part.decision is None]
        if waiting:
            part = data.draw(st.sampled_from(waiting))
            reason = data.draw(st.sampled_from(REASONS[verdict]))
            if not part.ends:
                part.decision = (verdict, reason)
            events = self.tracker.part_closed(PartClosed(part.acquisition_id, verdict, reason))
            assert part.decision is None or not events
            self.take(events)

    # ---- what came out

    def take(self, events: list[TrackingEvent]) -> None:
        for event in events:
            match event:
                case Push(number, acquisition_id):
                    self.on[number - 1] = True
                    self.pushed(event, number, acquisition_id)
                case Release(number):
                    assert self.on[number - 1]
                    self.on[number - 1] = False
                case LetThrough(acquisition_id):
                    part = self.parts[acquisition_id]
                    part.let_through += 1
                    assert not self.neighbours(part), "two parts closer than the window are both rejected"
                case LostTrack(acquisition_id):
                    self.parts[acquisition_id].lost += 1
                case StopLine():
                    self.stops.append(event)
                case Ejected():
                    assert event.confirmed is None

    def pushed(self, push: Push, number: int, acquisition_id: int) -> None:
        assert 0 <= push.error <= WINDOW
        now_at = self.belt.position(self.now, SETTINGS.ejectors[number - 1].lead_ns)
        if not acquisition_id:
            self.missed_pushes += 1
            assert number == len(SETTINGS.ejectors)
            place = now_at - push.error
        else:
            part = self.parts[acquisition_id]
            part.pushes.append(push)
            place = part.position + part.settings.ejectors[number - 1].distance
            assert abs(now_at - push.error - place) < 0.5, "it is pushed where it is"
        self.last_place[number - 1] = place

    # ---- what must hold

    @invariant()
    def every_part_ends_at_most_once(self) -> None:
        assert all(part.ends <= 1 for part in self.parts.values())
        on_belt = sum(not part.ends for part in self.parts.values()) + len(self.missed) - self.missed_pushes
        assert on_belt == self.tracker.parts_on_belt

    @invariant()
    def nothing_but_a_pass_goes_through(self) -> None:
        for part in self.parts.values():
            if part.let_through:
                assert part.decision is not None
                assert part.decision[0] is Verdict.PASS

    @invariant()
    def no_pass_is_pushed(self) -> None:
        for part in self.parts.values():
            if part.pushes and part.decision and part.decision[0] is Verdict.PASS:
                assert self.neighbours(part)

    @invariant()
    def right_ejector(self) -> None:
        for part in self.parts.values():
            if part.pushes and part.decision:
                verdict, reason = part.decision
                if verdict is Verdict.FAIL or part.pushes[0].ejector == 3:
                    assert part.pushes[0].ejector == 3
                elif verdict is Verdict.REVIEW:
                    assert part.pushes[0].ejector == 1
                elif reason is ReasonCode.DEADLINE:
                    assert part.pushes[0].ejector == 2

    @invariant()
    def pulse_hits_no_neighbour(self) -> None:
        """While an ejector is on and the belt runs forward, only parts within the window of its last one are there."""
        if self.belt.speed > 0:
            for number, on in enumerate(self.on):
                if on:
                    position = self.belt.position(self.now, SETTINGS.ejectors[number].lead_ns)
                    assert position <= self.last_place[number] + WINDOW + 1

    @invariant()
    def no_part_is_past_its_ejector(self) -> None:
        """Whoever is on the belt has not come to the last ejector."""
        for part in self.parts.values():
            if not part.ends:
                distance = part.settings.ejectors[-1].distance
                assert self.belt.position(self.now, SETTINGS.ejectors[-1].lead_ns) < part.position + distance + 1

    @invariant()
    def track_is_never_lost(self) -> None:
        """The belt is always known here: a stop of the line is only for parts that are not distinguishable."""
        assert not any(part.lost for part in self.parts.values())
        assert {stop.code for stop in self.stops} <= {ErrorCode.ENCODER_FAILED}

    def neighbours(self, part: Part) -> bool:
        others = [other.position for other in self.parts.values() if other is not part] + self.missed
        return any(abs(other - part.position) < WINDOW for other in others)


AnyLine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestAnyLine = AnyLine.TestCase
