"""Signalling without its thread: a clock of the test's own, an engine that is asked by hand, and what came out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from drivers.plc.protocol import PlcInputs, PlcOutputs
from engines.engine import Prepared
from engines.errors import PartNotLocated
from engines.scale import ScoreScale
from station.line.acquisition.messages import CameraChanged, CameraState, FrameArrived
from station.line.challenge.duty import ChallengeDuty, ChallengePorts
from station.line.challenge.machine import ChallengeSettings
from station.line.ejection.messages import PartClosed, PartMissed, PartOpened, TrackingMessage
from station.line.handshake.machine import Handshake
from station.line.handshake.messages import HandshakeSettings
from station.line.inspection.decision import Limits
from station.line.inspection.inspector import Inspector, ViewLimits
from station.line.inspection.stage import Inspected, InspectorChanged
from station.line.recording.journal import Journal
from station.line.signalling.ledger import Ledger, LedgerSettings
from station.line.signalling.messages import Message, PlcWrote, SetOnline
from station.line.signalling.ports import Ports, TrackingFeed
from station.line.signalling.stage import Signalling
from station.line.signalling.view_matching import ViewMatching, ViewSettings
from station.results import Decision, Frame, Identity, Inspection, InspectionRecord, Part, Pixels, Scores, Verdict

NS_PER_MS = 1_000_000
DEADLINE_MS = 100
ONE_BY_PLC = (ViewSettings("top", by_station=True),)
LIMITS = LedgerSettings(deadline_ms=DEADLINE_MS)
PIXELS = np.zeros((8, 8), np.uint8)


class NeverAsked:
    """The inspection stage has the engine; here its verdicts are given by hand."""

    def prepare(self, pixels: Pixels, /) -> Prepared:
        raise NotImplementedError

    def score(self, prepared: Sequence[Prepared], /) -> Sequence[Scores | PartNotLocated]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def inspector() -> Inspector:
    scale = ScoreScale(typical=0.0, limit=1.0)
    return Inspector(NeverAsked(), "0" * 64, scale, scale, ViewLimits(Limits(0.5, 0.4), 0.5, 0.1))


class SignallingOnABench:
    """A station that is online and enabled. `now_ns` is its clock; what left it stands in the other attributes."""

    def __init__(
        self,
        folder: Path,
        *,
        cameras: Sequence[ViewSettings] = ONE_BY_PLC,
        ledger: LedgerSettings = LIMITS,
        challenge: ChallengeSettings | None = None,
        journal_slots: int = 4,
        engine_queue: int = 8,
    ) -> None:
        self.now_ns = 10**9
        self.wall_offset_ns = 0
        self.outputs = PlcOutputs()
        self.records: list[InspectionRecord] = []
        self.at_engine: list[tuple[Part, Frame]] = []
        self.fired: list[str] = []
        self.on_belt: set[int] = set()
        """Parts that the ejection stage knows of and that have no verdict."""
        self.missed_on_belt = 0
        self.events: list[tuple[str, str, str]] = []
        self.journal = Journal(folder / "journal", "session", slots=journal_slots)
        self.ledger = Ledger(ledger, wall_offset_ns=0)
        self.views = ViewMatching(cameras)
        self.handshake = Handshake(HandshakeSettings(), self.now_ns)
        self._engine_queue = engine_queue
        self.signalling = Signalling(
            self.ledger,
            self.views,
            self.handshake,
            Ports(
                publish=self._publish,
                inspect=self._inspect,
                fire_camera=self.fired.append,
                record=self.records.append,
                event=lambda *event: self.events.append(event),
                command=lambda _: None,
                acknowledged=lambda *_: None,
                journal_opened=self.journal.open_part,
                journal_decided=self.journal.decide_part,
                tracking=TrackingFeed(self._track),
            ),
            Identity("session", "recipe", 1, "0" * 64),
            challenge=ChallengeDuty(
                ChallengePorts(record=lambda *_: None, event=lambda *_: None), challenge, wall_clock=self._wall_clock
            ),
            clock=lambda: self.now_ns,
            wall_clock=lambda: self.now_ns + self.wall_offset_ns,
        )
        messages: tuple[Message, ...] = (
            *(CameraChanged(view.camera, CameraState.STREAMING, None, "") for view in cameras),
            InspectorChanged(inspector()),
            SetOnline(True),
            PlcWrote(PlcInputs(trigger_enable=True), self.now_ns),
        )
        for message in messages:
            self.signalling.handle(message)

    def _wall_clock(self) -> float:
        return self.now_ns / 1e9

    def _publish(self, outputs: PlcOutputs) -> None:
        self.outputs = outputs

    def _inspect(self, part: Part, frame: Frame) -> bool:
        if len(self.at_engine) >= self._engine_queue:
            return False
        self.at_engine.append((part, frame))
        return True

    def at_engine_ids(self) -> list[int]:
        """Acquisition ids of the parts whose frames wait for the engine."""
        return [part.acquisition_id for part, _ in self.at_engine]

    def _track(self, message: TrackingMessage) -> None:
        match message:
            case PartOpened(acquisition_id):
                assert acquisition_id not in self.on_belt
                self.on_belt.add(acquisition_id)
            case PartClosed(acquisition_id):
                self.on_belt.discard(acquisition_id)
            case PartMissed():
                self.missed_on_belt += 1

    def part_in_inspection(self) -> Inspected:
        """A part whose frame is with the engine; the PASS that the engine is going to give it."""
        assert self.outputs.trigger_ready
        self.signalling.handle(PlcWrote(PlcInputs(trigger_enable=True, trigger=True), self.now_ns))
        frame = Frame("top", 1, PIXELS, self.now_ns, self.now_ns)
        self.signalling.handle(FrameArrived(frame, 0))
        return Inspected(self.outputs.acquisition_id, Inspection(frame, Decision(Verdict.PASS)))
