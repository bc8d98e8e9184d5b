"""The signalling stage step by step: without its thread, with a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from drivers.plc.protocol import PlcInputs, PlcOutputs
from engines.errors import PartNotLocated
from engines.scale import ScoreScale
from station.codes import ReasonCode
from station.line.acquisition.messages import CameraChanged, CameraState, FrameArrived
from station.line.challenge.duty import ChallengeDuty, ChallengePorts
from station.line.handshake.machine import Handshake, HandshakeSettings
from station.line.inspection.decision import Limits
from station.line.inspection.inspector import Inspector, ViewLimits
from station.line.inspection.stage import Inspected, InspectorChanged
from station.line.recording.journal import Journal
from station.line.signalling.ledger import Ledger, LedgerSettings
from station.line.signalling.messages import PlcWrote, SetOnline
from station.line.signalling.ports import Ports, TrackingFeed
from station.line.signalling.stage import Signalling
from station.line.signalling.view_matching import ViewMatching, ViewSettings
from station.results import (
    Decision,
    Frame,
    Identity,
    Inspection,
    InspectionRecord,
    Scores,
    Verdict,
)

NS_PER_MS = 1_000_000
DEADLINE_MS = 100


class NeverAsked:
    """The inspection stage has the engine; here its answers are given by hand."""

    def score(self, frames: Sequence[Frame], /) -> Sequence[Scores | PartNotLocated]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class SignallingOnABench:
    """A station that is online and enabled, and what it has told."""

    def __init__(self, folder: Path) -> None:
        self.now_ns = 10**9
        self.outputs = PlcOutputs()
        self.records: list[InspectionRecord] = []
        self.journal = Journal(folder / "journal", "session", slots=4)
        self.signalling = Signalling(
            Ledger(LedgerSettings(deadline_ms=DEADLINE_MS), wall_offset_ns=0),
            ViewMatching([ViewSettings("top", by_station=True)]),
            Handshake(HandshakeSettings(), self.now_ns),
            Ports(
                publish=self._publish,
                inspect=lambda *_: True,
                fire_camera=lambda _: None,
                record=self.records.append,
                event=lambda *_: None,
                command=lambda _: None,
                acknowledged=lambda *_: None,
                journal_opened=self.journal.open_part,
                journal_decided=self.journal.decide_part,
                tracking=TrackingFeed(),
            ),
            Identity("session", "recipe", 1, "0" * 64),
            challenge=ChallengeDuty(ChallengePorts(record=lambda _: None, event=lambda *_: None)),
            clock=lambda: self.now_ns,
        )
        scale = ScoreScale(typical=0.0, limit=1.0)
        inspector = Inspector(NeverAsked(), "0" * 64, scale, scale, ViewLimits(Limits(0.5, 0.4), 0.5, 0.1))
        for message in (
            CameraChanged("top", CameraState.STREAMING, None, ""),
            InspectorChanged(inspector),
            SetOnline(True),
            PlcWrote(PlcInputs(trigger_enable=True)),
        ):
            self.signalling.handle(message)

    def _publish(self, outputs: PlcOutputs) -> None:
        self.outputs = outputs

    def part_in_inspection(self) -> Inspected:
        """A part whose frame is with the engine; the PASS that the engine is going to answer."""
        assert self.outputs.trigger_ready
        self.signalling.handle(PlcWrote(PlcInputs(trigger_enable=True, trigger=True)))
        frame = Frame("top", 1, np.zeros((8, 8), np.uint8), self.now_ns, self.now_ns)
        self.signalling.handle(FrameArrived(frame, 0))
        return Inspected(self.outputs.acquisition_id, Inspection(frame, Decision(Verdict.PASS)))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[SignallingOnABench]:
    bench = SignallingOnABench(tmp_path)
    with bench.journal:
        yield bench


def test_an_answer_within_the_deadline_is_the_result(bench: SignallingOnABench) -> None:
    answer = bench.part_in_inspection()
    bench.now_ns += (DEADLINE_MS - 1) * NS_PER_MS
    bench.signalling.handle(answer)
    assert (bench.outputs.result, bench.outputs.pass_) == (Verdict.PASS, True)


def test_an_answer_that_lay_in_the_inbox_over_the_deadline_is_too_late(bench: SignallingOnABench) -> None:
    answer = bench.part_in_inspection()
    bench.now_ns += DEADLINE_MS * NS_PER_MS
    bench.signalling.handle(answer)  # no tick between: the thread was busy, or had no core
    assert (bench.outputs.result, bench.outputs.reason_code) == (Verdict.ERROR, ReasonCode.DEADLINE)
    assert not bench.outputs.pass_
    assert [(record.decision.verdict, record.late) for record in bench.records] == [
        (Verdict.ERROR, False),
        (Verdict.PASS, True),
    ]


def test_a_part_takes_one_slot_of_the_journal_however_it_ends(bench: SignallingOnABench) -> None:
    free = bench.journal.free_slots
    bench.part_in_inspection()
    bench.now_ns += DEADLINE_MS * NS_PER_MS
    bench.signalling.tick()
    (record,) = bench.records
    assert record.decision.code is ReasonCode.DEADLINE
    bench.journal.commit([(record.session, record.part.acquisition_id)])
    assert bench.journal.free_slots == free
