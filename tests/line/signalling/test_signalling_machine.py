"""All of signalling against a line that does anything: what the PLC writes, what cameras deliver and when, what the
engine says and when, and time.

The test knows every part that went by: when it was there, which id the PLC announced for it, and which frames show it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict, deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from drivers.plc.protocol import PlcInputs, PlcOutputs
from station.codes import OfflineReason, ReasonCode
from station.line.acquisition.messages import CameraChanged, CameraState, FrameArrived, FrameFailed
from station.line.challenge.machine import ChallengeSettings
from station.line.challenge.messages import ResetChallenge, StartChallenge
from station.line.inspection.stage import Inspected, InspectorChanged
from station.line.recording.journal import Journal
from station.line.signalling.ledger import LedgerSettings
from station.line.signalling.messages import Changing, ClearFault, Message, PlcWrote, SetOnline
from station.line.signalling.view_matching import ViewSettings
from station.records.challenge_runs import MasterPart
from station.results import Decision, Frame, Inspection, Reason, Verdict
from tests.line.signalling.signalling_bench import NS_PER_MS, PIXELS, SignallingOnABench, inspector

LINES = {
    "one camera, light barrier": (ViewSettings("top"),),
    "three cameras on one barrier": (ViewSettings("top"), ViewSettings("side"), ViewSettings("end")),
    "a camera down the belt": (ViewSettings("top"), ViewSettings("side", after_ms=300.0, tolerance_ms=30.0)),
    "a follower fired later": (ViewSettings("top"), ViewSettings("side", by_station=True, after_ms=50.0)),
    "one camera, PLC": (ViewSettings("top", by_station=True),),
    "two cameras, PLC": (ViewSettings("top", by_station=True), ViewSettings("side", by_station=True)),
}
LIMITS = LedgerSettings(deadline_ms=500, no_frame_ms=1000, max_parts_in_flight=4)
CHALLENGE = ChallengeSettings(parts=(MasterPart("bad", Verdict.FAIL), MasterPart("good", Verdict.PASS)))
DECISIONS = (
    Decision(Verdict.PASS),
    Decision(Verdict.PASS),
    Decision(Verdict.FAIL, (Reason(ReasonCode.SCORE_ABOVE_LIMIT),)),
    Decision(Verdict.REVIEW, (Reason(ReasonCode.SCORE_IN_REVIEW_BAND),)),
    Decision.error(ReasonCode.ENGINE_RAISED),
)
BITS = ("trigger_enable", "set_offline", "clear_error", "results_ack", "buffer_enable", "challenge_mode")
LATCH_MS = 1
SHORTEST_GAP_MS = 3
"""The clocks of camera and station may differ by 2 ms: parts that the PLC triggers closer than that are no parts."""
HOUR_NS = 3_600_000_000_000
SLOTS = 512


@dataclass(frozen=True)
class Shown:
    """A frame on its way; `shows` says which part is in it."""

    at_ns: int
    frame_id: int


@dataclass(frozen=True)
class Passed:
    """A part that went by, triggered or not."""

    number: int
    part_id: int
    at_ns: int


class Watched(SignallingOnABench):
    """Looks at everything that is published, also in the middle of a message."""

    def __init__(self, folder: Path, cameras: tuple[ViewSettings, ...]) -> None:
        self.passed: dict[int, set[str]] = defaultdict(set)
        """Cameras whose PASS for the part of this acquisition came in time."""
        super().__init__(
            folder,
            cameras=cameras,
            ledger=LIMITS,
            challenge=CHALLENGE,
            journal_slots=SLOTS,
            engine_queue=4 * len(cameras),
        )

    def _publish(self, outputs: PlcOutputs) -> None:
        super()._publish(outputs)
        assert outputs.reject != outputs.pass_
        if outputs.pass_:
            assert self.passed[outputs.inspection_id] == set(self.views.cameras), "a PASS that no engine gave in time"
            assert outputs.online
            assert not outputs.fault


class Line(RuleBasedStateMachine):
    """One line of `LINES`, with a PLC that announces its parts or does not."""

    @initialize(line=st.sampled_from(sorted(LINES)), announces=st.booleans())
    def start(self, line: str, announces: bool) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.cameras = LINES[line]
        self.by_plc = self.cameras[0].by_station
        self.after_ms = {view.camera: view.after_ms for view in self.cameras}
        self.announces = announces
        self.station = Watched(self.folder, self.cameras)
        self.inputs = PlcInputs(trigger_enable=True)
        self.parts: dict[int, Passed] = {}
        self.shows: dict[tuple[str, int], int] = {}
        """(camera, frame id) -> number of the part, or its acquisition where the PLC triggers."""
        self.coming: dict[str, deque[Shown]] = {view.camera: deque() for view in self.cameras}
        self.exposures = dict.fromkeys(self.coming, 0)
        self.delivered = dict.fromkeys(self.coming, 0)
        self.committed: set[int] = set()
        self.checked = 0

    def teardown(self) -> None:
        if not hasattr(self, "station"):
            return
        try:
            self.station.now_ns += HOUR_NS
            self.station.signalling.tick()
            self.agree()
            assert self.station.ledger.is_empty, "every part gets its result"
            self.station.journal.close()
            with Journal(self.folder / "journal", "next") as journal:
                left = {part.part.acquisition_id: part.decision.verdict for part in journal.recover()}
            assert left == {
                record.part.acquisition_id: record.decision.verdict
                for record in self.station.records
                if not record.late and record.part.acquisition_id not in self.committed
            }
        finally:
            self.station.journal.close()
            shutil.rmtree(self.folder)

    # ---- what goes by --------------------------------------------------------------------------------------------

    @rule(
        gap_ms=st.integers(SHORTEST_GAP_MS, 400),
        lost=st.frozensets(st.sampled_from(["top", "side", "end"]), max_size=1),
    )
    def part_goes_by(self, gap_ms: int, lost: frozenset[str]) -> None:
        self.time_passes(gap_ms - LATCH_MS)
        number = len(self.parts) + 1
        part_id = 1000 + number if self.announces else 0
        if self.announces:
            self.write(latch_part_id=True, part_id=part_id)
            self.write(latch_part_id=False)
        self.time_passes(LATCH_MS)
        self.parts[number] = Passed(number, part_id, self.station.now_ns)
        if self.by_plc:
            self.write(trigger=True)
            self.fire(lost)
            self.write(trigger=False)
            return
        for view in self.cameras:
            if not view.by_station:
                jitter_ms = number % 3 if view is not self.cameras[0] else 0
                at_ns = self.station.now_ns + round((view.after_ms + jitter_ms) * NS_PER_MS)
                self.expose(view.camera, number, at_ns, lost)

    def fire(self, lost: frozenset[str] = frozenset()) -> None:
        """Cameras that the station has fired take what is before them now."""
        now = self.station.now_ns
        for camera in self.station.fired:
            if self.by_plc:
                shown = self.station.outputs.acquisition_id
            else:
                after_ns = round(self.after_ms[camera] * NS_PER_MS)
                shown = min(self.parts.values(), key=lambda part: abs(part.at_ns + after_ns - now)).number
            self.expose(camera, shown, now, lost)
        self.station.fired.clear()

    def expose(self, camera: str, number: int, at_ns: int, lost: frozenset[str]) -> None:
        self.exposures[camera] += 1
        frame_id = self.exposures[camera]
        self.shows[camera, frame_id] = number
        if camera not in lost:
            self.coming[camera].append(Shown(at_ns, frame_id))

    @rule(data=st.data(), most=st.integers(1, 6), whole=st.sampled_from([True, True, True, False]))
    def frames_come(self, data: st.DataObject, most: int, whole: bool) -> None:
        for _ in range(most):
            if there := self.deliverable():
                self.deliver(data.draw(st.sampled_from(there)), whole=whole)

    def deliverable(self) -> list[str]:
        """Cameras whose next frame may come now."""
        return [camera for camera, coming in self.coming.items() if coming and coming[0].at_ns <= self.station.now_ns]

    def deliver(self, camera: str, *, whole: bool = True) -> None:
        shown, now = self.coming[camera].popleft(), self.station.now_ns
        lost = shown.frame_id - self.delivered[camera] - 1
        self.delivered[camera] = shown.frame_id
        if whole:
            frame = Frame(camera, shown.frame_id, PIXELS, shown.at_ns, now)
            self.station.signalling.handle(FrameArrived(frame, lost))
        else:
            code = ReasonCode.INCOMPLETE_FRAME
            self.station.signalling.handle(FrameFailed(camera, shown.frame_id, code, shown.at_ns, now, lost))
        self.fire()

    @rule(ms=st.integers(1, 700))
    def time_passes(self, ms: int) -> None:
        self.station.now_ns += ms * NS_PER_MS
        self.station.signalling.tick()
        self.fire()

    # ---- what others do ------------------------------------------------------------------------------------------

    @precondition(lambda self: self.station.at_engine)
    @rule(data=st.data(), decision=st.sampled_from(DECISIONS))
    def engine_judges(self, data: st.DataObject, decision: Decision) -> None:
        self.judge(data.draw(st.integers(0, len(self.station.at_engine) - 1)), decision)

    def judge(self, index: int, decision: Decision) -> None:
        station = self.station
        part, frame = station.at_engine.pop(index)
        is_open = station.ledger.open_part(part.acquisition_id) is not None
        if is_open and decision.verdict is Verdict.PASS and station.now_ns < part.deadline_ns:
            station.passed[part.acquisition_id].add(frame.camera)
        inspection = Inspection(frame, decision, decided_ns=station.now_ns)
        station.signalling.handle(Inspected(part.acquisition_id, inspection))

    @rule(gap_ms=st.integers(60, 200), decision=st.sampled_from(DECISIONS))
    def orderly_part(self, gap_ms: int, decision: Decision) -> None:
        """The frames of all that went by come, are judged at once, and the PLC reads the result."""
        self.part_goes_by(gap_ms, frozenset())
        for _ in range(8):
            for camera in self.deliverable():
                self.deliver(camera)
            while self.station.at_engine:
                self.judge(0, decision)
            self.time_passes(50)
        self.plc_acknowledges()

    @rule()
    def plc_acknowledges(self) -> None:
        while self.station.outputs.results_valid:
            self.write(results_ack=True)
            self.write(results_ack=False)

    @rule()
    def all_is_well(self) -> None:
        for bit, value in (("set_offline", False), ("challenge_mode", False), ("trigger_enable", True)):
            self.write(**{bit: value})
        last = self.cameras[-1].camera
        messages: tuple[Message, ...] = (
            SetOnline(True),
            ClearFault(),
            ResetChallenge("anna", ""),
            CameraChanged(last, CameraState.STREAMING, None, ""),
            InspectorChanged(inspector()),
        )
        for message in messages:
            self.station.signalling.handle(message)
        self.plc_acknowledges()

    @rule(bit=st.sampled_from(BITS))
    def plc_switches(self, bit: str) -> None:
        self.write(**{bit: not getattr(self.inputs, bit)})

    @rule(data=st.data())
    def something_changes(self, data: st.DataObject) -> None:
        last = self.cameras[-1].camera
        messages: tuple[Message, ...] = (
            CameraChanged(last, CameraState.DOWN, None, ""),
            Changing(OfflineReason.CHANGING_ENGINE),
            Changing(None),
            InspectorChanged(None),
            InspectorChanged(inspector()),
            InspectorChanged(inspector(), after=max(self.station.at_engine_ids(), default=0)),
            SetOnline(False),
            StartChallenge("anna"),
        )
        self.station.signalling.handle(data.draw(st.sampled_from(messages)))

    @rule()
    def disk_catches_up(self) -> None:
        closed = {record.part.acquisition_id for record in self.station.records if not record.late}
        self.station.journal.commit([("session", acquisition_id) for acquisition_id in closed - self.committed])
        self.committed |= closed

    def write(self, **changes: Any) -> None:
        beat = self.inputs.plc_heartbeat
        if "plc_heartbeat" not in changes:
            beat = (beat + 1) % 0x10000
        self.inputs = replace(self.inputs, plc_heartbeat=beat, **changes)
        self.station.signalling.handle(PlcWrote(self.inputs, self.station.now_ns))

    # ---- what holds after every step -----------------------------------------------------------------------------

    @invariant()
    def agree(self) -> None:
        """The five sets of open parts: ledger, view matching, handshake, tracking, journal."""
        station = self.station
        open_ids = {part.acquisition_id for part in station.ledger.open_parts}
        records = [record for record in station.records if not record.late]
        ever = open_ids | {record.part.acquisition_id for record in records}
        assert {acquisition_id for acquisition_id in ever if station.views.is_open(acquisition_id)} == open_ids
        assert station.handshake.in_flight == open_ids
        assert station.on_belt == open_ids
        assert SLOTS - station.journal.free_slots == len(open_ids) + len(records) - len(self.committed)

    @invariant()
    def what_people_read_does_not_contradict_itself(self) -> None:
        """Ready, or off line with a reason, or on line and waiting for something: one of the three, as the PLC sees."""
        shown = self.station.signalling._status.snapshot(())
        assert shown.ready is self.station.outputs.trigger_ready
        is_off = shown.offline_reason is not OfflineReason.NONE
        assert [shown.ready, is_off, bool(shown.waits_for)].count(True) == 1, (shown.offline_reason, shown.waits_for)
        assert shown.online or is_off

    @invariant()
    def balanced(self) -> None:
        counts = self.station.ledger.counters
        assert counts.triggers == counts.passed + counts.failed + counts.review + counts.error + sum(
            not part.challenge for part in self.station.ledger.open_parts
        )
        records = [record for record in self.station.records if not record.late]
        assert len(records) == len({record.part.acquisition_id for record in records}), "one result a part"
        assert counts.triggers + counts.challenge == len(records) + len(self.station.ledger.open_parts)

    @invariant()
    def passes_are_earned(self) -> None:
        """A part passes only with a PASS of each camera in time, of frames that all show it, under its own id."""
        for record in self.station.records[self.checked :]:
            if record.decision.verdict is not Verdict.PASS or record.late:
                continue
            acquisition_id = record.part.acquisition_id
            assert self.station.passed[acquisition_id] == set(self.coming)
            shown = {self.shows[view.camera, view.frame.frame_id] for view in record.views}
            assert len(shown) == 1
            if self.by_plc:
                assert shown == {acquisition_id}
            else:
                part = self.parts[shown.pop()]
                assert (record.part.time_ns, record.part.part_id) == (part.at_ns, part.part_id)
        self.checked = len(self.station.records)


TestLine = Line.TestCase
TestLine.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
