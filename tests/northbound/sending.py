"""A sender with records on disk and a real receiver; the clock is the test's."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from station.forwarding.progress import Cursors, Progress, forwarding_beside
from station.line.recording.stage import Recorder, RecorderSettings
from station.northbound.sender import Sender, What
from station.northbound.signing import Secrets
from station.northbound.unsent import Source
from station.northbound.webhook import Webhook
from station.records.schema import DATABASE_FILE, open_writer
from station.reports.shifts import Calendar
from station.results import InspectionRecord, Verdict
from tests.bench.receiver import KEY, Receiver
from tests.bench.sample_parts import WALL_TIME, PartMaker

VERDICTS = (Verdict.PASS, Verdict.FAIL, Verdict.REVIEW)


def record(records: Path, parts: Sequence[InspectionRecord], session: str = "s1") -> None:
    """As the line does."""
    records.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(RecorderSettings(records, min_free_mb=0), session)
    recorder.start()
    for part in parts:
        recorder.record(part)
    assert recorder.stop(20)


def some(first: int, last: int, session: str = "s1") -> list[InspectionRecord]:
    make = PartMaker(session)
    return [make.inspected(number, VERDICTS[number % 3]) for number in range(first, last + 1)]


@dataclass
class Bench:
    """One station, one receiver."""

    folder: Path
    receiver: Receiver
    batch: int = 1
    timeout_s: float = 5.0
    waits_for_plc: bool = False
    again_days: float = 7.0
    now: float = WALL_TIME + 1000
    pauses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.records = self.folder / "records"
        self.file = forwarding_beside(self.records)
        self._is_started = False
        self.start()

    def start(self) -> None:
        """A new process: nothing is left of the one before but what is on disk."""
        if self._is_started:
            self.close()
        self._is_started = True
        self.cursors = Cursors(self.file)
        self.webhook = Webhook(
            self.receiver.url, Secrets((KEY,)), timeout_s=self.timeout_s, as_list=self.batch > 1, clock=lambda: self.now
        )
        source = Source("webhook", self.records, waits_for_plc=self.waits_for_plc, again_days=self.again_days)
        what = What(source, "ST 04/ü", Calendar(), self.batch)
        self.sender = Sender(what, self.webhook, self.cursors, clock=lambda: self.now, draw=lambda: 1.0)

    def close(self) -> None:
        self.webhook.close()
        self.cursors.close()

    def steps(self, count: int) -> None:
        self.pauses += [self.sender.step() for _ in range(count)]

    def drain(self) -> None:
        """Until nothing is left, or it does not go on."""
        for _ in range(2000):
            pause = self.sender.step()
            self.pauses.append(pause)
            if pause:
                return
        raise AssertionError("it never comes to an end")

    @property
    def progress(self) -> Progress:
        found = self.cursors.of("webhook")
        assert found is not None
        return found

    def delete(self, where: str) -> None:
        with closing(open_writer(self.records / DATABASE_FILE)) as connection:
            connection.execute(f"DELETE FROM views WHERE part IN (SELECT id FROM parts WHERE {where})")
            connection.execute(f"DELETE FROM parts WHERE {where}")
            connection.commit()
