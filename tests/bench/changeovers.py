"""A changeover without a line: what it posts and enters is heard."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import cast

from station.configuration import load as config
from station.daemon.changeover import Changeover
from station.line.acquisition.cameras import Cameras
from station.line.inspection.stage import InspectionStage
from station.line.recording.stage import Recorder
from station.line.signalling.stage import Signalling
from station.records.audit import AuditEntry

STATION = '[cameras.top]\nproducer = "simtl"\n'


class Heard(queue.SimpleQueue[object]):
    """Stands for signalling and recorder: what is posted, and what is entered."""

    engine_id = ""
    """There is none."""

    def snapshot(self) -> Heard:
        return self

    def post(self, message: object) -> None:
        self.put(message)

    def audit(self, entry: object) -> None:
        self.put(entry)

    def event(self, *_: object) -> None:
        return None

    def refusal(self) -> str:
        """The detail of the only entry, which says that a change was refused."""
        entry = self.get(timeout=20.0)
        assert isinstance(entry, AuditEntry)
        assert entry.result == "refused"
        assert self.empty(), "nothing else has happened"
        return entry.detail


def changeover(directory: Path, heard: Heard, engine: str, *, started: bool = True) -> Changeover:
    """Of a station whose section [engine] is `engine`; its cameras stream if `started`."""
    path = directory / "station.toml"
    path.write_text(f"{STATION}[engine]\n{engine}\n")
    made = Changeover(
        config.load(path),
        "session",
        signalling=cast("Signalling", heard),
        inspection=cast("InspectionStage", heard),
        cameras=cast("Cameras", heard),
        recorder=cast("Recorder", heard),
    )
    if started:
        made._started.set()
    return made
