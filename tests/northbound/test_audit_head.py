"""The head of the audit log goes to the plant: as an event of its own, again until it is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from station.forwarding.progress import Cursors
from station.line.recording.stage import Recorder, RecorderSettings
from station.northbound.part_event import AUDIT_HEAD
from station.northbound.sender import HEAD_S, Sender, What
from station.northbound.sparkplug import metrics
from station.northbound.unsent import Source
from station.northbound.webhook import TAKEN, Outcome
from station.records.anchors.kept import head_of_records
from station.records.audit import AuditEntry
from station.reports.shifts import Calendar


class Taking:
    """A receiver that takes what comes, after the outcomes that it is given."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.taken: list[Mapping[str, Any]] = []
        self.outcomes = list(outcomes)

    def post(self, events: Sequence[Mapping[str, Any]], /) -> Outcome:
        outcome = self.outcomes.pop(0) if self.outcomes else TAKEN
        self.taken += events if outcome.kind == "taken" else []
        return outcome


def enter(records: Path) -> str:
    """A change; returns the head behind it."""
    recorder = Recorder(RecorderSettings(records, min_free_mb=0), "s1")
    recorder.start()
    recorder.audit(AuditEntry("operator anna", "engine", "1", "2", "done"))
    assert recorder.stop(20)
    return str(head_of_records(records))


def test_it_is_sent_when_it_is_another(tmp_path: Path) -> None:
    now = 1000.0
    records = tmp_path / "records"
    head = enter(records)
    receiver = Taking(Outcome("failed", "away"))
    source = Source("webhook", records, waits_for_plc=False, again_days=1.0)
    with closing(Cursors(tmp_path / "plant.db")) as cursors:
        sender = Sender(What(source, "ST 04", Calendar(), 1, True), receiver, cursors, clock=lambda: now)
        assert sender.step() > 0, "it is away"
        for _ in range(3):
            sender.step()
        (event,) = receiver.taken
        assert (event["type"], event["data"]["head"]) == (AUDIT_HEAD, head)
        other = enter(records)
        sender.step()
        assert len(receiver.taken) == 1, "looked at now and then"
        now += HEAD_S
        sender.step()
        assert receiver.taken[-1]["data"]["head"] == other
        enter(records)
        now += HEAD_S
        receiver.outcomes = [Outcome("refused", "this type is not known")]
        for _ in range(3):
            sender.step()
            now += HEAD_S
        assert len(receiver.taken) == 2, "what was refused does not come again, and holds nothing up"


def test_without_it_nothing_but_parts_is_sent(tmp_path: Path) -> None:
    enter(tmp_path / "records")
    receiver = Taking()
    source = Source("webhook", tmp_path / "records", waits_for_plc=False, again_days=1.0)
    with closing(Cursors(tmp_path / "plant.db")) as cursors:
        Sender(What(source, "ST 04", Calendar()), receiver, cursors).step()
    assert receiver.taken == []


def test_it_is_a_metric_of_the_node() -> None:
    readings = {one.name: one.value for one in metrics.of_station("ST-04", "1", (3, 0), "audit:changes:7:ab", 1)}
    assert readings["Audit/Head"] == "audit:changes:7:ab"
    assert set(readings) == {one.name for one in metrics.NODE}
