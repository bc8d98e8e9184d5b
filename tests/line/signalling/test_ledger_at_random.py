"""The ledger on lines that do anything: the books balance, no id is used twice, each pulse is counted once."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from station.codes import ReasonCode
from station.line.signalling.ledger import Ledger
from station.results import Decision, Part
from tests.line.signalling.ledger_bench import FAIL, LIMITS, MS, PASS

PULSE = st.tuples(st.booleans(), st.sampled_from(["in time", "late", "lost"]), st.integers(0, 60))
"""A part passes the light barrier: the station is ready, what becomes of its frame, and frames that come behind it."""


@given(st.lists(PULSE, min_size=1, max_size=80))
def test_each_pulse_is_counted_once_whatever_becomes_of_its_frame(pulses: list[tuple[bool, str, int]]) -> None:
    """Frames come in time, long after their id expired or never: triggers and missed ones are the pulses."""
    ledger = Ledger(LIMITS, wall_offset_ns=0)
    waiting: deque[tuple[int, str]] = deque()
    lost = 0

    def deliver(until_ns: int) -> None:
        nonlocal lost
        while waiting and waiting[0][0] <= until_ns:
            time_ns, fate = waiting.popleft()
            if fate == "lost":
                lost += 1
                continue
            match = ledger.frame(time_ns, lost_before=lost, ready=True)
            lost = 0
            for part in (*match.without_frame, *([match.part] if match.part else [])):
                ledger.close(part.acquisition_id, PASS)

    def expire(now_ns: int) -> None:
        for expired in ledger.expire(now_ns):
            ledger.close(expired.part.acquisition_id, Decision.error(expired.code))

    for index, (ready, fate, behind) in enumerate((*pulses, (True, "in time", 0)), start=1):
        now_ns = index * 50 * MS + (2000 * MS if index > len(pulses) else 0)
        ledger.latch(index, now_ns, while_ready=ready)
        waiting.append((now_ns + MS, fate))
        expire(now_ns)
        deliver(now_ns + MS if fate == "in time" else now_ns - behind * 50 * MS)
    assert not waiting
    assert ledger.counters.triggers + ledger.counters.missed == len(pulses) + 1


class RandomLine(RuleBasedStateMachine):
    """Any order of latches, frames, losses, verdicts and time: the books balance and no id is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(LIMITS, wall_offset_ns=0)
        self.now = MS
        self.next_part_id = 1
        self.seen: set[int] = set()
        self.closed: set[int] = set()

    def opened(self, *parts: Part) -> None:
        for part in parts:
            assert part.acquisition_id not in self.closed
            if part.part_id:
                assert part.part_id not in self.seen, "one id, two parts"
                self.seen.add(part.part_id)

    @rule(ms=st.integers(1, 700))
    def time_passes(self, ms: int) -> None:
        self.now += ms * MS
        for expired in self.ledger.expire(self.now):
            if expired.part.source == "line" and expired.code is ReasonCode.NO_FRAME:
                self.opened(expired.part)
            self.close(expired.part.acquisition_id, Decision.error(expired.code))

    @rule(ready=st.booleans())
    def latch(self, ready: bool) -> None:
        self.ledger.latch(self.next_part_id, self.now, while_ready=ready)
        self.next_part_id += 1

    @rule(ready=st.booleans(), lost=st.integers(0, 3), age_ms=st.integers(0, 900))
    def frame(self, ready: bool, lost: int, age_ms: int) -> None:
        match = self.ledger.frame(self.now - age_ms * MS, lost_before=lost, ready=ready)
        self.opened(*match.without_frame, *([match.part] if match.part else []))
        for part in match.without_frame:
            self.close(part.acquisition_id, Decision.error(ReasonCode.LOST_FRAME))

    @precondition(lambda self: self.ledger.open_parts)
    @rule(data=st.data(), decision=st.sampled_from([PASS, FAIL, Decision.error(ReasonCode.ENGINE_RAISED)]))
    def answer(self, data: st.DataObject, decision: Decision) -> None:
        part = data.draw(st.sampled_from(self.ledger.open_parts))
        self.close(part.acquisition_id, decision)

    @rule(acquisition_id=st.integers(1, 50))
    def late_answer(self, acquisition_id: int) -> None:
        if acquisition_id in self.closed:
            assert self.ledger.close(acquisition_id, PASS) is None

    def close(self, acquisition_id: int, decision: Decision) -> None:
        assert self.ledger.close(acquisition_id, decision) is not None
        self.closed.add(acquisition_id)

    @invariant()
    def balanced(self) -> None:
        counts = self.ledger.counters
        answered = counts.passed + counts.failed + counts.review + counts.error
        assert counts.triggers == answered + len(self.ledger.open_parts)
        assert answered == len(self.closed)

    @invariant()
    def nothing_open_forever(self) -> None:
        wakeup = self.ledger.next_wakeup_ns()
        assert self.ledger.is_empty or wakeup is not None


TestRandomLine = RandomLine.TestCase


TestRandomLine.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)


@given(st.lists(st.sampled_from(["id", "frame", "lost"]), min_size=1, max_size=40))
def test_ids_never_shift_on_an_orderly_line(steps: list[str]) -> None:
    """Whatever frames are lost, a frame that comes has the id that was announced for it."""
    ledger = Ledger(LIMITS, wall_offset_ns=0)
    lost = 0
    for index, step in enumerate(steps, start=1):
        ledger.latch(index, index * 100 * MS, while_ready=True)
        if step == "lost":
            lost += 1
        elif step == "frame":
            match = ledger.frame(index * 100 * MS + MS, lost_before=lost, ready=True)
            assert match.part is not None
            assert match.part.part_id == index
            lost = 0
