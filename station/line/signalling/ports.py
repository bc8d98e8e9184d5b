"""Where the signalling thread's decisions go: to the other stages, the PLC and the camera."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from drivers.plc.protocol import PlcOutputs
from station.codes import ReasonCode
from station.line.ejection.messages import (
    CountersReset,
    LineStopCleared,
    PartClosed,
    PartMissed,
    PartOpened,
    TrackingMessage,
)
from station.line.handshake.messages import CommandRequested
from station.line.signalling.ledger import FrameMatch
from station.records.events import RecordEvent
from station.results import Decision, Frame, InspectionRecord, Part, Verdict


@dataclass(frozen=True, slots=True)
class TrackingFeed:
    """`post` hands over a message and never blocks; the feed of a station that does not track drops them."""

    post: Callable[[TrackingMessage], None] = lambda _message: None

    def opened(self, part: Part, *, placed: bool = True) -> None:
        """A part was opened. Not `placed`: its trigger was not seen, its time is not that of the trigger."""
        self.post(PartOpened(part.acquisition_id, part.part_id, part.time_ns if placed else None))

    def closed(self, acquisition_id: int, decision: Decision) -> None:
        self.post(PartClosed(acquisition_id, decision.verdict, decision.code))

    def withdrawn(self, acquisition_ids: Iterable[int], reason: ReasonCode) -> None:
        """The PLC will never see these results: whatever was a PASS is none any more."""
        for acquisition_id in acquisition_ids:
            self.post(PartClosed(acquisition_id, Verdict.ERROR, reason or ReasonCode.HANDSHAKE_RESET))

    def trigger_missed(self, part_id: int, time_ns: int) -> None:
        """A part came while the station was not ready."""
        self.post(PartMissed(part_id, time_ns))

    def frame_missed(self, match: FrameMatch, trigger_time_ns: int) -> None:
        """The parts that count as missed with a frame: its own, and those that came before without a frame."""
        own = match.why_not == "missed"
        for _ in range(match.missed - own):
            self.post(PartMissed(0, None))
        if own:
            self.post(PartMissed(0, trigger_time_ns))

    def line_stop_cleared(self) -> None:
        self.post(LineStopCleared())

    def counters_reset(self) -> None:
        self.post(CountersReset())


@dataclass(frozen=True, slots=True)
class Ports:
    """None of these may block."""

    publish: Callable[[PlcOutputs], None]
    inspect: Callable[[Part, Frame], bool]
    """False: there is no room for one more frame."""
    fire_camera: Callable[[str], None]
    """Executes the software trigger of the camera of this name."""
    record: Callable[[InspectionRecord], None]
    event: RecordEvent
    command: Callable[[CommandRequested], None]
    """What the PLC asks for and takes longer than a scan; ends with `CommandFinished`."""
    acknowledged: Callable[[int, float], None]
    """The PLC has read the result: acquisition id, and milliseconds from trigger to acknowledgement."""
    journal_opened: Callable[[Part], bool]
    """False: there is no room for it."""
    journal_decided: Callable[[int, Verdict, ReasonCode], None]
    tracking: TrackingFeed
    batch: Callable[[], int] = lambda: 0
    """Number of the open batch; 0: none. Read at every turn."""
